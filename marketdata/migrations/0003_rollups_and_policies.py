"""15m and 1h bars rolled up from 5m; with TimescaleDB also hypertables, compression and retention.

The two relations have the same names and columns either way: continuous aggregates where the extension is installed in
this database, else plain tables that `services.rollups` fills.
"""

from django.db import migrations

HYPERTABLES = {
    "marketdata_kline": ("start", "30 days", "symbol, interval_min"),
    "marketdata_bookfeature": ("bar_start", "30 days", "symbol, interval_min"),
    "marketdata_publictrade": ("time", "1 day", "symbol"),
    "marketdata_orderbooklog": ("start", "1 day", "symbol"),
}
COMPRESS_AFTER = {
    "marketdata_kline": "90 days",
    "marketdata_bookfeature": "90 days",
    "marketdata_publictrade": "7 days",
}
DROP_AFTER = {"marketdata_orderbooklog": "30 days", "marketdata_publictrade": "90 days"}
ROLLUPS = {"marketdata_kline_15m": 15, "marketdata_kline_1h": 60}


def has_timescale(schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'")
        return cursor.fetchone() is not None


def forwards(apps, schema_editor):
    if has_timescale(schema_editor):
        make_hypertables(schema_editor)
        make_continuous_aggregates(schema_editor)
        add_policies(schema_editor)
    else:
        make_plain_rollups(schema_editor)


def make_hypertables(schema_editor):
    for table, (column, chunk, _) in HYPERTABLES.items():
        # A hypertable may have no unique constraint without its time column.
        schema_editor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_pkey")
        schema_editor.execute(
            f"SELECT create_hypertable('{table}', '{column}', chunk_time_interval => interval '{chunk}', "
            "if_not_exists => true, migrate_data => true)"
        )
        # Everything is found by symbol and time; the index on time alone would only slow loading down.
        schema_editor.execute(f"DROP INDEX IF EXISTS {table}_{column}_idx")


def make_continuous_aggregates(schema_editor):
    for view, minutes in ROLLUPS.items():
        schema_editor.execute(
            f"""
            CREATE MATERIALIZED VIEW {view} WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
            SELECT symbol, time_bucket(interval '{minutes} minutes', start) AS start,
                   first(open, start) AS open, max(high) AS high, min(low) AS low, last(close, start) AS close,
                   sum(volume) AS volume, sum(turnover) AS turnover, count(*)::int AS bars
            FROM marketdata_kline WHERE interval_min = 5
            GROUP BY symbol, time_bucket(interval '{minutes} minutes', start)
            WITH NO DATA
            """  # noqa: S608
        )
        schema_editor.execute(
            f"SELECT add_continuous_aggregate_policy('{view}', start_offset => interval '3 days', "
            "end_offset => interval '10 minutes', schedule_interval => interval '15 minutes')"
        )


def add_policies(schema_editor):
    for table, after in COMPRESS_AFTER.items():
        column, _, segment = HYPERTABLES[table]
        schema_editor.execute(
            f"ALTER TABLE {table} SET (timescaledb.compress, timescaledb.compress_segmentby = '{segment}', "
            f"timescaledb.compress_orderby = '{column}')"
        )
        schema_editor.execute(f"SELECT add_compression_policy('{table}', interval '{after}')")
    for table, after in DROP_AFTER.items():
        schema_editor.execute(f"SELECT add_retention_policy('{table}', interval '{after}')")


def make_plain_rollups(schema_editor):
    for table in ROLLUPS:
        schema_editor.execute(
            f"""
            CREATE TABLE {table} (
                symbol varchar(32) COLLATE "C" NOT NULL, start timestamptz NOT NULL,
                open double precision NOT NULL, high double precision NOT NULL, low double precision NOT NULL,
                close double precision NOT NULL, volume double precision NOT NULL, turnover double precision NOT NULL,
                bars integer NOT NULL, PRIMARY KEY (symbol, start)
            )
            """
        )


def backwards(apps, schema_editor):
    """Hypertables stay what they are; only the rolled-up bars go."""
    kind = "MATERIALIZED VIEW" if has_timescale(schema_editor) else "TABLE"
    for relation in ROLLUPS:
        schema_editor.execute(f"DROP {kind} IF EXISTS {relation}")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("marketdata", "0002_kline_identity")]

    operations = [migrations.RunPython(forwards, backwards)]
