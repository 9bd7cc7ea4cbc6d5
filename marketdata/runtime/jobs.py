"""What the router tells a symbol's worker, and what they both look at."""

from dataclasses import dataclass, field

from avigrid.kernel.market import BookFeatures, Kline, Ticker
from marketdata.runtime.ports import Book


@dataclass(frozen=True, slots=True)
class BarJob:
    bar: Kline
    features: BookFeatures | None
    received_ms: int
    received_s: float


@dataclass(frozen=True, slots=True)
class CatchUpJob:
    reason: str


@dataclass(frozen=True, slots=True)
class StopJob:
    pass


@dataclass(slots=True)
class SymbolState:
    """What the stream last said; written by the router, read by anybody on the event loop."""

    book: Book
    ticker: Ticker | None = None
    forming: dict[int, Kline] = field(default_factory=dict)
    """The unclosed bar per interval."""


@dataclass(frozen=True, slots=True)
class SymbolHealth:
    """How one symbol is doing, for heartbeats, pages and alerts."""

    symbol: str
    queued: int
    catching_up: str
    """Why decisions are held back ("" = they are not)."""
    store_delayed_s: float
    """For how long the database has not taken the bar in hand; 0 when it does."""
    book_is_ready: bool
    decided_ms: int | None
    """Start of the newest bar that was decided on."""
