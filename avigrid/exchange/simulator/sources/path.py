"""A market that follows a drawn line: per symbol (seconds, price) points joined by straight lines in log price.

For scenarios: the same books and trades as the synthetic market, with noise only as far as it is asked for.
"""

import heapq
import math
import random
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from avigrid.exchange.simulator.feed import HistoryBar, SourceEvent
from avigrid.exchange.simulator.sources.catalogue import CHARACTERS, SPECS
from avigrid.exchange.simulator.sources.errors import BadSource
from avigrid.exchange.simulator.sources.fundings import quiet_past
from avigrid.exchange.simulator.sources.tape import TapeMaker
from avigrid.exchange.simulator.specs import InstrumentSpec

_SECOND_MS = 1_000
_MINUTE_MS = 60_000
_HISTORY_MIN = 1_500


@dataclass(frozen=True, slots=True)
class Line:
    """`points` rise in time from 0 s; after the last one the price stays. `noise_bps` is per second."""

    points: tuple[tuple[float, float], ...]
    noise_bps: float = 0.0
    stress: float = 1.0

    def price_at(self, second: float) -> float:
        times = [time for time, _ in self.points]
        place = bisect_right(times, second)
        if place == 0:
            return self.points[0][1]
        if place == len(self.points):
            return self.points[-1][1]
        (left, from_price), (right, to_price) = self.points[place - 1], self.points[place]
        share = (second - left) / (right - left)
        return math.exp(math.log(from_price) * (1 - share) + math.log(to_price) * share)


class PathSource:
    """One second is the grain of the line; volatility, and with it spread and depth, follows its slope."""

    def __init__(self, lines: Mapping[str, Line], *, start_ms: int, seed: int) -> None:
        for symbol, line in lines.items():
            if symbol not in SPECS:
                raise BadSource(f"unknown symbol {symbol}; known are {', '.join(SPECS)}")
            times = [time for time, _ in line.points]
            if not times or times[0] != 0 or times != sorted(set(times)) or min(p for _, p in line.points) <= 0:
                raise BadSource(f"{symbol}: a path begins at 0 s and goes forward, with prices above 0")
        self._lines = dict(lines)
        self._start_ms = start_ms - start_ms % _MINUTE_MS
        self._seed = seed
        self._events = heapq.merge(*(self._play(symbol) for symbol in lines), key=_time)
        self._next: SourceEvent | None = None

    @property
    def start_ms(self) -> int:
        return self._start_ms

    def instruments(self) -> Sequence[InstrumentSpec]:
        return [SPECS[symbol] for symbol in self._lines]

    def history(self, symbol: str) -> tuple[int, Sequence[HistoryBar]]:
        """A flat day before the start, at the first price."""
        spec = SPECS[symbol]
        price = spec.tick_size * max(1, round(self._lines[symbol].points[0][1] / float(spec.tick_size)))
        volume = spec.qty_step * 100
        begin_ms = self._start_ms - _HISTORY_MIN * _MINUTE_MS
        bars = [
            HistoryBar(begin_ms + number * _MINUTE_MS, price, price, price, price, volume, volume * price)
            for number in range(_HISTORY_MIN)
        ]
        return 1, bars

    def fundings(self, symbol: str) -> Sequence[tuple[int, Decimal]]:
        return quiet_past(self._start_ms, SPECS[symbol].funding_interval_min)

    def events_until(self, ms: int) -> Iterator[SourceEvent]:
        event = self._next
        self._next = None
        while True:
            if event is None:
                event = next(self._events)
            if event.time_ms > ms:
                self._next = event
                return
            yield event
            event = None

    def _play(self, symbol: str) -> Iterator[SourceEvent]:
        line, character = self._lines[symbol], CHARACTERS[symbol]
        seed = self._seed * 31 + sum(map(ord, symbol))
        maker = TapeMaker(SPECS[symbol], character, seed=seed)
        rng = random.Random(seed + 1)
        usual = character.sigma_5m / math.sqrt(300)
        second, offset = 0, 0.0
        mid = line.price_at(0)
        while True:
            start_ms = self._start_ms + second * _SECOND_MS
            if line.noise_bps:
                offset = 0.98 * offset + rng.gauss(0, line.noise_bps / 10_000)
            after = line.price_at(second + 1) * (1 + offset)
            vol_ratio = max(line.stress, min(8.0, abs(math.log(after / mid)) / usual / 2))
            lean = max(-0.8, min(0.8, (after - mid) / mid * 2_000))
            yield maker.mark(start_ms, mid, imbalance=0.0)
            yield from maker.slice(
                start_ms, _SECOND_MS, mid, after, imbalance=lean, vol_ratio=vol_ratio, activity=max(1.0, vol_ratio)
            )
            mid = after
            second += 1


def flat(price: float) -> Line:
    return Line(points=((0.0, price),))


def _time(event: SourceEvent) -> int:
    return event.time_ms
