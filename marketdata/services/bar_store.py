"""Store one confirmed bar together with what the order book said at that moment."""

from enum import Enum
from typing import Any

from django.db import connection, transaction

from avigrid.common import leases
from avigrid.exchange.kline_table import table_from_klines
from avigrid.kernel.market import BookFeatures, Kline
from marketdata.models import KlineSource
from marketdata.selectors.times import to_datetime
from marketdata.services import metrics
from marketdata.services.candle_check import candle_check
from marketdata.services.klines import klines_bulk_store

_INSERT = """
    WITH bar AS (
        INSERT INTO marketdata_kline
            (symbol, interval_min, start, open, high, low, close, volume, turnover, source)
        VALUES (%(symbol)s, %(interval)s, %(start)s, %(open)s, %(high)s, %(low)s, %(close)s, %(volume)s, %(turnover)s,
                %(source)s)
        ON CONFLICT (symbol, interval_min, start) DO NOTHING RETURNING 1
    ){features} SELECT count(*) FROM bar
"""
_FEATURES = """, book AS (
        INSERT INTO marketdata_bookfeature
            (symbol, interval_min, bar_start, time, mid, imbalance, microprice, spread_bps, depth_usd)
        SELECT %(symbol)s, %(interval)s, %(start)s, %(time)s, %(mid)s, %(imbalance)s, %(microprice)s, %(spread_bps)s,
               %(depth_usd)s FROM bar
        ON CONFLICT (symbol, interval_min, bar_start) DO NOTHING
    )"""
_WITHOUT = _INSERT.format(features="")
_WITH = _INSERT.format(features=_FEATURES)


class BarOutcome(Enum):
    NEW = "new"
    DUPLICATE = "same"
    CORRECTED = "corrected"


def bar_store(
    *,
    bar: Kline,
    features: BookFeatures | None,
    now_ms: int,
    source: KlineSource = KlineSource.STREAM,
    lease: leases.HeldLease | None = None,
) -> BarOutcome:
    """Bar and features become visible together; a duplicate changes nothing, a different answer of REST corrects.

    Features are taken with the first report only: those of a later one are not what the decision saw.

    With a lease, its fence is checked in the same transaction (LeaseLost: nothing is written). Raises InvalidCandle.
    Features may hold NaN (a one-sided book): a replay must see that the decision had nothing to go by.
    """
    candle_check(bar, source=source, now_ms=now_ms)
    with metrics.STORE_SECONDS.time(), transaction.atomic():
        inserted = _insert(bar, features, source)
        outcome = BarOutcome.NEW if inserted else BarOutcome.DUPLICATE
        if not inserted and source == KlineSource.REST:
            corrected = klines_bulk_store(table_from_klines([bar]), source=source, now_ms=now_ms).corrected
            outcome = BarOutcome.CORRECTED if corrected else BarOutcome.DUPLICATE
        if lease is not None:
            # last: a lease whose row is locked while the table of bars keeps us waiting could not be renewed
            leases.check(lease)
    if not inserted and source == KlineSource.REST:
        return outcome  # counted by the bulk writer
    metrics.BARS_STORED.labels(interval=bar.interval_min, source=source, outcome=outcome.value).inc()
    return outcome


def _insert(bar: Kline, features: BookFeatures | None, source: KlineSource) -> bool:
    params: dict[str, Any] = {
        "symbol": bar.symbol,
        "interval": bar.interval_min,
        "start": to_datetime(bar.start_ms),
        "open": bar.open,
        "high": bar.high,
        "low": bar.low,
        "close": bar.close,
        "volume": bar.volume,
        "turnover": bar.turnover,
        "source": source.value,
    }
    if features is not None:
        params |= {
            "time": to_datetime(features.time_ms),
            "mid": features.mid,
            "imbalance": features.imbalance,
            "microprice": features.microprice,
            "spread_bps": features.spread_bps,
            "depth_usd": features.depth_usd,
        }
    with connection.cursor() as cursor:
        cursor.execute(_WITHOUT if features is None else _WITH, params)
        return bool(cursor.fetchone()[0])
