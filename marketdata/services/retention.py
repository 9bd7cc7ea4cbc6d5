"""What is too old for the database: into compressed files a month or a day at a time, then deleted.

Roll-ups, funding, corrections, gaps and instruments are small and kept for ever. With TimescaleDB this does the same;
its own policies (`retention_policies`) only drop the chunks that are empty by then.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from django.db import connection

from accounts.services.audit import audit
from avigrid.common.archive import rows_move
from avigrid.common.retention import kept_since
from marketdata.selectors.times import to_datetime
from marketdata.services.retention_policies import retention_policies_sync

_BARS = "(extract(epoch FROM {time}) * 1000)::bigint AS start_ms"

Key = tuple[str | int, ...]
"""Symbol, or symbol and interval."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Series:
    """One table, cut into files by symbol (and interval) and by month or day."""

    kind: str
    table: str
    time: str
    columns: str
    by_interval: bool = False
    monthly: bool = False

    @property
    def key(self) -> str:
        return "symbol, interval_min" if self.by_interval else "symbol"


SERIES = (
    # klines and trades in the form that `manage.py backfill --file` reads back
    Series(
        "klines",
        "marketdata_kline",
        "start",
        _BARS.format(time="start") + ", open, high, low, close, volume, turnover, source",
        by_interval=True,
        monthly=True,
    ),
    Series(
        "book_features",
        "marketdata_bookfeature",
        "bar_start",
        _BARS.format(time="bar_start") + ", (extract(epoch FROM time) * 1000)::bigint AS time_ms, mid, imbalance, "
        "microprice, spread_bps, depth_usd",
        by_interval=True,
        monthly=True,
    ),
    Series(
        "public_trades",
        "marketdata_publictrade",
        "time",
        "round(extract(epoch FROM time), 3) AS timestamp, symbol, "
        "CASE WHEN taker_is_buyer THEN 'Buy' ELSE 'Sell' END AS side, quantity AS size, price, "
        'trade_id AS "trdMatchID", seq',
    ),
    Series(
        "order_book_log",
        "marketdata_orderbooklog",
        "start",
        _BARS.format(time="start") + ', (extract(epoch FROM "end") * 1000)::bigint AS end_ms, depth, first_update_id, '
        "last_update_id, messages, payload",
    ),
)


def retention_apply(*, now_ms: int, folder: Path) -> dict[str, int]:
    """Rows moved to files under `folder`, per kind. Only whole months (days) that are past their time go.

    Repeatable and interruptible: each file and its deletion are one transaction.
    """
    now = to_datetime(now_ms)
    moved = dict.fromkeys((series.kind for series in SERIES), 0)
    try:
        for series in SERIES:
            before = kept_since(series.kind, now)
            if before is not None:
                for count in _move(series, _floor(before, monthly=series.monthly), folder):
                    moved[series.kind] += count
        retention_policies_sync()
    finally:
        # also where it failed halfway: what is gone is gone
        audit(actor="retention", action="retention.applied", obj="retention:marketdata", after=moved)
        log.info("retention_applied", **moved)
    return moved


def _move(series: Series, before: datetime, folder: Path) -> Iterator[int]:
    for key in _keys(series):
        while (oldest := _oldest(series, key)) is not None and oldest < before:
            start = _floor(oldest, monthly=series.monthly)
            yield _move_period(series, key, start, _next(start, monthly=series.monthly), folder)


def _move_period(series: Series, key: Key, start: datetime, end: datetime, folder: Path) -> int:
    where = f"({series.key}) = ({', '.join(['%s'] * len(key))}) AND {series.time} >= %s AND {series.time} < %s"
    params: list[str | int | datetime] = [*key, start, end]

    def delete() -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {series.table} WHERE {where}", params)  # noqa: S608
            return cursor.rowcount

    name = "_".join([str(key[0]), *(f"{minutes}m" for minutes in key[1:])])
    period = f"{start:%Y-%m}" if series.monthly else f"{start:%Y-%m-%d}"
    return rows_move(
        select=f"SELECT {series.columns} FROM {series.table} WHERE {where} ORDER BY {series.time}",  # noqa: S608
        params=params,
        target=folder / series.kind / f"{name}_{period}.csv.gz",
        delete=delete,
    )


def _keys(series: Series) -> Iterator[Key]:
    """Every symbol (and interval), found by skipping along the index instead of reading the table."""
    last: Key = ("", 0) if series.by_interval else ("",)
    marks = ", ".join(["%s"] * len(last))
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                f"SELECT {series.key} FROM {series.table} WHERE ({series.key}) > ({marks}) "  # noqa: S608
                f"ORDER BY {series.key} LIMIT 1",
                last,
            )
            row = cursor.fetchone()
            if row is None:
                return
            last = tuple(row)
            yield last


def _oldest(series: Series, key: Key) -> datetime | None:
    marks = ", ".join(["%s"] * len(key))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT min({series.time}) FROM {series.table} WHERE ({series.key}) = ({marks})",  # noqa: S608
            key,
        )
        oldest: datetime | None = cursor.fetchone()[0]
    return oldest


def _floor(moment: datetime, *, monthly: bool) -> datetime:
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day.replace(day=1) if monthly else day


def _next(start: datetime, *, monthly: bool) -> datetime:
    return (start + timedelta(days=32)).replace(day=1) if monthly else start + timedelta(days=1)
