"""What the pipeline needs from others, so that it names no venue and tests need no database."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Protocol

from avigrid.common.leases import HeldLease
from avigrid.exchange.ports import MarketEvent
from avigrid.kernel.market import BookFeatures, BookUpdate, Kline, PublicTrade
from marketdata.runtime.recovery import Recovery

Level = tuple[float, float]


class Book(Protocol):
    """One symbol's order book; `apply` and `check_top` return why it can no longer be trusted, or None."""

    @property
    def is_ready(self) -> bool: ...
    def apply(self, update: BookUpdate) -> str | None: ...
    def check_top(self, top: BookUpdate) -> str | None: ...
    def invalidate(self) -> None: ...
    def features(self, time_ms: int) -> BookFeatures | None: ...
    def bids(self) -> Sequence[Level]: ...
    def asks(self) -> Sequence[Level]: ...


class Feed(Protocol):
    """A MarketFeed whose topics change while it runs."""

    def events(self) -> AsyncIterator[MarketEvent]: ...
    def add(self, topics: Iterable[str]) -> None: ...
    def remove(self, topics: Iterable[str]) -> None: ...
    def resync(self, topic: str, reason: str) -> None: ...
    async def aclose(self) -> None: ...


class Storage(Protocol):
    """Synchronous, called in a database thread; raises what the services raise."""

    def bar(self, bar: Kline, features: BookFeatures | None, *, now_ms: int, lease: HeldLease | None) -> None: ...
    def recover(
        self,
        symbol: str,
        since_ms: dict[int, int],
        *,
        now_ms: int,
        features: BookFeatures | None,
        reason: str,
        lease: HeldLease | None,
    ) -> Recovery:
        """Fetch every closed bar that is missing since `since_ms[interval]`, and store it."""
        ...

    def recover_tape(self, symbol: str, *, now_ms: int) -> None: ...
    def trades(self, trades: Sequence[PublicTrade]) -> None: ...
    def book_log(self, updates: Sequence[BookUpdate]) -> None: ...


BookFactory = Callable[[str], Book]
TopicsOf = Callable[[str], Sequence[str]]
"""A symbol's topics. A topic is `kind.….SYMBOL`, as in StreamState.topic."""
