"""One plan, compiled: `PlanRun` for sizes and prices as whole steps and ticks.

Everything is turned so that the plan is a long one: a short's prices are negated ("y"), after which up is gain for
both. Orders fill whole in the modelled venue, so a rung is a small state machine instead of a list of orders.
Property tests hold it equal to `PlanRun`; the only liberties are float64 for money and 1e-7 of a tick at roundings.
"""

import math

import numpy as np
from numba import njit

# fields of the parameter vector
(
    P_GRID,
    P_ATR_MULT,
    P_MAX_SLIP,
    P_TP1,
    P_TP2,
    P_TP3,
    P_RUNGS,
    P_STEP_ATR,
    P_MIN_STEP,
    P_WEIGHT,
    P_TP_STEPS,
    P_CYCLES,
    P_TIME_MS,
    P_BE_FULL,
    P_BE_R,
    P_AUTO_FUNDING,
    P_FUNDING_MS,
    P_FUNDING_R,
    P_TAKER,
    P_MAKER,
    P_R_USD,
    P_TICK,
    P_QTY_STEP,
    P_MIN_QTY,
    P_MIN_NOTIONAL,
    P_MAX_LIMIT_QTY,
    P_MIN_PRICE,
    P_MAX_PRICE,
    P_MAX_MARKET_QTY,
) = range(29)
PARAMS = 29

# why a plan ended
R_UNDERFILL, R_STOP, R_TAKE_PROFIT, R_TIME, R_FUNDING, R_END = range(6)
REASONS = ("underfill", "stop", "take_profit", "time", "funding", "end_of_data")
REFUSED = -1

# what `simulate` fills in
O_REASON, O_LAST, O_GROSS, O_FEES, O_FUNDING, O_SLIPPAGE, O_EXITS = range(7)
OUTPUTS = 7

_WANTED, _SENT, _RESTING, _HELD, _SPENT = range(5)
_NO_EXIT, _EXIT_SENT, _EXIT_RESTING = range(3)
_MAX_RUNGS = 20
_ATTEMPTS = 3
_FUNDING_MS = 8 * 3_600_000
_EPS = 1e-7


@njit(cache=True)
def _down(x: float) -> float:
    return math.floor(x + _EPS)


@njit(cache=True)
def _up(x: float) -> float:
    return math.ceil(x - _EPS)


@njit(cache=True)
def _nearest(x: float) -> float:
    return float(np.round(x))


