"""A recorded bar as a path of trades that makes exactly this bar again: open, high, low, close and volume, to the
last digit.

A venue's bar opens at the previous close, as Bybit's do, so the path begins there; it then visits the extremes in the
order the bar's own direction suggests and ends on the close. Quantities are whole steps that add up to the recorded
volume.
"""

import random
from decimal import Decimal

from avigrid.exchange.simulator.feed import HistoryBar, TapeTrade
from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.kernel.orders import Side


def trades_of_bar(bar: HistoryBar, spec: InstrumentSpec, *, length_ms: int, slots: int, seed: int) -> list[TapeTrade]:
    """At most `slots` trades, in time order; none where the volume is zero."""
    steps = int(bar.volume / spec.qty_step)
    if steps <= 0:
        return []
    tick = spec.tick_size
    first, high, low, close = (int(value / tick) for value in (bar.open, bar.high, bar.low, bar.close))
    rng = random.Random(seed * 1_000_003 + bar.start_ms)
    path = _path(rng, first, high, low, close, min(slots, steps))
    quantities = _shares(rng, path, first, steps)
    out = []
    before = first
    for number, (ticks, quantity) in enumerate(zip(path, quantities, strict=True)):
        time_ms = bar.start_ms + (2 * number + 1) * length_ms // (2 * len(path))
        rising = ticks > before or (ticks == before and rng.random() < 0.5)
        side = Side.BUY if rising else Side.SELL
        out.append(TapeTrade(spec.symbol, time_ms, tick * ticks, spec.qty_step * quantity, side))
        before = ticks
    return out


def _path(rng: random.Random, first: int, high: int, low: int, close: int, slots: int) -> list[int]:
    """Prices in ticks, the last one the close; both extremes are visited."""
    rising = close > first or (close == first and rng.random() < 0.5)
    turns = [low, high] if rising else [high, low]
    # An extreme that is the open itself is made by the open; the close is always the last point.
    must = [price for price in turns if price not in (first, close)]
    count = max(slots, len(must) + 1)
    where = sorted(rng.sample(range(count - 1), len(must))) if must else []
    anchors = [(-1, first), *zip(where, must, strict=True), (count - 1, close)]
    path: list[int] = []
    for (left, from_price), (right, to_price) in zip(anchors, anchors[1:], strict=False):
        span = right - left
        wobble = max(1.0, (high - low) / 12)
        for step in range(1, span):
            straight = from_price + (to_price - from_price) * step / span
            path.append(min(high, max(low, round(straight + rng.gauss(0, wobble)))))
        path.append(to_price)
    return path


def _shares(rng: random.Random, path: list[int], first: int, steps: int) -> list[int]:
    """Whole steps per trade, at least one each, more where the price moved; they add up to `steps`."""
    before = [first, *path[:-1]]
    reach = max(1, max(abs(a - b) for a, b in zip(path, before, strict=True)))
    weights = [rng.expovariate(1.0) + abs(a - b) / reach for a, b in zip(path, before, strict=True)]
    spare = steps - len(path)
    if spare < 0:
        raise ValueError(f"a volume of {steps} steps cannot make {len(path)} trades")
    total = sum(weights)
    out, given, reached = [], 0, 0.0
    for weight in weights:
        reached += weight
        upto = min(spare, int(Decimal(reached / total) * spare))
        out.append(1 + upto - given)
        given = upto
    out[-1] += spare - given
    return out
