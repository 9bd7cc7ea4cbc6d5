"""Stored order-book features."""

from collections.abc import Iterator
from datetime import datetime

from avigrid.kernel.market import BookFeatures
from marketdata.models import BookFeature
from marketdata.selectors.times import to_datetime, to_ms

_COLUMNS = ("time", "mid", "imbalance", "microprice", "spread_bps", "depth_usd")


def book_feature(symbol: str, bar_start_ms: int, *, interval_min: int = 5) -> BookFeatures | None:
    """What the book said when this bar confirmed; None where no book was recorded."""
    row = (
        BookFeature.objects.filter(symbol=symbol, interval_min=interval_min, bar_start=to_datetime(bar_start_ms))
        .values_list(*_COLUMNS)
        .first()
    )
    return None if row is None else _features(symbol, *row)


def book_features(symbol: str, start_ms: int, end_ms: int, *, interval_min: int = 5) -> dict[int, BookFeatures]:
    """By bar start, for bars with start in [start_ms, end_ms)."""
    rows: Iterator[tuple[datetime, datetime, float, float, float, float, float]] = (
        BookFeature.objects.filter(
            symbol=symbol,
            interval_min=interval_min,
            bar_start__gte=to_datetime(start_ms),
            bar_start__lt=to_datetime(end_ms),
        )
        .order_by("bar_start")
        .values_list("bar_start", *_COLUMNS)
        .iterator()
    )
    return {to_ms(row[0]): _features(symbol, *row[1:]) for row in rows}


def _features(
    symbol: str,
    time: datetime,
    mid: float,
    imbalance: float,
    microprice: float,
    spread_bps: float,
    depth_usd: float,
) -> BookFeatures:
    return BookFeatures(symbol, to_ms(time), mid, imbalance, microprice, spread_bps, depth_usd)