@njit(cache=True)
def simulate(
    direction,
    close_y,
    atr,
    first,
    p,
    opens,
    highs,
    lows,
    closes,
    start_ms,
    end_ms,
    trend,
    slip,
    funding_at,
    funding_rate,
    out,
):
    """Runs the plan decided at `close_y` (ticks, signed) from fine bar `first` on; fills `out`; False: refused.

    Prices of bars in ticks; `atr` in ticks; `slip` in ratios of price.
    """
    count = len(opens)
    tick, step_qty = p[P_TICK], p[P_QTY_STEP]
    taker, maker = p[P_TAKER], p[P_MAKER]
    is_grid = p[P_GRID] > 0
    rungs = int(p[P_RUNGS]) if is_grid else 1
    entry = abs(close_y)
    d = p[P_ATR_MULT] * atr
    if not d > 0:
        return False
    step = max(p[P_STEP_ATR] * atr, entry * p[P_MIN_STEP])
    stop = _down(close_y - ((rungs - 1) * step + d))

    # --- levels and sizes, as in levels.build_plan
    price = np.empty(_MAX_RUNGS)
    target = np.empty(_MAX_RUNGS)
    size = np.empty(_MAX_RUNGS)
    per_unit = 0.0
    for j in range(rungs):
        price[j] = _nearest(close_y - j * step)
        target[j] = _down(close_y - j * step + p[P_TP_STEPS] * step)
        loss = (price[j] - stop) * tick + abs(price[j]) * tick * 2.0 * taker
        per_unit += p[P_WEIGHT] ** j * loss
    whole = p[P_R_USD] / per_unit
    for j in range(rungs):
        size[j] = math.floor(min(p[P_WEIGHT] ** j * whole, p[P_MAX_LIMIT_QTY]) / step_qty + 1e-9)
    tps = 0
    tp_price = np.empty(3)
    tp_size = np.zeros(3)
    if not is_grid:
        shares = (p[P_TP1], p[P_TP2], p[P_TP3])
        for i in range(3):
            if shares[i] > 0:
                tp_price[tps] = _down(close_y + (i + 1) * d)
                tps += 1
        left = size[0]
        for i in range(tps - 1):
            tp_size[i] = math.floor(size[0] * shares[i] + 1e-9)
            left -= tp_size[i]
        tp_size[tps - 1] = left
        least = p[P_MIN_QTY] / step_qty - 1e-9
        for i in range(tps - 1):
            if 0 < tp_size[i] < least:
                tp_size[tps - 1] += tp_size[i]
                tp_size[i] = 0.0
        if 0 < tp_size[tps - 1] < least:
            for i in range(tps - 2, -1, -1):
                if tp_size[i] > 0:
                    tp_size[i] += tp_size[tps - 1]
                    tp_size[tps - 1] = 0.0
                    break
    limit = _down(close_y + entry * p[P_MAX_SLIP])
    if _is_refused(direction, rungs, tps, price, target, tp_price, size, stop, limit, p):
        return False

    # --- state
    state = np.full(_MAX_RUNGS, _SENT)
    exit_state = np.zeros(_MAX_RUNGS, dtype=np.int64)
    cycle = np.zeros(_MAX_RUNGS, dtype=np.int64)
    attempts = np.ones(_MAX_RUNGS, dtype=np.int64)
    bought = np.zeros(_MAX_RUNGS)
    fee_in = np.zeros(_MAX_RUNGS)
    slipped_in = np.zeros(_MAX_RUNGS)
    ladder = np.zeros(3, dtype=np.int64)
    held = 0.0
    gross = fees = funding = slippage = 0.0
    exits = 0
    may_enter = True
    be_done = False
    any_sold = False
    closing = -1
    opened_ms = start_ms[first]
    reach = p[P_BE_R] * (price[0] - stop)
    f = np.searchsorted(funding_at, first)

    k = first
    while k < count:
        if direction > 0:
            o, hi, lo, c = opens[k], highs[k], lows[k], closes[k]
        else:
            o, hi, lo, c = -opens[k], -lows[k], -highs[k], -closes[k]
        # funding of what was held when this bar opened
        while f < len(funding_at) and funding_at[f] <= k:
            if funding_at[f] == k and held > 0 and k > first:
                funding += direction * held * step_qty * abs(o) * tick * funding_rate[f]
            f += 1
        # the open: closes, the first entry, resting orders arrive
        if closing >= 0:
            at = _down(o - abs(o) * slip[k])
            for j in range(rungs):
                if state[j] == _HELD:
                    q = (tp_size[0] + tp_size[1] + tp_size[2]) if not is_grid else size[j]
                    gross += (at - bought[j]) * q * step_qty * tick
                    fees += q * step_qty * tick * (abs(bought[j]) * fee_in[j] + abs(at) * taker)
                    slippage += q * step_qty * tick * (slipped_in[j] + (o - at))
                    exits += 1
            _answer(out, closing, k, gross, fees, funding, slippage, exits)
            return True
        fresh_mask = 0
        for j in range(rungs):
            if state[j] == _SENT and not (j == 0 and cycle[0] == 0):
                state[j] = _WANTED if o - price[j] <= 0 else _RESTING
            if exit_state[j] == _EXIT_SENT:
                exit_state[j] = _EXIT_RESTING
                fresh_mask |= 1 << j
        for i in range(tps):
            if ladder[i] == _EXIT_SENT:
                ladder[i] = _EXIT_RESTING
                fresh_mask |= 1 << i
        if state[0] == _SENT and cycle[0] == 0:
            at = _up(o + abs(o) * slip[k])
            if at > limit:
                _answer(out, R_UNDERFILL, k, 0.0, 0.0, 0.0, 0.0, 0)
                return True
            state[0] = _HELD
            bought[0] = at
            fee_in[0] = taker
            slipped_in[0] = at - o
            held += size[0]
            if is_grid:
                exit_state[0] = _EXIT_SENT
            else:
                for i in range(tps):
                    if tp_size[i] > 0:
                        ladder[i] = _EXIT_SENT
        # inside the bar: stop first, else exits, then rungs
        crossed = False
        for j in range(rungs):
            if state[j] == _RESTING and lo <= price[j] - 1:
                crossed = True
        if lo <= stop and (held > 0 or crossed):
            at = min(stop, o)
            at = _down(at - abs(at) * slip[k])
            for j in range(rungs):
                if state[j] == _RESTING and lo <= price[j] - 1:
                    state[j] = _HELD
                    bought[j] = price[j]
                    fee_in[j] = maker
                    slipped_in[j] = 0.0
                if state[j] == _HELD:
                    q = (tp_size[0] + tp_size[1] + tp_size[2]) if not is_grid else size[j]
                    gross += (at - bought[j]) * q * step_qty * tick
                    fees += q * step_qty * tick * (abs(bought[j]) * fee_in[j] + abs(at) * taker)
                    slippage += q * step_qty * tick * (slipped_in[j] + (stop - at))
                    exits += 1
            _answer(out, R_STOP, k, gross, fees, funding, slippage, exits)
            return True
        for i in range(tps):
            if ladder[i] == _EXIT_RESTING and hi >= tp_price[i] + 1:
                fee = taker if (fresh_mask >> i) & 1 and o >= tp_price[i] else maker
                q = tp_size[i]
                gross += (tp_price[i] - bought[0]) * q * step_qty * tick
                fees += q * step_qty * tick * (abs(bought[0]) * fee_in[0] + abs(tp_price[i]) * fee)
                slippage += q * step_qty * tick * slipped_in[0]
                exits += 1
                held -= q
                tp_size[i] = 0.0
                ladder[i] = _NO_EXIT
                any_sold = True
                if held <= 0:
                    state[0] = _SPENT
        for j in range(rungs):
            if state[j] == _HELD and exit_state[j] == _EXIT_RESTING and hi >= target[j] + 1:
                fee = taker if (fresh_mask >> j) & 1 and o >= target[j] else maker
                gross += (target[j] - bought[j]) * size[j] * step_qty * tick
                fees += size[j] * step_qty * tick * (abs(bought[j]) * fee_in[j] + abs(target[j]) * fee)
                slippage += size[j] * step_qty * tick * slipped_in[j]
                exits += 1
                held -= size[j]
                exit_state[j] = _NO_EXIT
                if cycle[j] >= int(p[P_CYCLES]):
                    state[j] = _SPENT
                else:
                    state[j] = _WANTED
                    cycle[j] += 1
                    attempts[j] = 0
            elif state[j] == _RESTING and lo <= price[j] - 1:
                state[j] = _HELD
                bought[j] = price[j]
                fee_in[j] = maker
                slipped_in[j] = 0.0
                held += size[j]
        # the close: what the plan wants next
        now_ms = end_ms[k]
        average = _average(rungs, is_grid, state, bought, size)
        if now_ms - opened_ms >= p[P_TIME_MS]:
            closing = R_TIME
        elif p[P_AUTO_FUNDING] > 0 and held > 0:
            to_funding = (now_ms // _FUNDING_MS + 1) * _FUNDING_MS - now_ms
            if to_funding < p[P_FUNDING_MS]:
                gain_r = (c - average) * held * step_qty * tick / p[P_R_USD]
                if gain_r < p[P_FUNDING_R] - 1e-12:
                    closing = R_FUNDING
        if closing >= 0:
            if held <= 0:
                _answer(out, closing, k, gross, fees, funding, slippage, exits)
                return True
            k += 1
            continue
        if held > 0 and not be_done and p[P_BE_FULL] > 0 and (any_sold or c - price[0] >= reach - 1e-9):
            level = _up(average + abs(average) * 2.0 * taker)
            if c > level and level > stop:
                stop = level
                be_done = True
        has_future = False
        is_resting = False
        for j in range(rungs):
            if may_enter and not be_done:
                if state[j] == _WANTED and attempts[j] < _ATTEMPTS:
                    has_future = True
                if state[j] == _SENT or state[j] == _RESTING:
                    is_resting = True
        if trend[k] == -direction and (has_future or is_resting):
            may_enter = False
        has_future = False
        busy = False
        for j in range(rungs):
            if not may_enter or be_done:
                if state[j] == _SENT or state[j] == _RESTING or state[j] == _WANTED:
                    state[j] = _SPENT
            elif state[j] == _WANTED:
                if attempts[j] >= _ATTEMPTS:
                    state[j] = _SPENT
                elif c - price[j] > 0:
                    state[j] = _SENT
                    attempts[j] += 1
                    busy = True
                else:
                    has_future = True
            if state[j] == _HELD and is_grid and exit_state[j] == _NO_EXIT:
                exit_state[j] = _EXIT_SENT
            if exit_state[j] == _EXIT_SENT or state[j] == _SENT:
                busy = True
        is_alive = held > 0 or has_future
        for j in range(rungs):
            if state[j] == _SENT or state[j] == _RESTING:
                is_alive = True
        for i in range(tps):
            if ladder[i] == _EXIT_SENT:
                busy = True
        if not is_alive:
            _answer(out, R_TAKE_PROFIT, k, gross, fees, funding, slippage, exits)
            return True
        k += 1
        if busy or has_future:
            continue
        # --- run ahead to where something can happen
        floor = -1e300
        roof = 1e300
        resting = False
        for j in range(rungs):
            if state[j] == _RESTING:
                resting = True
                floor = max(floor, price[j] - 1)
            if state[j] == _HELD and exit_state[j] == _EXIT_RESTING:
                roof = min(roof, target[j] + 1)
        for i in range(tps):
            if ladder[i] == _EXIT_RESTING:
                roof = min(roof, tp_price[i] + 1)
        gain = 1e300
        if held > 0:
            floor = max(floor, stop)
            if not be_done and p[P_BE_FULL] > 0:
                gain = price[0] + reach - 1e-6
                if any_sold:
                    gain = -1e300
        turn = -direction if resting else 9
        until = opened_ms + p[P_TIME_MS]
        watch = p[P_AUTO_FUNDING] > 0 and held > 0
        next_funding = funding_at[f] if held > 0 and f < len(funding_at) else count
        while f < len(funding_at) and held <= 0 and funding_at[f] < k:
            f += 1
        if direction > 0:
            while k < count and k < next_funding:
                if lows[k] <= floor or highs[k] >= roof or closes[k] >= gain or trend[k] == turn:
                    break
                if end_ms[k] >= until:
                    break
                if watch and _FUNDING_MS - end_ms[k] % _FUNDING_MS < p[P_FUNDING_MS]:
                    break
                k += 1
        else:
            while k < count and k < next_funding:
                if (
                    -highs[k] <= floor
                    or -lows[k] >= roof
                    or -closes[k] >= gain
                    or trend[k] == turn
                    or end_ms[k] >= until
                ):
                    break
                if watch and _FUNDING_MS - end_ms[k] % _FUNDING_MS < p[P_FUNDING_MS]:
                    break
                k += 1
    # the data ends: what is held goes at the last close
    k = count - 1
    c = direction * closes[k]
    at = _down(c - abs(c) * slip[k])
    for j in range(rungs):
        if state[j] == _HELD:
            q = (tp_size[0] + tp_size[1] + tp_size[2]) if not is_grid else size[j]
            gross += (at - bought[j]) * q * step_qty * tick
            fees += q * step_qty * tick * (abs(bought[j]) * fee_in[j] + abs(at) * taker)
            slippage += q * step_qty * tick * (slipped_in[j] + (c - at))
            exits += 1
    _answer(out, closing if closing >= 0 else R_END, k, gross, fees, funding, slippage, exits)
    return True


@njit(cache=True)
def _average(rungs, is_grid, state, bought, size):
    """Average entry of what is held, in signed ticks."""
    if not is_grid:
        return bought[0]
    total = 0.0
    cost = 0.0
    for j in range(rungs):
        if state[j] == _HELD:
            total += size[j]
            cost += size[j] * bought[j]
    return cost / total if total > 0 else 0.0


@njit(cache=True)
def _is_refused(direction, rungs, tps, price, target, tp_price, size, stop, limit, p):
    low = p[P_MIN_PRICE] / p[P_TICK] - _EPS
    high = p[P_MAX_PRICE] / p[P_TICK] + _EPS
    if direction * stop <= 0 or not _inside(direction * stop, low, high) or not _inside(direction * limit, low, high):
        return True
    last = price[0]
    for i in range(tps):
        if tp_price[i] <= last or not _inside(direction * tp_price[i], low, high):
            return True
        last = tp_price[i]
    for j in range(rungs):
        below = price[j + 1] if j + 1 < rungs else stop
        if price[j] <= below or not _inside(direction * price[j], low, high):
            return True
        if tps == 0 and (target[j] <= price[j] or not _inside(direction * target[j], low, high)):
            return True
        quantity = size[j] * p[P_QTY_STEP]
        notional = quantity * abs(price[j]) * p[P_TICK]
        if quantity < p[P_MIN_QTY] - 1e-12 or notional < p[P_MIN_NOTIONAL] - 1e-9:
            return True
    return False


@njit(cache=True)
def _inside(value, low, high):
    return value > 0 and low <= value <= high


@njit(cache=True)
def _answer(out, reason, last, gross, fees, funding, slippage, exits):
    out[O_REASON] = reason
    out[O_LAST] = last
    out[O_GROSS] = gross
    out[O_FEES] = fees
    out[O_FUNDING] = funding
    out[O_SLIPPAGE] = slippage
    out[O_EXITS] = exits
