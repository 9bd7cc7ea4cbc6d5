"""Outside liquidity around a price: levels that stay at their prices while the market walks through them."""

import random
from decimal import Decimal

from avigrid.exchange.simulator.feed import BookGrid
from avigrid.exchange.simulator.specs import InstrumentSpec

TOP_LEVELS = 12
_REACH = 24
"""The deep part of a side is kept until the best price has moved by this many ticks."""
_SPARE = 80
"""Levels beyond those asked for: a sweep between two looks must not thin out what a 200-level feed shows."""
_REMEMBERED = 8_000


class _Side:
    """`away` is the direction that leads deeper: -1 for bids, +1 for asks. `deep`: ticks -> steps; `known`: the level
    that every block of ticks carries, remembered so that it stands again when the market comes back.
    """

    __slots__ = ("anchor", "away", "deep", "known")

    def __init__(self, away: int) -> None:
        self.away = away
        self.anchor = 0
        self.deep: dict[int, int] = {}
        self.known: dict[int, tuple[int, int]] = {}


class BookMaker:
    """One symbol's outside book in ticks and steps; seeded, no clock."""

    def __init__(self, spec: InstrumentSpec, *, depth_usd: float, seed: int, levels: int = 200) -> None:
        self._symbol = spec.symbol
        self._tick = spec.tick_size
        self._tick_f = float(spec.tick_size)
        self._step_f = float(spec.qty_step)
        self._depth_usd = depth_usd
        self._levels = levels
        self._rng = random.Random(seed)
        self._bids, self._asks = _Side(-1), _Side(1)

    def around(self, time_ms: int, mid: float, *, spread_ticks: int, imbalance: float, stress: float = 1.0) -> BookGrid:
        """A book around `mid`. `imbalance` in (-1, 1) tilts the best levels; `stress` >= 1 thins all of them."""
        best_bid, best_ask = self.best(mid, spread_ticks)
        block = self._block(mid)
        base = self._base_steps(mid, block) / stress
        lean = max(-0.95, min(0.95, imbalance))
        return BookGrid(
            symbol=self._symbol,
            time_ms=time_ms,
            bids=self._levels_of(self._bids, best_bid, base * (1 + lean), base, block),
            asks=self._levels_of(self._asks, best_ask, base * (1 - lean), base, block),
        )

    def best(self, mid: float, spread_ticks: int) -> tuple[int, int]:
        """Best bid and ask in ticks, never crossed, never at or below zero."""
        spread_ticks = max(1, spread_ticks)
        bid = max(1, int(mid / self._tick_f - spread_ticks / 2 + 0.5))
        return bid, bid + spread_ticks

    def price(self, ticks: int) -> Decimal:
        return self._tick * ticks

    def _block(self, mid: float) -> int:
        """Ticks that share one level: fine ticks leave gaps."""
        tick_bps = self._tick_f / mid * 10_000
        return max(1, min(4, round(0.05 / tick_bps)))

    def _base_steps(self, mid: float, block: int) -> float:
        """Mean level size in steps, so that the levels within 10 bps add up to the depth asked for."""
        ticks_in_reach = max(1.0, mid * 0.001 / self._tick_f)
        levels_in_reach = max(1.0, ticks_in_reach / block)
        return max(1.0, self._depth_usd / levels_in_reach / mid / self._step_f)

    def _levels_of(self, side: _Side, best: int, top: float, base: float, block: int) -> dict[int, int]:
        away = side.away
        if not side.deep or abs(best - side.anchor) > _REACH:
            self._rebuild(side, best, base, block)
        else:
            self._stir(side, best, base, block)
        levels = side.deep.copy()
        ticks = best - away
        while (ticks - side.anchor) * away >= 0:
            levels.pop(ticks, None)
            ticks -= away
        rng = self._rng.random
        for place in range(TOP_LEVELS):
            ticks = best + away * place
            if ticks > 0:
                levels[ticks] = 1 + int(top * (0.7 + 0.6 * rng()) * (0.5 + 0.5 * (place + 1) / TOP_LEVELS))
        return levels

    def _rebuild(self, side: _Side, best: int, base: float, block: int) -> None:
        """Levels from the best price outwards; where the market has been before, the same ones stand again."""
        known, away = side.known, side.away
        rng = self._rng.random
        deep: dict[int, int] = {}
        number = best // block + away  # the best price itself may cut its own block in two
        for _ in range(self._levels + _SPARE):
            if number <= 0:
                break
            level = known.get(number)
            if level is None:
                level = (number * block + int(rng() * block), 1 + int(base * (0.25 + 3.0 * rng() * rng())))
                known[number] = level
            deep[level[0]] = level[1]
            number += away
        side.deep = deep
        side.anchor = best
        if len(known) > _REMEMBERED:
            middle = best // block
            side.known = {n: level for n, level in known.items() if abs(n - middle) < _REMEMBERED // 4}

    def _stir(self, side: _Side, best: int, base: float, block: int) -> None:
        """A few orders come and go deeper in the book."""
        rng = self._rng
        for _ in range(4):
            ticks = best + side.away * rng.randrange(TOP_LEVELS, 120)
            if ticks in side.deep:
                size = 1 + int(base * 2 * rng.random())
                side.deep[ticks] = size
                side.known[ticks // block] = (ticks, size)
