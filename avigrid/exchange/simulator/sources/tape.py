"""From a mid price that moves to what a venue sees of it: books, trades at the touch, mark and index prices."""

import math
import random
from collections.abc import Iterator
from decimal import Decimal

from avigrid.exchange.simulator.feed import MarkTick, SourceEvent, TapeTrade
from avigrid.exchange.simulator.sources.books import BookMaker
from avigrid.exchange.simulator.sources.catalogue import Character
from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.kernel.orders import Side

_SWEEP_BPS = 1.0
_HOUR_MS = 3_600_000


class TapeMaker:
    """One symbol. Trades move with the mid and never print outside the book that stood when they happened."""

    def __init__(self, spec: InstrumentSpec, character: Character, *, seed: int, levels: int = 200) -> None:
        self.spec = spec
        self._rng = random.Random(seed)
        self._books = BookMaker(spec, depth_usd=character.depth_usd, seed=seed ^ 0x5EED, levels=levels)
        self._tps = character.trades_per_s
        self._trade_usd = character.trade_usd
        self._tick_f = float(spec.tick_size)
        self._step_f = float(spec.qty_step)
        self._scale = Decimal(1).scaleb(-spec.price_scale)
        self._premium_bps = 0.0
        self._funding = Decimal("0.0001")
        self._funding_minute = -1

    def slice(
        self,
        start_ms: int,
        length_ms: int,
        mid_from: float,
        mid_to: float,
        *,
        imbalance: float,
        vol_ratio: float,
        activity: float,
    ) -> Iterator[SourceEvent]:
        """A book at `start_ms` around `mid_from`, then trades that carry the price towards `mid_to`."""
        stress = max(1.0, vol_ratio)
        spread_ticks = self.spread_ticks(mid_from, stress)
        yield self._books.around(
            start_ms, mid_from, spread_ticks=spread_ticks, imbalance=imbalance, stress=min(stress, 4.0)
        )
        touch = self._books.best(mid_from, spread_ticks)
        yield from self.trades(touch, start_ms, length_ms, mid_from, mid_to, imbalance=imbalance, activity=activity)

    def spread_ticks(self, mid: float, stress: float) -> int:
        spread_bps = min(20.0, 0.04 * stress**1.6)
        return max(1, round(spread_bps * mid / 10_000 / self._tick_f))

    def trades(
        self,
        touch: tuple[int, int],
        start_ms: int,
        length_ms: int,
        mid_from: float,
        mid_to: float,
        *,
        imbalance: float,
        activity: float,
    ) -> Iterator[TapeTrade]:
        """`touch`: best bid and ask in ticks. Buys print at or above the ask, sells at or below the bid."""
        rng = self._rng
        bid, ask = touch
        move = mid_to - mid_from
        count = _poisson(rng, self._tps * activity * length_ms / 1_000)
        if count == 0 and abs(move) > mid_from * _SWEEP_BPS / 10_000:
            count = 1
        if not count:
            return
        up_share = 0.5 + 0.22 * imbalance + (0.2 if move > 0 else -0.2 if move < 0 else 0.0)
        offsets = sorted(rng.randrange(1, length_ms) for _ in range(count))
        for number, offset in enumerate(offsets, start=1):
            last = number == count
            buys = move > 0 if last and move else rng.random() < up_share
            travelled = move * (1.0 if last else offset / length_ms)
            ticks = int(abs(travelled) / self._tick_f)
            reached = ticks if (travelled > 0) is buys else 0
            at = ask + reached if buys else bid - reached
            if at <= 0:
                continue
            price = self.spec.tick_size * at
            size = max(1, int(self._trade_usd * rng.expovariate(1.0) / mid_from / self._step_f))
            side = Side.BUY if buys else Side.SELL
            yield TapeTrade(self.spec.symbol, start_ms + offset, price, self.spec.qty_step * size, side)

    def mark(self, time_ms: int, mid: float, *, imbalance: float) -> MarkTick:
        """Mark near the mid, index a small drifting premium away; funding re-estimated once a minute."""
        self._premium_bps += -self._premium_bps / 600 + 0.06 * imbalance + self._rng.gauss(0, 0.05)
        premium = max(-40.0, min(40.0, self._premium_bps)) / 10_000
        minute = time_ms // 60_000
        if minute != self._funding_minute:
            self._funding_minute = minute
            self._funding = self._funding_rate(premium)
        mark = Decimal(mid).quantize(self._scale)
        index = Decimal(mid / (1 + premium)).quantize(self._scale)
        least = self._scale
        return MarkTick(self.spec.symbol, time_ms, max(mark, least), max(index, least), self._funding)

    def _funding_rate(self, premium: float) -> Decimal:
        interest = 0.0001 * self.spec.funding_interval_min / 480
        rate = premium + max(-0.0005, min(0.0005, interest - premium))
        cap = float(self.spec.funding_cap)
        return Decimal(max(-cap, min(cap, rate))).quantize(Decimal("0.00000001")).normalize() + 0


def _poisson(rng: random.Random, mean: float) -> int:
    """Knuth's method; means here are small, large ones are taken as their rounded normal."""
    if mean > 30:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
