"""One symbol's order book from snapshots and deltas. Pure; per side two lists kept sorted by bisection, for speed.

Any doubt about the sequence ends trust until the next snapshot: a wrong book is worse than none.
"""

from bisect import bisect_left
from collections import Counter
from enum import StrEnum
from math import nan

from avigrid.kernel.market import BOOK_LEVELS, BookFeatures, BookUpdate

Level = tuple[float, float]
_DEPTH_RATIO = 0.001  # 10 bps


class Fault(StrEnum):
    """Why a fresh snapshot is needed."""

    GAP = "gap"
    CROSSED = "crossed"
    UNKNOWN_DELETE = "unknown_delete"
    RESTART = "restart"
    TOP_DIFFERS = "top_differs"


class OrderBook:
    """Prices ascend on both sides, so the best bid is the last of its list and the best ask the first."""

    __slots__ = (
        "_ask_prices",
        "_ask_sizes",
        "_bid_prices",
        "_bid_sizes",
        "faults",
        "is_ready",
        "matched_ms",
        "sent_ms",
        "seq",
        "symbol",
        "update_id",
    )

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.is_ready = False
        self.update_id = 0
        self.seq = 0
        self.matched_ms = 0
        self.sent_ms = 0
        self.faults: Counter[Fault] = Counter()
        """Every resynchronisation that was needed, by reason; a restart that came with its snapshot counts too."""
        self._bid_prices: list[float] = []
        self._bid_sizes: list[float] = []
        self._ask_prices: list[float] = []
        self._ask_sizes: list[float] = []

    def apply(self, update: BookUpdate) -> Fault | None:
        """A reason means: the book is not ready until the next snapshot. Deltas before that are ignored."""
        update_id = update.update_id
        if update.is_snapshot:
            return self._replace(update)
        if not self.is_ready:
            return None
        if update_id != self.update_id + 1:
            return self._distrust(Fault.RESTART if update_id == 1 else Fault.GAP)
        prices, sizes = self._bid_prices, self._bid_sizes
        for price, size in update.bids:
            at = bisect_left(prices, price)
            if at < len(prices) and prices[at] == price:
                if size:
                    sizes[at] = size
                else:
                    del prices[at], sizes[at]
            elif size:
                prices.insert(at, price)
                sizes.insert(at, size)
            else:
                return self._distrust(Fault.UNKNOWN_DELETE)
        asks, sizes = self._ask_prices, self._ask_sizes
        for price, size in update.asks:
            at = bisect_left(asks, price)
            if at < len(asks) and asks[at] == price:
                if size:
                    sizes[at] = size
                else:
                    del asks[at], sizes[at]
            elif size:
                asks.insert(at, price)
                sizes.insert(at, size)
            else:
                return self._distrust(Fault.UNKNOWN_DELETE)
        if prices and asks and prices[-1] >= asks[0]:
            return self._distrust(Fault.CROSSED)
        self.update_id = update_id
        self.seq = update.seq
        self.matched_ms = update.matched_ms
        self.sent_ms = update.sent_ms
        return None

    def check_top(self, top: BookUpdate) -> Fault | None:
        """Held against the shallow book's snapshot of the same moment (equal `seq`), the best prices must be equal."""
        if not self.is_ready or top.seq != self.seq or not top.bids or not top.asks:
            return None
        if (top.bids[0][0], top.asks[0][0]) == (self.best_bid, self.best_ask):
            return None
        return self._distrust(Fault.TOP_DIFFERS)

    def invalidate(self) -> None:
        """After the connection broke: only a snapshot is believed."""
        self.is_ready = False

    def bids(self, count: int | None = None) -> list[Level]:
        """Best first."""
        first = 0 if count is None else max(0, len(self._bid_prices) - count)
        pairs = list(zip(self._bid_prices[first:], self._bid_sizes[first:], strict=True))
        pairs.reverse()
        return pairs

    def asks(self, count: int | None = None) -> list[Level]:
        """Best first."""
        return list(zip(self._ask_prices[:count], self._ask_sizes[:count], strict=True))

    @property
    def best_bid(self) -> float:
        return self._bid_prices[-1] if self._bid_prices else nan

    @property
    def best_ask(self) -> float:
        return self._ask_prices[0] if self._ask_prices else nan

    @property
    def mid(self) -> float:
        return (self.best_bid + self.best_ask) / 2

    @property
    def spread_bps(self) -> float:
        mid = self.mid
        return (self.best_ask - self.best_bid) / mid * 10_000

    def imbalance(self, count: int = BOOK_LEVELS) -> float:
        """(B - A) / (B + A) over the sizes of the best `count` levels; NaN for an empty book."""
        bids = sum(self._bid_sizes[-count:])
        asks = sum(self._ask_sizes[:count])
        total = bids + asks
        return (bids - asks) / total if total else nan

    def microprice(self) -> float:
        """The mid weighted towards the thinner side of the best level; NaN where a side is empty."""
        if not self._bid_prices or not self._ask_prices:
            return nan
        bid_size, ask_size = self._bid_sizes[-1], self._ask_sizes[0]
        return (self._ask_prices[0] * bid_size + self._bid_prices[-1] * ask_size) / (bid_size + ask_size)

    def depth_usd(self) -> float:
        """Notional within 10 bps of mid, both sides."""
        mid = self.mid
        first_bid = bisect_left(self._bid_prices, mid * (1 - _DEPTH_RATIO))
        end_ask = bisect_left(self._ask_prices, mid * (1 + _DEPTH_RATIO))
        bids = zip(self._bid_prices[first_bid:], self._bid_sizes[first_bid:], strict=True)
        asks = zip(self._ask_prices[:end_ask], self._ask_sizes[:end_ask], strict=True)
        return sum(price * size for price, size in bids) + sum(price * size for price, size in asks)

    def features(self, time_ms: int) -> BookFeatures | None:
        """None while the book may not be used."""
        if not self.is_ready or not self._bid_prices or not self._ask_prices:
            return None
        return BookFeatures(
            symbol=self.symbol,
            time_ms=time_ms,
            mid=self.mid,
            imbalance=self.imbalance(),
            microprice=self.microprice(),
            spread_bps=self.spread_bps,
            depth_usd=self.depth_usd(),
        )

    def _replace(self, update: BookUpdate) -> Fault | None:
        if self.is_ready and update.update_id == 1 and self.update_id != 1:
            self.faults[Fault.RESTART] += 1
        bids = sorted(level for level in update.bids if level[1])
        asks = sorted(level for level in update.asks if level[1])
        self._bid_prices = [level[0] for level in bids]
        self._bid_sizes = [level[1] for level in bids]
        self._ask_prices = [level[0] for level in asks]
        self._ask_sizes = [level[1] for level in asks]
        if bids and asks and bids[-1][0] >= asks[0][0]:
            return self._distrust(Fault.CROSSED)
        self.is_ready = True
        self.update_id = update.update_id
        self.seq = update.seq
        self.matched_ms = update.matched_ms
        self.sent_ms = update.sent_ms
        return None

    def _distrust(self, fault: Fault) -> Fault:
        self.is_ready = False
        self.faults[fault] += 1
        self._clear()
        return fault

    def _clear(self) -> None:
        self._bid_prices = []
        self._bid_sizes = []
        self._ask_prices = []
        self._ask_sizes = []
