"""Store order-book features that were computed from a recorded book, not sampled live."""

from collections.abc import Sequence

from avigrid.kernel.market import BookFeatures
from marketdata.models import BookFeature
from marketdata.selectors.times import to_datetime


def book_features_store(rows: Sequence[tuple[int, BookFeatures]], *, interval_min: int = 5) -> int:
    """(bar start ms, features at that bar's end) of one symbol; live samples stay. Returns how many were new."""
    if not rows:
        return 0
    symbol = rows[0][1].symbol
    bars = BookFeature.objects.filter(symbol=symbol, interval_min=interval_min)
    before = bars.count()
    BookFeature.objects.bulk_create(
        [
            BookFeature(
                symbol=symbol,
                interval_min=interval_min,
                bar_start=to_datetime(start_ms),
                time=to_datetime(features.time_ms),
                mid=features.mid,
                imbalance=features.imbalance,
                microprice=features.microprice,
                spread_bps=features.spread_bps,
                depth_usd=features.depth_usd,
            )
            for start_ms, features in rows
        ],
        ignore_conflicts=True,
        batch_size=1_000,
    )
    return bars.count() - before
