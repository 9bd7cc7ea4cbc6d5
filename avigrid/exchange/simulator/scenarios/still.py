"""A market that stands still between drawn moments: the same book around one price until the next moment comes.

For scenarios whose fills must be known by hand: a taker gets the price one tick beyond, a resting order its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from avigrid.exchange.simulator.feed import BookTarget, HistoryBar, MarkTick, SourceEvent, TapeTrade
from avigrid.exchange.simulator.sources.fundings import quiet_past
from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.kernel.orders import Side

LEVELS = 5
_DEEP = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Moment:
    """From `at_ms` after the start on, the book stands one tick either side of `price`, mark and index are there.

    `size` None is a deep book of several levels; a number is all there is, on one level a side. A size is shown once:
    what was eaten does not come back before the next moment.
    """

    at_ms: int
    price: Decimal
    size: Decimal | None = None
    funding_rate: Decimal = Decimal("0.0001")


class StillSource:
    def __init__(self, spec: InstrumentSpec, moments: Sequence[Moment], *, start_ms: int) -> None:
        """`moments` rise in time from 0."""
        self._spec = spec
        self._start_ms = start_ms
        self._moments = list(moments)
        self._shown = 0

    @property
    def start_ms(self) -> int:
        return self._start_ms

    def instruments(self) -> Sequence[InstrumentSpec]:
        return [self._spec]

    def history(self, symbol: str) -> tuple[int, Sequence[HistoryBar]]:
        return 1, ()

    def fundings(self, symbol: str) -> Sequence[tuple[int, Decimal]]:
        return quiet_past(self._start_ms, self._spec.funding_interval_min)

    def events_until(self, ms: int) -> Iterator[SourceEvent]:
        while self._shown < len(self._moments) and self._start_ms + self._moments[self._shown].at_ms <= ms:
            before = self._moments[self._shown - 1] if self._shown else None
            moment = self._moments[self._shown]
            self._shown += 1
            yield from self._scene(moment, before)

    def _scene(self, moment: Moment, before: Moment | None) -> Iterator[SourceEvent]:
        """Book first: what rests in the way is filled before the mark price fires a stop."""
        spec, at_ms = self._spec, self._start_ms + moment.at_ms
        tick = spec.tick_size
        levels = LEVELS if moment.size is None else 1
        size = _DEEP if moment.size is None else moment.size
        bids, asks = (
            tuple((moment.price + side * tick * number, size) for number in range(1, levels + 1)) for side in (-1, 1)
        )
        yield BookTarget(spec.symbol, at_ms, bids, asks)
        if moment.size is None:
            is_up = before is None or moment.price >= before.price
            side = Side.BUY if is_up else Side.SELL
            yield TapeTrade(spec.symbol, at_ms, asks[0][0] if is_up else bids[0][0], spec.qty_step, side)
        yield MarkTick(spec.symbol, at_ms, moment.price, moment.price, moment.funding_rate)
