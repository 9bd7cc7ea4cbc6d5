"""The walk over the bars, compiled: rules, one plan at a time, and many configs at once."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketdata.indicators.jit import compiler
from trading.backtest import compiled_levels
from trading.backtest import compiled_params as cp
from trading.backtest import compiled_plan as plan
from trading.backtest.compiled_params import Floats
from trading.backtest.compiled_plan import Ints, Road

_SOURCES = (__file__, plan.__file__, compiled_levels.__file__, cp.__file__)
kernel = compiler(*_SOURCES)
threaded_kernel = compiler(*_SOURCES, nogil=True)

COLUMNS = 2 + plan.OUTPUTS
SUMMARY_FIELDS = (
    *("plans", "trades", "wins", "won_usd", "lost_usd", "gross_usd", "fees_usd", "funding_usd", "slippage_usd"),
    "closed_drawdown_usd",
)


class Scene(NamedTuple):
    """What is known per 5m bar (`bars`: rows S_*), and how 5m bars lie on the fine ones."""

    bars: Floats
    close_ms: Ints
    fine_of_5m: Ints
    bar_of: Ints


@kernel
def replay(
    scene: Scene,
    road: Road,
    e: Floats,
    theta: Floats,
    dead: npt.NDArray[np.bool_],
    p: Floats,
    first: int,
    found: Floats,
) -> int:
    """Fills `found` with bar, direction and outcome of each plan in turn; answers how many."""
    out = np.zeros(plan.OUTPUTS)
    last_entry_ms = np.full(2, -(1 << 60))
    used = 0
    i = first
    while i < scene.bars.shape[1] - 1:
        direction = direction_at(scene.bars, i, e, theta, dead)
        if direction == 0:
            i += 1
            continue
        side = 0 if direction > 0 else 1
        if scene.close_ms[i] - last_entry_ms[side] < e[cp.E_CHURN_MS] or not _one(scene, road, i, direction, p, out):
            i += 1
            continue
        found[used, 0] = i
        found[used, 1] = direction
        found[used, 2:] = out
        used += 1
        if out[plan.O_EXITS] > 0:
            last_entry_ms[side] = scene.close_ms[i]
        i = max(i + 1, scene.bar_of[int(out[plan.O_LAST])])
    return used


@kernel
def replay_each(scene: Scene, road: Road, p: Floats, signals: Ints, directions: Ints, found: Floats) -> int:
    """Every signal's plan on its own."""
    out = np.zeros(plan.OUTPUTS)
    used = 0
    for s in range(len(signals)):
        i = signals[s]
        if i + 1 < scene.bars.shape[1] and _one(scene, road, i, directions[s], p, out):
            found[used, 0] = i
            found[used, 1] = directions[s]
            found[used, 2:] = out
            used += 1
    return used


@threaded_kernel
def replay_many(
    scene: Scene,
    road: Road,
    entries: Floats,
    thetas: Floats,
    deads: npt.NDArray[np.bool_],
    plans: Floats,
    first: int,
    summary: Floats,
) -> None:
    """One row of `summary` (SUMMARY_FIELDS) per config."""
    found = np.empty((scene.bars.shape[1], COLUMNS))
    for n in range(len(entries)):
        used = replay(scene, road, entries[n], thetas[n], deads[n], plans[n], first, found)
        equity = peak = 0.0
        for row in range(used):
            out = found[row, 2:]
            net = out[plan.O_GROSS] - out[plan.O_FEES] - out[plan.O_FUNDING]
            summary[n, 0] += 1
            if out[plan.O_EXITS] > 0:
                summary[n, 1] += 1
                if net > 0:
                    summary[n, 2] += 1
                    summary[n, 3] += net
                else:
                    summary[n, 4] -= net
            summary[n, 5] += out[plan.O_GROSS]
            summary[n, 6] += out[plan.O_FEES]
            summary[n, 7] += out[plan.O_FUNDING]
            summary[n, 8] += out[plan.O_SLIPPAGE]
            equity += net
            peak = max(peak, equity)
            summary[n, 9] = max(summary[n, 9], peak - equity)


@kernel
def direction_at(bars: Floats, i: int, e: Floats, theta: Floats, dead: npt.NDArray[np.bool_]) -> int:
    """The eleven rules on bar i, taken at the moment it closed: 1, -1 or 0."""
    trend = bars[cp.S_TREND, i]
    if trend == 0.0 or bars[cp.S_WARM, i] == 0.0:
        return 0
    hour = int(bars[cp.S_HOUR, i])
    close, vwap, sigma = bars[cp.S_CLOSE, i], bars[cp.S_VWAP, i], bars[cp.S_SIGMA, i]
    if not trend * bars[cp.S_IMBALANCE, i] >= theta[hour]:
        return 0
    if not trend * (close - (vwap + trend * e[cp.E_TRIGGER] * sigma)) > 0:
        return 0
    if not trend * (close - (vwap + trend * e[cp.E_FURTHEST] * sigma)) <= 0:
        return 0
    if dead[hour] or bars[cp.S_TO_FUNDING, i] < e[cp.E_FUNDING_MIN]:
        return 0
    if bars[cp.S_HAS_BOOK, i] > 0:
        if not trend * bars[cp.S_LEAN, i] > 0 or not bars[cp.S_SPREAD, i] <= e[cp.E_SPREAD]:
            return 0
        if not bars[cp.S_DEPTH, i] >= e[cp.E_DEPTH]:
            return 0
    distance = e[cp.E_ATR_MULT] * bars[cp.S_ATR, i]
    if not distance > 0:
        return 0
    bps = e[cp.E_SLIP]
    if bars[cp.S_PERCENTILE, i] > e[cp.E_VOLATILE]:
        bps += e[cp.E_SLIP_VOLATILE]
    if bars[cp.S_DEPTH, i] < e[cp.E_THIN]:
        bps += e[cp.E_SLIP_THIN]
    if not (e[cp.E_FEE] + bps / 1e4) * close / distance <= e[cp.E_COST]:
        return 0
    return int(trend)


@kernel
def _one(scene: Scene, road: Road, i: int, direction: int, p: Floats, out: Floats) -> bool:
    ticks = scene.bars[cp.S_CLOSE, i] / p[cp.P_TICK]
    whole = np.round(ticks)
    if abs(ticks - whole) < 1e-6:
        ticks = whole
    atr = scene.bars[cp.S_ATR, i] / p[cp.P_TICK]
    return plan.simulate(direction, direction * ticks, atr, scene.fine_of_5m[i + 1], p, road, out)
