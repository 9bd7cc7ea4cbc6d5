"""A market in large steps, for tests over weeks: a seeded walk, a deep book around it, one trade a step."""

import random
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from avigrid.exchange.simulator.feed import BookTarget, HistoryBar, MarkTick, SourceEvent, TapeTrade
from avigrid.exchange.simulator.sources.catalogue import SPECS
from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.kernel.orders import Side

_LEVELS = 5
_DEEP = Decimal(10_000)
_SIGMA_A_STEP = 0.0014


class CoarseSource:
    """`prices` are where the symbols begin; each wanders off and is drawn back."""

    def __init__(self, prices: Mapping[str, float], *, start_ms: int, seed: int = 1, step_ms: int = 900_000) -> None:
        self._begin = dict(prices)
        self._start_ms = start_ms
        self._step_ms = step_ms
        self._rng = random.Random(seed)
        self._now = dict(prices)
        self._next_ms = start_ms

    @property
    def start_ms(self) -> int:
        return self._start_ms

    def instruments(self) -> Sequence[InstrumentSpec]:
        return [SPECS[symbol] for symbol in self._begin]

    def history(self, symbol: str) -> tuple[int, Sequence[HistoryBar]]:
        return 1, ()

    def fundings(self, symbol: str) -> Sequence[tuple[int, Decimal]]:
        return ()

    def events_until(self, ms: int) -> Iterator[SourceEvent]:
        while self._next_ms <= ms:
            for symbol in self._begin:
                yield from self._step(symbol, self._next_ms)
            self._next_ms += self._step_ms

    def _step(self, symbol: str, at_ms: int) -> Iterator[SourceEvent]:
        before, home = self._now[symbol], self._begin[symbol]
        drawn = 0.01 * (home - before) / home
        after = self._now[symbol] = before * (1 + drawn + self._rng.gauss(0, _SIGMA_A_STEP))
        spec = SPECS[symbol]
        tick = spec.tick_size
        mid = tick * round(after / float(tick))
        bids, asks = (
            tuple((mid + side * tick * number, _DEEP) for number in range(1, _LEVELS + 1)) for side in (-1, 1)
        )
        yield BookTarget(symbol, at_ms, bids, asks)
        is_up = after >= before
        price = asks[0][0] if is_up else bids[0][0]
        yield TapeTrade(symbol, at_ms, price, spec.qty_step, Side.BUY if is_up else Side.SELL)
        rate = Decimal(self._rng.randint(-100, 300)).scaleb(-6)
        yield MarkTick(symbol, at_ms, mid, mid, rate)
