"""What a market source tells the venue, in time order. Prices and quantities are Decimals on the instrument's grid.

A source describes the world outside: the liquidity others show (`BookTarget`), the trades others make (`TapeTrade`)
and the reference prices (`MarkTick`). The venue lets our orders compete inside it and makes klines, tickers and
books from what then happens; a source never talks about our account.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.kernel.orders import Side

Level = tuple[Decimal, Decimal]
"""(price, size)."""


@dataclass(frozen=True, slots=True)
class BookTarget:
    """Outside liquidity; replaces the previous outside levels. bids best (highest) first, asks best (lowest) first."""

    symbol: str
    time_ms: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class BookGrid:
    """As `BookTarget`, in whole ticks and steps: {ticks: steps}, fresh dicts that the venue keeps."""

    symbol: str
    time_ms: int
    bids: dict[int, int]
    asks: dict[int, int]


@dataclass(frozen=True, slots=True)
class TapeTrade:
    """Others' trade; `side` is the taker's. It eats the outside queue and our resting orders at `price` or better."""

    symbol: str
    time_ms: int
    price: Decimal
    quantity: Decimal
    side: Side


@dataclass(frozen=True, slots=True)
class MarkTick:
    """Reference prices; `funding_rate` is the running estimate charged at the next funding time."""

    symbol: str
    time_ms: int
    mark_price: Decimal
    index_price: Decimal
    funding_rate: Decimal


SourceEvent = BookTarget | BookGrid | TapeTrade | MarkTick


@dataclass(frozen=True, slots=True)
class HistoryBar:
    """A bar that ended before the venue's start, for warm-up; volume in base coin, turnover in quote coin."""

    start_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    turnover: Decimal


class Source(Protocol):
    """A market. Deterministic: the same construction gives the same events, however the calls cut the time."""

    @property
    def start_ms(self) -> int: ...

    def instruments(self) -> Sequence[InstrumentSpec]: ...

    def events_until(self, ms: int) -> Iterable[SourceEvent]:
        """Events with time_ms <= ms not handed out before, in time order."""
        ...

    def history(self, symbol: str) -> tuple[int, Sequence[HistoryBar]]:
        """(interval in minutes, bars oldest first) before `start_ms`; () where there is none."""
        ...

    def fundings(self, symbol: str) -> Sequence[tuple[int, Decimal]]:
        """Past settlements (ms, rate) before `start_ms`, oldest first; () where unknown."""
        ...
