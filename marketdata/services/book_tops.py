"""The best levels of each book and the bar that is forming, for screens only. They live in Redis and are seconds old at
most; decisions read the book itself."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Protocol

from django.core.cache import cache

from avigrid.kernel.market import BookFeatures, Kline
from marketdata.selectors.book_tops import KEY, BookTop, FormingBar, Level

KEEP_S = 15
LEVELS = 20


class ShownBook(Protocol):
    def bids(self) -> Sequence[Level]: ...
    def asks(self) -> Sequence[Level]: ...
    def features(self, time_ms: int) -> BookFeatures | None: ...


def book_top(book: ShownBook, forming: Kline | None, symbol: str) -> BookTop | None:
    """None while the book may not be used."""
    features = book.features(0)
    if features is None:
        return None
    bar = None
    if forming is not None:
        bar = FormingBar(forming.start_ms, forming.open, forming.high, forming.low, forming.close, forming.volume)
    return BookTop(
        symbol=symbol,
        bids=tuple(book.bids()[:LEVELS]),
        asks=tuple(book.asks()[:LEVELS]),
        mid=features.mid,
        microprice=features.microprice,
        imbalance=features.imbalance,
        spread_bps=features.spread_bps,
        depth_usd=features.depth_usd,
        forming=bar,
    )


def book_tops_publish(tops: Iterable[BookTop]) -> None:
    written_s = time.time()  # noqa: TID251
    cache.set_many({KEY.format(top.symbol): {**asdict(top), "written_s": written_s} for top in tops}, KEEP_S)
