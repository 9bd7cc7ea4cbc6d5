"""REST says something else than a stored bar: apply it, and keep what the bar said before."""

from typing import Any

import structlog
from django.db import connection

from avigrid.exchange.kline_table import KlineTable
from marketdata.models import KlineSource
from marketdata.selectors.bars import VALUES
from marketdata.selectors.times import to_datetime

_VALUES_JSON = (
    "jsonb_build_object('open', {t}.open, 'high', {t}.high, 'low', {t}.low, 'close', {t}.close, 'volume', {t}.volume, "
    "'turnover', nullif({t}.turnover, 'NaN'))"
)
_APPLY = f"""
    WITH new AS (
        SELECT * FROM unnest(%(start)s::timestamptz[], %(open)s::float8[], %(high)s::float8[], %(low)s::float8[],
                             %(close)s::float8[], %(volume)s::float8[], %(turnover)s::float8[])
            AS new (start, open, high, low, close, volume, turnover)
    ), old AS (
        SELECT k.start, k.open, k.high, k.low, k.close, k.volume, k.turnover, k.source
        FROM marketdata_kline k JOIN new USING (start)
        WHERE k.symbol = %(symbol)s AND k.interval_min = %(interval)s
    ), applied AS (
        UPDATE marketdata_kline k SET open = new.open, high = new.high, low = new.low, close = new.close,
            volume = new.volume, turnover = new.turnover, source = %(source)s
        FROM new JOIN old USING (start)
        WHERE k.symbol = %(symbol)s AND k.interval_min = %(interval)s AND k.start = new.start
    )
    INSERT INTO marketdata_klinecorrection
        (symbol, interval_min, start, found_at, old_source, old_values, new_values)
    SELECT %(symbol)s, %(interval)s, old.start, %(found_at)s, old.source,
           {_VALUES_JSON.format(t="old")}, {_VALUES_JSON.format(t="new")}
    FROM old JOIN new USING (start) ORDER BY old.start
"""  # noqa: S608

log = structlog.get_logger(__name__)


def kline_corrections_apply(new: KlineTable, *, now_ms: int) -> int:
    """Inside the caller's transaction, for bars that are stored and differ; returns how many were corrected.

    The caller holds the series' advisory lock, and nobody else changes stored bars: the rows need no lock of their own
    (TimescaleDB could not lock those it has compressed).
    """
    params: dict[str, Any] = {name: getattr(new, name).tolist() for name in VALUES}
    params |= {
        "start": [to_datetime(ms) for ms in new.start_ms.tolist()],
        "symbol": new.symbol,
        "interval": new.interval_min,
        "source": KlineSource.REST.value,
        "found_at": to_datetime(now_ms),
    }
    with connection.cursor() as cursor:
        cursor.execute(_APPLY, params)
        corrected = int(cursor.rowcount)
    log.warning("klines_corrected", symbol=new.symbol, interval_min=new.interval_min, count=corrected)
    return corrected
