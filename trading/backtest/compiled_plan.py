"""One plan, compiled: `PlanRun` for sizes and prices as whole steps and ticks.

Everything is turned so that the plan is a long one: a short's prices are negated ("y"), after which up is gain for
both. Orders fill whole in the modelled venue, so a rung is a small state machine instead of a list of orders.
Property tests hold it equal to `PlanRun`; the only liberties are float64 for money and 1e-7 of a tick at roundings.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from marketdata.indicators.jit import compiler
from trading.backtest import compiled_levels
from trading.backtest import compiled_params as cp
from trading.backtest.compiled_levels import down, is_refused, size_rungs, split_ladder, step_and_stop, up
from trading.backtest.compiled_params import Floats

type Ints = npt.NDArray[np.int64]

kernel = compiler(__file__, compiled_levels.__file__, cp.__file__)

R_UNDERFILL, R_STOP, R_TAKE_PROFIT, R_TIME, R_FUNDING, R_END = range(6)
REASONS = ("underfill", "stop", "take_profit", "time", "funding", "end_of_data")

# what `simulate` fills in
O_REASON, O_LAST, O_GROSS, O_FEES, O_FUNDING, O_SLIPPAGE, O_EXITS = range(7)
OUTPUTS = 7

_WANTED, _SENT, _RESTING, _HELD, _SPENT = range(5)
_NO_EXIT, _EXIT_SENT, _EXIT_RESTING = range(3)
_MAX_RUNGS = 20
_ATTEMPTS = 3
_FUNDING_MS = 8 * 3_600_000
_NEVER = 1e300


class Road(NamedTuple):
    """Fine bars, prices in ticks; `slip` is a ratio of price, `funding_at` indices of bars that open at a funding."""

    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    start_ms: Ints
    end_ms: Ints
    trend: Ints
    slip: Floats
    funding_at: Ints
    funding_rate: Floats


@kernel
def simulate(direction: int, entry_y: float, atr: float, first: int, p: Floats, road: Road, out: Floats) -> bool:
    """Runs the plan decided at `entry_y` (ticks, signed) from bar `first` on and fills `out`; False: refused."""
    count = len(road.opens)
    taker, maker = p[cp.P_TAKER], p[cp.P_MAKER]
    unit = p[cp.P_QTY_STEP] * p[cp.P_TICK]
    is_grid = p[cp.P_GRID] > 0
    rungs = int(p[cp.P_RUNGS]) if is_grid else 1
    if not p[cp.P_ATR_MULT] * atr > 0:
        return False
    step, stop = step_and_stop(entry_y, atr, rungs, p)
    price, target, size = np.empty(_MAX_RUNGS), np.empty(_MAX_RUNGS), np.empty(_MAX_RUNGS)
    size_rungs(entry_y, step, stop, rungs, p, price, target, size)
    tp_price, tp_size = np.empty(3), np.zeros(3)
    tps = 0
    if not is_grid:
        tps = split_ladder(entry_y, atr, size[0], p, tp_price, tp_size)
    limit = down(entry_y + abs(entry_y) * p[cp.P_MAX_SLIP])
    if is_refused(direction, rungs, tps, price, target, tp_price, size, stop, limit, p):
        return False

    state = np.full(_MAX_RUNGS, _SENT)
    exit_state = np.zeros(_MAX_RUNGS, dtype=np.int64)
    cycle = np.zeros(_MAX_RUNGS, dtype=np.int64)
    attempts = np.ones(_MAX_RUNGS, dtype=np.int64)
    bought, fee_in, slipped_in = np.zeros(_MAX_RUNGS), np.zeros(_MAX_RUNGS), np.zeros(_MAX_RUNGS)
    ladder = np.zeros(3, dtype=np.int64)
    held = 0.0
    out[:] = 0.0
    may_enter = True
    be_done = any_sold = False
    closing = -1
    opened_ms = road.start_ms[first]
    reach = p[cp.P_BE_R] * (price[0] - stop)
    f = np.searchsorted(road.funding_at, first)

    k = first
    while k < count:
        if direction > 0:
            o, hi, lo, c = road.opens[k], road.highs[k], road.lows[k], road.closes[k]
        else:
            o, hi, lo, c = -road.opens[k], -road.lows[k], -road.highs[k], -road.closes[k]
        # funding of what was held when this bar opened
        while f < len(road.funding_at) and road.funding_at[f] <= k:
            if road.funding_at[f] == k and held > 0 and k > first:
                out[O_FUNDING] += direction * held * unit * abs(o) * road.funding_rate[f]
            f += 1
        # the open: a close goes, resting orders arrive, the first entry takes
        if closing >= 0:
            at = down(o - abs(o) * road.slip[k])
            _sell_all(rungs, is_grid, state, size, tp_size, bought, fee_in, slipped_in, at, o - at, taker, unit, out)
            return _end(out, closing, k)
        fresh = 0
        for j in range(rungs):
            if state[j] == _SENT and not (j == 0 and cycle[0] == 0):
                state[j] = _WANTED if o - price[j] <= 0 else _RESTING
            if exit_state[j] == _EXIT_SENT:
                exit_state[j] = _EXIT_RESTING
                fresh |= 1 << j
        for i in range(tps):
            if ladder[i] == _EXIT_SENT:
                ladder[i] = _EXIT_RESTING
                fresh |= 1 << i
        if state[0] == _SENT and cycle[0] == 0:
            at = up(o + abs(o) * road.slip[k])
            if at > limit:
                return _end(out, R_UNDERFILL, k)
            state[0] = _HELD
            bought[0], fee_in[0], slipped_in[0] = at, taker, at - o
            held += size[0]
            if is_grid:
                exit_state[0] = _EXIT_SENT
            for i in range(tps):
                if tp_size[i] > 0:
                    ladder[i] = _EXIT_SENT
        # inside the bar: the stop first, else exits and rungs
        has_crossed = False
        for j in range(rungs):
            has_crossed = has_crossed or (state[j] == _RESTING and lo <= price[j] - 1)
        if lo <= stop and (held > 0 or has_crossed):
            for j in range(rungs):
                if state[j] == _RESTING and lo <= price[j] - 1:
                    state[j] = _HELD
                    bought[j], fee_in[j], slipped_in[j] = price[j], maker, 0.0
            at = min(stop, o)
            at = down(at - abs(at) * road.slip[k])
            _sell_all(rungs, is_grid, state, size, tp_size, bought, fee_in, slipped_in, at, stop - at, taker, unit, out)
            return _end(out, R_STOP, k)
        for i in range(tps):
            if ladder[i] == _EXIT_RESTING and hi >= tp_price[i] + 1:
                fee = taker if (fresh >> i) & 1 and o >= tp_price[i] else maker
                _sell(tp_size[i] * unit, bought[0], fee_in[0], slipped_in[0], tp_price[i], 0.0, fee, out)
                held -= tp_size[i]
                tp_size[i] = 0.0
                ladder[i] = _NO_EXIT
                any_sold = True
                if held <= 0:
                    state[0] = _SPENT
        for j in range(rungs):
            if state[j] == _HELD and exit_state[j] == _EXIT_RESTING and hi >= target[j] + 1:
                fee = taker if (fresh >> j) & 1 and o >= target[j] else maker
                _sell(size[j] * unit, bought[j], fee_in[j], slipped_in[j], target[j], 0.0, fee, out)
                held -= size[j]
                exit_state[j] = _NO_EXIT
                state[j] = _SPENT
                if cycle[j] < int(p[cp.P_CYCLES]):
                    state[j] = _WANTED
                    cycle[j] += 1
                    attempts[j] = 0
            elif state[j] == _RESTING and lo <= price[j] - 1:
                state[j] = _HELD
                bought[j], fee_in[j], slipped_in[j] = price[j], maker, 0.0
                held += size[j]
        # the close: what the plan wants next
        average = _average(rungs, is_grid, state, bought, size)
        if road.end_ms[k] - opened_ms >= p[cp.P_TIME_MS]:
            closing = R_TIME
        elif p[cp.P_AUTO_FUNDING] > 0 and held > 0:
            to_funding = _FUNDING_MS - road.end_ms[k] % _FUNDING_MS
            gain_r = (c - average) * held * unit / p[cp.P_R_USD]
            if to_funding < p[cp.P_FUNDING_MS] and gain_r < p[cp.P_FUNDING_R] - 1e-12:
                closing = R_FUNDING
        if closing >= 0:
            if held <= 0:
                return _end(out, closing, k)
            k += 1
            continue
        if held > 0 and not be_done and p[cp.P_BE_FULL] > 0 and (any_sold or c - price[0] >= reach - 1e-9):
            level = up(average + abs(average) * 2.0 * taker)
            if c > level and level > stop:
                stop = level
                be_done = True
        if road.trend[k] == -direction:
            may_enter = False
        is_busy, has_future = _arm(rungs, may_enter and not be_done, c, price, state, attempts)
        is_resting = False
        for j in range(rungs):
            if state[j] == _HELD and is_grid and exit_state[j] == _NO_EXIT:
                exit_state[j] = _EXIT_SENT
            is_busy = is_busy or exit_state[j] == _EXIT_SENT
            is_resting = is_resting or state[j] == _RESTING
        for i in range(tps):
            is_busy = is_busy or ladder[i] == _EXIT_SENT
        if not (held > 0 or has_future or is_resting or is_busy):
            return _end(out, R_TAKE_PROFIT, k)
        k += 1
        if is_busy or has_future:
            continue
        # nothing is on its way: run ahead to the bar in which something can happen
        floor, roof, gain = -_NEVER, _NEVER, _NEVER
        for j in range(rungs):
            if state[j] == _RESTING:
                floor = max(floor, price[j] - 1)
            if state[j] == _HELD and exit_state[j] == _EXIT_RESTING:
                roof = min(roof, target[j] + 1)
        for i in range(tps):
            if ladder[i] == _EXIT_RESTING:
                roof = min(roof, tp_price[i] + 1)
        until = count
        if held > 0:
            floor = max(floor, stop)
            if not be_done and p[cp.P_BE_FULL] > 0:
                gain = -_NEVER if any_sold else price[0] + reach - 1e-6
            if f < len(road.funding_at):
                until = min(until, road.funding_at[f])
        watch_ms = p[cp.P_FUNDING_MS] if p[cp.P_AUTO_FUNDING] > 0 and held > 0 else 0.0
        turn = -direction if is_grid and may_enter and not be_done else 9
        k = _run_ahead(direction, k, until, floor, roof, gain, turn, opened_ms + p[cp.P_TIME_MS], watch_ms, road)
    # the data ends: what is held goes at the last close, also if its close was decided there
    k = count - 1
    c = direction * road.closes[k]
    at = down(c - abs(c) * road.slip[k])
    _sell_all(rungs, is_grid, state, size, tp_size, bought, fee_in, slipped_in, at, c - at, taker, unit, out)
    return _end(out, R_END, k)


@kernel
def _run_ahead(
    direction: int,
    k: int,
    until: int,
    floor: float,
    roof: float,
    gain: float,
    turn: int,
    time_exit_ms: float,
    watch_ms: float,
    road: Road,
) -> int:
    """The first bar from k on that reaches a level, ends a deadline, turns the trend or opens at a funding."""
    while k < until:
        if direction > 0:
            reached = road.lows[k] <= floor or road.highs[k] >= roof or road.closes[k] >= gain
        else:
            reached = -road.highs[k] <= floor or -road.lows[k] >= roof or -road.closes[k] >= gain
        if reached or road.trend[k] == turn or road.end_ms[k] >= time_exit_ms:
            break
        if watch_ms > 0 and _FUNDING_MS - road.end_ms[k] % _FUNDING_MS < watch_ms:
            break
        k += 1
    return k


@kernel
def _arm(rungs: int, may_enter: bool, c: float, price: Floats, state: Ints, attempts: Ints) -> tuple[bool, bool]:
    """Offers rungs again, or withdraws them all; (something was sent, something waits for its price)."""
    is_sent = has_future = False
    for j in range(rungs):
        if not may_enter:
            if state[j] == _SENT or state[j] == _RESTING or state[j] == _WANTED:
                state[j] = _SPENT
        elif state[j] == _WANTED:
            if attempts[j] >= _ATTEMPTS:
                state[j] = _SPENT
            elif c - price[j] > 0:
                state[j] = _SENT
                attempts[j] += 1
                is_sent = True
            else:
                has_future = True
    return is_sent, has_future


@kernel
def _average(rungs: int, is_grid: bool, state: Ints, bought: Floats, size: Floats) -> float:
    """Average entry of what is held, in signed ticks."""
    if not is_grid:
        return bought[0]
    total = cost = 0.0
    for j in range(rungs):
        if state[j] == _HELD:
            total += size[j]
            cost += size[j] * bought[j]
    return cost / total if total > 0 else 0.0


@kernel
def _sell(
    quantity: float, bought: float, fee_in: float, slipped_in: float, at: float, slipped: float, fee: float, out: Floats
) -> None:
    """`quantity` in base coin times tick, prices in ticks: one exit's money."""
    out[O_GROSS] += (at - bought) * quantity
    out[O_FEES] += quantity * (abs(bought) * fee_in + abs(at) * fee)
    out[O_SLIPPAGE] += quantity * (slipped_in + slipped)
    out[O_EXITS] += 1


@kernel
def _sell_all(
    rungs: int,
    is_grid: bool,
    state: Ints,
    size: Floats,
    tp_size: Floats,
    bought: Floats,
    fee_in: Floats,
    slipped_in: Floats,
    at: float,
    slipped: float,
    fee: float,
    unit: float,
    out: Floats,
) -> None:
    for j in range(rungs):
        if state[j] == _HELD:
            quantity = size[j] if is_grid else tp_size[0] + tp_size[1] + tp_size[2]
            _sell(quantity * unit, bought[j], fee_in[j], slipped_in[j], at, slipped, fee, out)


@kernel
def _end(out: Floats, reason: int, k: int) -> bool:
    out[O_REASON] = reason
    out[O_LAST] = k
    return True
