"""TimescaleDB's own retention, where the database has it: the net under the archiving job.

The job archives and deletes at the kept days; the policy drops whole chunks, and must not be first: it waits for the
unit the job works in (a month or a day) and a grace of thirty days in which an archive that fails can be mended.
"""

from django.db import connection

from avigrid.common.retention import keep_days

GRACE_DAYS = 30
_UNIT_DAYS = {
    "marketdata_kline": ("klines", 31),
    "marketdata_bookfeature": ("book_features", 31),
    "marketdata_publictrade": ("public_trades", 1),
    "marketdata_orderbooklog": ("order_book_log", 1),
}


def retention_policies_sync() -> dict[str, int | None]:
    """Makes the policies follow the settings; returns table -> days (None: kept for ever), {} without TimescaleDB."""
    if not _has_timescale():
        return {}
    wanted: dict[str, int | None] = {}
    for table, (kind, unit_days) in _UNIT_DAYS.items():
        days = keep_days(kind)
        wanted[table] = days + unit_days + GRACE_DAYS if days else None
        if _policy(table) != wanted[table]:
            _set(table, wanted[table])
    return wanted


def _has_timescale() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
        return cursor.fetchone() is not None


def _policy(table: str) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (config->>'drop_after')::interval FROM timescaledb_information.jobs "
            "WHERE proc_name = 'policy_retention' AND hypertable_name = %s",
            [table],
        )
        row = cursor.fetchone()
    return None if row is None else row[0].days


def _set(table: str, days: int | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT remove_retention_policy(%s, if_exists => true)", [table])
        if days is not None:
            cursor.execute("SELECT add_retention_policy(%s, drop_after => %s::interval)", [table, f"{days} days"])
