"""What the strategy is told: a bar that is stored, with what the book said at that moment."""

from collections.abc import Callable
from dataclasses import dataclass

from avigrid.kernel.market import BookFeatures, Kline, Ticker


@dataclass(frozen=True, slots=True)
class ConfirmedBar:
    """Given in order of `bar.start_ms`, each 5m bar of a symbol once per holder of its lease.

    All bars of other intervals that closed with it are stored too, unless `is_complete` is false.
    """

    bar: Kline
    features: BookFeatures | None
    """None where no trustworthy book was there at the bar's end."""
    ticker: Ticker | None
    is_recovered: bool
    """The stream missed it; REST, or the process before us, stored it. It may be old."""
    interruption: str
    """Why something was missed before this bar ("" = nothing was); belongs into the decision log."""
    bars_recovered: int
    """How many bars, all intervals, REST gave for that interruption."""
    is_complete: bool
    received_ms: int
    """Exchange time at which the stream, or REST, gave the bar."""

    @property
    def symbol(self) -> str:
        return self.bar.symbol


OnBar = Callable[[ConfirmedBar], object]
"""A coroutine function runs on the event loop, a plain one in a database thread; in order, per symbol."""
