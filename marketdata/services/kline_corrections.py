"""REST says something else than a stored bar: apply it, and keep what the bar said before."""

import math

import structlog
from django.db import connection

from avigrid.exchange.kline_table import KlineTable
from marketdata.models import KlineCorrection, KlineSource
from marketdata.selectors.bars import VALUES
from marketdata.selectors.times import to_datetime

log = structlog.get_logger(__name__)


def kline_corrections_apply(old: KlineTable, new: KlineTable, *, now_ms: int) -> int:
    """Inside the caller's transaction. `old` and `new` hold the same starts in the same order."""
    starts = [to_datetime(ms) for ms in new.start_ms.tolist()]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH n AS (
                SELECT * FROM unnest(%s::timestamptz[], %s::float8[], %s::float8[], %s::float8[], %s::float8[],
                                     %s::float8[], %s::float8[])
                    AS n (start, open, high, low, close, volume, turnover)
            ), was AS (
                SELECT k.start, k.source FROM marketdata_kline k JOIN n USING (start)
                WHERE k.symbol = %s AND k.interval_min = %s FOR UPDATE OF k
            )
            UPDATE marketdata_kline k SET open = n.open, high = n.high, low = n.low, close = n.close,
                volume = n.volume, turnover = n.turnover, source = %s
            FROM n JOIN was USING (start)
            WHERE k.symbol = %s AND k.interval_min = %s AND k.start = n.start
            RETURNING k.start, was.source
            """,
            [
                starts,
                *(getattr(new, name).tolist() for name in VALUES),
                new.symbol,
                new.interval_min,
                KlineSource.REST,
                new.symbol,
                new.interval_min,
            ],
        )
        old_sources = dict(cursor.fetchall())
    KlineCorrection.objects.bulk_create(
        KlineCorrection(
            symbol=new.symbol,
            interval_min=new.interval_min,
            start=start,
            found_at=to_datetime(now_ms),
            old_source=old_sources[start],
            old_values=_values(old, index),
            new_values=_values(new, index),
        )
        for index, start in enumerate(starts)
    )
    log.warning("klines_corrected", symbol=new.symbol, interval_min=new.interval_min, count=len(starts))
    return len(starts)


def _values(table: KlineTable, index: int) -> dict[str, float | None]:
    """JSON has no NaN: a turnover nobody told is null."""
    values = {name: float(getattr(table, name)[index]) for name in VALUES}
    return {name: None if math.isnan(value) else value for name, value in values.items()}
