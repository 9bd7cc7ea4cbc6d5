"""Prices and sizes of a plan, compiled: `levels.build_plan` in whole ticks and steps, every plan turned long ("y")."""

import math

import numpy as np

from marketdata.indicators.jit import compiler
from trading.backtest import compiled_params as cp
from trading.backtest.compiled_params import Floats

kernel = compiler(__file__, cp.__file__)
EPS = 1e-7
"""Of a tick: what float64 may be off where decimals are exact."""


@kernel
def down(x: float) -> float:
    return math.floor(x + EPS)


@kernel
def up(x: float) -> float:
    return math.ceil(x - EPS)


@kernel
def step_and_stop(entry_y: float, atr: float, rungs: int, p: Floats) -> tuple[float, float]:
    step = max(p[cp.P_STEP_ATR] * atr, abs(entry_y) * p[cp.P_MIN_STEP])
    return step, down(entry_y - ((rungs - 1) * step + p[cp.P_ATR_MULT] * atr))


@kernel
def size_rungs(
    entry_y: float, step: float, stop: float, rungs: int, p: Floats, price: Floats, target: Floats, size: Floats
) -> None:
    """Fills price and target (ticks) and size (steps) of each rung."""
    per_unit = 0.0
    for j in range(rungs):
        price[j] = np.round(entry_y - j * step)
        target[j] = down(entry_y + (p[cp.P_TP_STEPS] - j) * step)
        loss = (price[j] - stop) * p[cp.P_TICK] + abs(price[j]) * p[cp.P_TICK] * 2.0 * p[cp.P_TAKER]
        per_unit += p[cp.P_WEIGHT] ** j * loss
    whole = p[cp.P_R_USD] / per_unit
    for j in range(rungs):
        wanted = min(p[cp.P_WEIGHT] ** j * whole, p[cp.P_MAX_LIMIT_QTY])
        size[j] = math.floor(wanted / p[cp.P_QTY_STEP] + 1e-9)


@kernel
def split_ladder(entry_y: float, atr: float, total: float, p: Floats, price: Floats, size: Floats) -> int:
    """Fills price and size of a swing's take-profits as `split_exits` does; answers how many there are."""
    count = 0
    for i in range(3):
        if p[cp.P_TP1 + i] > 0:
            price[i] = down(entry_y + (i + 1) * p[cp.P_ATR_MULT] * atr)
            count += 1
    left = total
    for i in range(count - 1):
        size[i] = math.floor(total * p[cp.P_TP1 + i] + 1e-9)
        left -= size[i]
    last = count - 1
    size[last] = left
    least = p[cp.P_MIN_QTY] / p[cp.P_QTY_STEP] - 1e-9
    for i in range(last):
        if 0 < size[i] < least:
            size[last] += size[i]
            size[i] = 0.0
    if 0 < size[last] < least:
        for i in range(last - 1, -1, -1):
            if size[i] > 0:
                size[i] += size[last]
                size[last] = 0.0
                break
    return count


@kernel
def is_refused(
    direction: int,
    rungs: int,
    tps: int,
    price: Floats,
    target: Floats,
    tp_price: Floats,
    size: Floats,
    stop: float,
    limit: float,
    p: Floats,
) -> bool:
    """Levels that collapse or leave the venue's range, and sizes below its minimum."""
    if not _is_legal(direction * stop, p) or not _is_legal(direction * limit, p):
        return True
    last = price[0]
    for i in range(tps):
        if tp_price[i] <= last or not _is_legal(direction * tp_price[i], p):
            return True
        last = tp_price[i]
    for j in range(rungs):
        below = price[j + 1] if j + 1 < rungs else stop
        if price[j] <= below or not _is_legal(direction * price[j], p):
            return True
        if tps == 0 and (target[j] <= price[j] or not _is_legal(direction * target[j], p)):
            return True
        quantity = size[j] * p[cp.P_QTY_STEP]
        notional = quantity * abs(price[j]) * p[cp.P_TICK]
        if quantity < p[cp.P_MIN_QTY] - 1e-12 or notional < p[cp.P_MIN_NOTIONAL] - 1e-9:
            return True
    return False


@kernel
def _is_legal(ticks: float, p: Floats) -> bool:
    low = p[cp.P_MIN_PRICE] / p[cp.P_TICK] - EPS
    return ticks > 0 and low <= ticks <= p[cp.P_MAX_PRICE] / p[cp.P_TICK] + EPS
