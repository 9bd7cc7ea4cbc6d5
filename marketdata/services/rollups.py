"""15m and 1h bars from the stored 5m bars: continuous aggregates with TimescaleDB, plain tables without."""

from django.db import connection

from marketdata.selectors.rollups import RELATIONS
from marketdata.selectors.times import to_datetime

_FILL = """
    INSERT INTO {relation} (symbol, start, open, high, low, close, volume, turnover, bars)
    SELECT symbol, to_timestamp(floor(extract(epoch FROM start) / {seconds}) * {seconds}) AS bucket,
           (array_agg(open ORDER BY start))[1], max(high), min(low), (array_agg(close ORDER BY start DESC))[1],
           sum(volume), sum(turnover), count(*)
    FROM marketdata_kline
    WHERE interval_min = 5 AND start >= %s AND start < %s
    GROUP BY symbol, bucket
    ON CONFLICT (symbol, start) DO UPDATE SET
        open = EXCLUDED.open, high = EXCLUDED.high, low = EXCLUDED.low, close = EXCLUDED.close,
        volume = EXCLUDED.volume, turnover = EXCLUDED.turnover, bars = EXCLUDED.bars
    WHERE ({relation}.open, {relation}.high, {relation}.low, {relation}.close, {relation}.volume, {relation}.turnover,
           {relation}.bars)
        IS DISTINCT FROM (EXCLUDED.open, EXCLUDED.high, EXCLUDED.low, EXCLUDED.close, EXCLUDED.volume,
           EXCLUDED.turnover, EXCLUDED.bars)
"""


def rollups_refresh(*, start_ms: int, end_ms: int) -> None:
    """Bring the rolled-up bars of [start_ms, end_ms), widened to whole buckets, up to the 5m bars. Repeatable."""
    for interval_min, relation in RELATIONS.items():
        step_ms = interval_min * 60_000
        first = to_datetime(start_ms // step_ms * step_ms)
        last = to_datetime(-(-end_ms // step_ms) * step_ms)
        with connection.cursor() as cursor:
            if _is_table(relation):
                cursor.execute(_FILL.format(relation=relation, seconds=interval_min * 60), [first, last])
            else:
                cursor.execute("CALL refresh_continuous_aggregate(%s, %s, %s)", [relation, first, last])


def _is_table(relation: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'r' FROM pg_class WHERE oid = %s::regclass", [relation])
        return bool(cursor.fetchone()[0])
