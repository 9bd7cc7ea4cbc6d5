"""A market that was pushed: after a price jump the source goes on at the new level instead of snapping back."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from avigrid.exchange.simulator.feed import (
    BookGrid,
    BookTarget,
    HistoryBar,
    Level,
    MarkTick,
    Source,
    SourceEvent,
    TapeTrade,
)
from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.kernel.money import Rounding, to_multiple

ONE = Decimal(1)


class ShiftedSource:
    """Passes its source through; a symbol that was shifted has all its prices scaled, on the tick grid, from then
    on.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._specs = {spec.symbol: spec for spec in source.instruments()}
        self._factors: dict[str, Decimal] = {}

    @property
    def start_ms(self) -> int:
        return self._source.start_ms

    def instruments(self) -> Sequence[InstrumentSpec]:
        return self._source.instruments()

    def history(self, symbol: str) -> tuple[int, Sequence[HistoryBar]]:
        return self._source.history(symbol)

    def fundings(self, symbol: str) -> Sequence[tuple[int, Decimal]]:
        return self._source.fundings(symbol)

    def shift(self, symbol: str, ratio: Decimal) -> None:
        """`ratio` -0.05 puts the rest of this market 5 % lower than it would have been."""
        self._factors[symbol] = self._factors.get(symbol, ONE) * (1 + ratio)

    def events_until(self, ms: int) -> Iterable[SourceEvent]:
        events = self._source.events_until(ms)
        return self._shifted(events) if self._factors else events

    def _shifted(self, events: Iterable[SourceEvent]) -> Iterator[SourceEvent]:
        for event in events:
            factor = self._factors.get(event.symbol)
            yield event if factor is None else self._moved(event, factor)

    def _moved(self, event: SourceEvent, factor: Decimal) -> SourceEvent:
        spec = self._specs[event.symbol]
        if isinstance(event, TapeTrade):
            price = self._on_grid(event.price * factor, spec)
            return TapeTrade(event.symbol, event.time_ms, price, event.quantity, event.side)
        if isinstance(event, MarkTick):
            unit = ONE.scaleb(-spec.price_scale)
            mark = max(unit, (event.mark_price * factor).quantize(unit))
            index = max(unit, (event.index_price * factor).quantize(unit))
            return MarkTick(event.symbol, event.time_ms, mark, index, event.funding_rate)
        if isinstance(event, BookGrid):
            return _moved_grid(event, float(factor))
        bids = self._levels(event.bids, factor, spec, Rounding.DOWN)
        asks = self._levels(event.asks, factor, spec, Rounding.UP)
        if bids and asks and bids[0][0] >= asks[0][0]:
            asks = tuple(level for level in asks if level[0] > bids[0][0])
        return BookTarget(event.symbol, event.time_ms, bids, asks)

    @staticmethod
    def _levels(
        levels: tuple[Level, ...], factor: Decimal, spec: InstrumentSpec, rounding: Rounding
    ) -> tuple[Level, ...]:
        """Levels that land on one tick become one level."""
        merged: dict[Decimal, Decimal] = {}
        for price, size in levels:
            moved = max(spec.tick_size, to_multiple(price * factor, spec.tick_size, rounding))
            merged[moved] = merged.get(moved, Decimal(0)) + size
        return tuple(merged.items())

    @staticmethod
    def _on_grid(price: Decimal, spec: InstrumentSpec) -> Decimal:
        return max(spec.tick_size, to_multiple(price, spec.tick_size, Rounding.NEAREST))


def _moved_grid(event: BookGrid, factor: float) -> BookGrid:
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for ticks, steps in event.bids.items():
        moved = max(1, int(ticks * factor))
        bids[moved] = bids.get(moved, 0) + steps
    best = max(bids, default=0)
    for ticks, steps in event.asks.items():
        moved = max(best + 1, -int(-ticks * factor))
        asks[moved] = asks.get(moved, 0) + steps
    return BookGrid(event.symbol, event.time_ms, bids, asks)
