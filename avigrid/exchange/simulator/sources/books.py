"""Outside liquidity around a price: levels that stay at their prices while the market walks through them."""

import random
from decimal import Decimal

from avigrid.exchange.simulator.feed import BookTarget, Level
from avigrid.exchange.simulator.specs import InstrumentSpec

TOP_LEVELS = 12
_KEEP = 6_000


class BookMaker:
    """One symbol's outside book. Integer ticks and steps inside, Decimals at the edge; seeded, no clock."""

    def __init__(self, spec: InstrumentSpec, *, depth_usd: float, seed: int, levels: int = 200) -> None:
        self._symbol = spec.symbol
        self._tick = spec.tick_size
        self._step = spec.qty_step
        self._tick_f = float(spec.tick_size)
        self._step_f = float(spec.qty_step)
        self._depth_usd = depth_usd
        self._levels = levels
        self._rng = random.Random(seed)
        self._resting: tuple[dict[int, Level], dict[int, Level]] = ({}, {})

    def target(
        self, time_ms: int, mid: float, *, spread_ticks: int, imbalance: float, stress: float = 1.0
    ) -> BookTarget:
        """A book around `mid`. `imbalance` in (-1, 1) tilts the best levels; `stress` >= 1 thins all of them."""
        best_bid, best_ask = self.best(mid, spread_ticks)
        density = self._density(mid)
        base = self._base_steps(mid, density) / stress
        lean = max(-0.95, min(0.95, imbalance))
        return BookTarget(
            symbol=self._symbol,
            time_ms=time_ms,
            bids=self._side(0, best_bid, -1, base, density, 1 + lean),
            asks=self._side(1, best_ask, 1, base, density, 1 - lean),
        )

    def best(self, mid: float, spread_ticks: int) -> tuple[int, int]:
        """Best bid and ask in ticks, never crossed, never at or below zero."""
        spread_ticks = max(1, spread_ticks)
        bid = max(1, int(mid / self._tick_f - spread_ticks / 2 + 0.5))
        return bid, bid + spread_ticks

    def price(self, ticks: int) -> Decimal:
        return self._tick * ticks

    def _density(self, mid: float) -> float:
        """Share of price ticks that carry a level: fine ticks leave gaps."""
        tick_bps = self._tick_f / mid * 10_000
        return min(1.0, max(0.15, tick_bps / 0.05))

    def _base_steps(self, mid: float, density: float) -> float:
        """Mean level size in steps, so that the levels within 10 bps add up to the depth asked for."""
        ticks_in_reach = max(1.0, mid * 0.001 / self._tick_f)
        levels_in_reach = max(1.0, ticks_in_reach * density)
        return max(1.0, self._depth_usd / levels_in_reach / mid / self._step_f)

    def _side(self, side: int, best: int, away: int, base: float, density: float, lean: float) -> tuple[Level, ...]:
        resting = self._resting[side]
        rng = self._rng.random
        out: list[Level] = []
        ticks = best
        count = 0
        limit = self._levels
        while count < limit and ticks > 0:
            level = resting.get(ticks)
            if level is None:
                # A zero size marks a tick that carries nothing; remembered so that it does not flicker.
                empty = count > 2 and rng() > density
                size = 0 if empty else 1 + int(base * (0.25 + 1.5 * rng() * rng() * 2))
                level = (self._tick * ticks, self._step * size)
                resting[ticks] = level
            if count < TOP_LEVELS:
                size = 1 + int(base * lean * (0.7 + 0.6 * rng()) * (0.5 + 0.5 * (count + 1) / TOP_LEVELS))
                out.append((level[0], self._step * size))
                count += 1
            elif level[1]:
                out.append(level)
                count += 1
            ticks += away
        self._stir(resting, best, away, base)
        return tuple(out)

    def _stir(self, resting: dict[int, Level], best: int, away: int, base: float) -> None:
        """A few orders come and go deeper in the book; levels far behind are forgotten."""
        for _ in range(4):
            ticks = best + away * self._rng.randrange(TOP_LEVELS, 120)
            if ticks > 0:
                resting[ticks] = (self._tick * ticks, self._step * (1 + int(base * 2 * self._rng.random())))
        if len(resting) > _KEEP:
            near = {t: level for t, level in resting.items() if abs(t - best) < _KEEP // 4}
            resting.clear()
            resting.update(near)
