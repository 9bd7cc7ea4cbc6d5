"""The replay compiled: the same rules and the same plan over the same arrays, for sweeps and calibration.

`run_compiled` finds the plans `run_backtest` finds, with the same ends and results; tests hold them together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from avigrid.kernel.instrument import Instrument
from trading.avi5.config import BreakEvenMode, Profile, StrategyConfig
from trading.backtest import compiled_plan as plan
from trading.backtest.data import FUNDING_MS, MarketData
from trading.backtest.result import BacktestSettings
from trading.backtest.series import IndicatorSeries, book_columns, indicator_series
from trading.backtest.track import build_track

type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.int64]

# entry parameters, one vector a config
(
    E_TRIGGER,
    E_FURTHEST,
    E_SPREAD,
    E_FUNDING_MIN,
    E_DEPTH,
    E_COST,
    E_ATR_MULT,
    E_FEE,
    E_SLIP,
    E_SLIP_VOLATILE,
    E_VOLATILE,
    E_SLIP_THIN,
    E_THIN,
    E_CHURN_MS,
) = range(14)
ENTRY_PARAMS = 14

# what is known per 5m bar, one row each
(
    S_CLOSE,
    S_VWAP,
    S_SIGMA,
    S_ATR,
    S_PERCENTILE,
    S_TREND,
    S_WARM,
    S_IMBALANCE,
    S_LEAN,
    S_SPREAD,
    S_DEPTH,
    S_HAS_BOOK,
    S_HOUR,
    S_TO_FUNDING,
) = range(14)


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """One symbol and indicator setting, ready for any number of configs that share it."""

    bars: Floats
    """float64[14, n]: the rows named S_*."""
    close_ms: Ints
    fine_of_5m: Ints
    bar_of: Ints
    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    start_ms: Ints
    end_ms: Ints
    trend: Ints
    funding_at: Ints
    funding_rate: Floats
    tick: float


@dataclass(frozen=True, slots=True, eq=False)
class CompiledPlans:
    """One row per plan: 5m bar of the decision, direction, why it ended, last fine bar, money in USD."""

    bar: Ints
    direction: Ints
    reason: Ints
    last_fine: Ints
    exits: Ints
    gross_usd: Floats
    fees_usd: Floats
    funding_usd: Floats
    slippage_usd: Floats

    @property
    def net_usd(self) -> Floats:
        return self.gross_usd - self.fees_usd - self.funding_usd

    @property
    def is_traded(self) -> npt.NDArray[np.bool_]:
        return self.exits > 0


def arrays_for(data: MarketData, config: StrategyConfig, instrument: Instrument) -> Arrays:
    """Valid for every config with the same indicator and freshness numbers."""
    series = indicator_series(data, config)
    track = build_track(data, series, config)
    tick = float(instrument.tick_size)
    return Arrays(
        bars=_rows(data, series, config),
        close_ms=series.close_ms,
        fine_of_5m=data.fine_of_5m,
        bar_of=np.array(track.bar_of, dtype=np.int64),
        opens=_in_ticks(data.fine.open, tick),
        highs=_in_ticks(data.fine.high, tick),
        lows=_in_ticks(data.fine.low, tick),
        closes=_in_ticks(data.fine.close, tick),
        start_ms=data.fine.start_ms,
        end_ms=np.array(track.end_ms, dtype=np.int64),
        trend=np.array(track.trend, dtype=np.int64),
        funding_at=np.array(track.funding_at, dtype=np.int64),
        funding_rate=np.array(track.funding_rate, dtype=np.float64),
        tick=tick,
    )


def run_compiled(
    arrays: Arrays,
    config: StrategyConfig,
    *,
    instrument: Instrument,
    settings: BacktestSettings | None = None,
    first_bar: int = 0,
) -> CompiledPlans:
    """The plans of one config; `first_bar` is the first 5m bar that may decide."""
    settings = settings or BacktestSettings()
    count = arrays.bars.shape[1]
    found = np.zeros((count, 2 + plan.OUTPUTS))
    used = _replay(
        arrays.bars,
        arrays.close_ms,
        arrays.fine_of_5m,
        arrays.bar_of,
        arrays.opens,
        arrays.highs,
        arrays.lows,
        arrays.closes,
        arrays.start_ms,
        arrays.end_ms,
        arrays.trend,
        arrays.funding_at,
        arrays.funding_rate,
        entry_params(config, settings),
        np.array([config.theta_at(hour) for hour in range(24)]),
        np.array([hour in config.dead_hours for hour in range(24)]),
        plan_params(config, instrument, settings),
        first_bar,
        found,
    )
    return _plans_from(found[:used])


def outcomes(
    arrays: Arrays,
    signals: Sequence[int],
    directions: Sequence[int],
    config: StrategyConfig,
    *,
    instrument: Instrument,
    settings: BacktestSettings | None = None,
) -> CompiledPlans:
    """Each signal's plan on its own, as if nothing else were open; refused ones are left out."""
    settings = settings or BacktestSettings()
    found = np.zeros((len(signals), 2 + plan.OUTPUTS))
    used = _outcomes(
        arrays.bars,
        arrays.fine_of_5m,
        arrays.opens,
        arrays.highs,
        arrays.lows,
        arrays.closes,
        arrays.start_ms,
        arrays.end_ms,
        arrays.trend,
        arrays.funding_at,
        arrays.funding_rate,
        entry_params(config, settings),
        plan_params(config, instrument, settings),
        np.array(signals, dtype=np.int64),
        np.array(directions, dtype=np.int64),
        found,
    )
    return _plans_from(found[:used])


def sweep_compiled(
    arrays: Arrays,
    configs: Sequence[StrategyConfig],
    *,
    instrument: Instrument,
    settings: BacktestSettings | None = None,
    first_bar: int = 0,
) -> Floats:
    """Many configs on one set of arrays, on all cores: float64[len(configs), SUMMARY] as named by SUMMARY_FIELDS."""
    settings = settings or BacktestSettings()
    summary = np.zeros((len(configs), len(SUMMARY_FIELDS)))
    _sweep(
        arrays.bars,
        arrays.close_ms,
        arrays.fine_of_5m,
        arrays.bar_of,
        arrays.opens,
        arrays.highs,
        arrays.lows,
        arrays.closes,
        arrays.start_ms,
        arrays.end_ms,
        arrays.trend,
        arrays.funding_at,
        arrays.funding_rate,
        np.array([entry_params(config, settings) for config in configs]),
        np.array([[config.theta_at(hour) for hour in range(24)] for config in configs]),
        np.array([[hour in config.dead_hours for hour in range(24)] for config in configs]),
        np.array([plan_params(config, instrument, settings) for config in configs]),
        first_bar,
        summary,
    )
    return summary


SUMMARY_FIELDS = (
    *("plans", "trades", "wins", "won_usd", "lost_usd", "gross_usd", "fees_usd", "funding_usd", "slippage_usd"),
    "closed_drawdown_usd",
)


def entry_params(config: StrategyConfig, settings: BacktestSettings) -> Floats:
    values = np.zeros(ENTRY_PARAMS)
    values[E_TRIGGER] = config.trigger_sigma_x
    values[E_FURTHEST] = config.max_sigma_x
    values[E_SPREAD] = config.max_spread_bps
    values[E_FUNDING_MIN] = config.min_to_funding_min
    values[E_DEPTH] = config.min_depth_usd
    values[E_COST] = config.max_cost_r
    values[E_ATR_MULT] = config.atr_mult_x
    values[E_FEE] = float(settings.fees.taker) + float(settings.fees.maker)
    values[E_SLIP] = config.slippage_bps
    values[E_SLIP_VOLATILE] = config.slippage_volatile_bps
    values[E_VOLATILE] = config.volatile_percentile
    values[E_SLIP_THIN] = config.slippage_thin_bps
    values[E_THIN] = config.thin_depth_usd
    values[E_CHURN_MS] = settings.anti_churn_ms
    return values


def plan_params(config: StrategyConfig, instrument: Instrument, settings: BacktestSettings) -> Floats:
    values = np.zeros(plan.PARAMS)
    shares = [*config.tp_shares, 0.0, 0.0, 0.0]
    values[plan.P_GRID] = config.profile is Profile.GRID
    values[plan.P_ATR_MULT] = config.atr_mult_x
    values[plan.P_MAX_SLIP] = config.max_slippage_bps / 1e4
    values[plan.P_TP1 : plan.P_TP3 + 1] = shares[:3]
    values[plan.P_RUNGS] = config.rungs
    values[plan.P_STEP_ATR] = config.rung_step_atr_x
    values[plan.P_MIN_STEP] = config.min_step_bps / 1e4
    values[plan.P_WEIGHT] = config.rung_weight_x
    values[plan.P_TP_STEPS] = config.rung_tp_steps_x
    values[plan.P_CYCLES] = config.max_cycles
    values[plan.P_TIME_MS] = config.time_exit_ms
    values[plan.P_BE_FULL] = config.be_mode is BreakEvenMode.FULL
    values[plan.P_BE_R] = config.be_trigger_r
    values[plan.P_AUTO_FUNDING] = config.auto_funding_exit
    values[plan.P_FUNDING_MS] = config.funding_exit_ms
    values[plan.P_FUNDING_R] = config.funding_exit_below_r
    values[plan.P_TAKER] = float(settings.fees.taker)
    values[plan.P_MAKER] = float(settings.fees.maker)
    values[plan.P_R_USD] = float(settings.r_usd)
    values[plan.P_TICK] = float(instrument.tick_size)
    values[plan.P_QTY_STEP] = float(instrument.qty_step)
    values[plan.P_MIN_QTY] = float(instrument.min_order_qty)
    values[plan.P_MIN_NOTIONAL] = float(instrument.min_notional)
    values[plan.P_MAX_LIMIT_QTY] = float(instrument.max_limit_qty)
    values[plan.P_MIN_PRICE] = float(instrument.min_price)
    values[plan.P_MAX_PRICE] = float(instrument.max_price)
    return values


def _rows(data: MarketData, series: IndicatorSeries, config: StrategyConfig) -> Floats:
    imbalance, lean, spread, depth = book_columns(data, series, config)
    return np.ascontiguousarray(
        np.stack(
            [
                series.close,
                series.vwap,
                series.sigma,
                series.atr,
                series.atr_percentile,
                series.trend.astype(np.float64),
                series.is_warm.astype(np.float64),
                imbalance,
                lean,
                spread,
                depth,
                data.book.has_book.astype(np.float64),
                (series.close_ms // 3_600_000 % 24).astype(np.float64),
                (FUNDING_MS - series.close_ms % FUNDING_MS) / 60_000,
            ]
        )
    )


def _in_ticks(prices: Floats, tick: float) -> Floats:
    """Prices that lie on a tick become whole numbers exactly."""
    ticks = prices / tick
    whole = np.round(ticks)
    return np.where(np.abs(ticks - whole) < 1e-6, whole, ticks)


def _plans_from(found: Floats) -> CompiledPlans:
    whole = found.astype(np.int64)
    return CompiledPlans(
        bar=whole[:, 0],
        direction=whole[:, 1],
        reason=whole[:, 2 + plan.O_REASON],
        last_fine=whole[:, 2 + plan.O_LAST],
        exits=whole[:, 2 + plan.O_EXITS],
        gross_usd=found[:, 2 + plan.O_GROSS],
        fees_usd=found[:, 2 + plan.O_FEES],
        funding_usd=found[:, 2 + plan.O_FUNDING],
        slippage_usd=found[:, 2 + plan.O_SLIPPAGE],
    )


@njit(cache=True)
def _slippage_bps(percentile, depth, e):
    bps = e[E_SLIP]
    if percentile > e[E_VOLATILE]:
        bps += e[E_SLIP_VOLATILE]
    if depth < e[E_THIN]:
        bps += e[E_SLIP_THIN]
    return bps


@njit(cache=True)
def _slippage(bars, bar_of, e):
    """Ratio of price per fine bar, as known when it opens."""
    out = np.empty(len(bar_of))
    for k in range(len(bar_of)):
        i = max(bar_of[k] - 1, 0)
        out[k] = _slippage_bps(bars[S_PERCENTILE, i], bars[S_DEPTH, i], e) / 1e4
    return out


@njit(cache=True)
def _direction(bars, i, e, theta, dead):
    """The eleven rules on bar i, taken at the moment it closed: 1, -1 or 0."""
    trend = bars[S_TREND, i]
    if trend == 0.0 or bars[S_WARM, i] == 0.0:
        return 0
    hour = int(bars[S_HOUR, i])
    close, vwap, sigma = bars[S_CLOSE, i], bars[S_VWAP, i], bars[S_SIGMA, i]
    if not trend * bars[S_IMBALANCE, i] >= theta[hour]:
        return 0
    if not trend * (close - (vwap + trend * e[E_TRIGGER] * sigma)) > 0:
        return 0
    if not trend * (close - (vwap + trend * e[E_FURTHEST] * sigma)) <= 0:
        return 0
    if dead[hour] or bars[S_TO_FUNDING, i] < e[E_FUNDING_MIN]:
        return 0
    if bars[S_HAS_BOOK, i] > 0:
        if not trend * bars[S_LEAN, i] > 0 or not bars[S_SPREAD, i] <= e[E_SPREAD]:
            return 0
        if not bars[S_DEPTH, i] >= e[E_DEPTH]:
            return 0
    distance = e[E_ATR_MULT] * bars[S_ATR, i]
    if not distance > 0:
        return 0
    slip = _slippage_bps(bars[S_PERCENTILE, i], bars[S_DEPTH, i], e)
    if not (e[E_FEE] + slip / 1e4) * close / distance <= e[E_COST]:
        return 0
    return int(trend)


@njit(cache=True)
def _one(bars, i, direction, fine_of_5m, o, h, lo, c, start, end, trend, slip, f_at, f_rate, p, out):
    return plan.simulate(
        direction,
        direction * _snap(bars[S_CLOSE, i] / p[plan.P_TICK]),
        bars[S_ATR, i] / p[plan.P_TICK],
        fine_of_5m[i + 1],
        p,
        o,
        h,
        lo,
        c,
        start,
        end,
        trend,
        slip,
        f_at,
        f_rate,
        out,
    )


@njit(cache=True)
def _snap(ticks):
    whole = np.round(ticks)
    return whole if abs(ticks - whole) < 1e-6 else ticks


@njit(cache=True)
def _replay(
    bars,
    close_ms,
    fine_of_5m,
    bar_of,
    o,
    h,
    lo,
    c,
    start,
    end,
    trend,
    f_at,
    f_rate,
    e,
    theta,
    dead,
    p,
    first_bar,
    found,
):
    count = bars.shape[1]
    slip = _slippage(bars, bar_of, e)
    out = np.zeros(plan.OUTPUTS)
    last_long = last_short = -(1 << 60)
    used = 0
    i = first_bar
    while i < count - 1:
        direction = _direction(bars, i, e, theta, dead)
        if direction == 0:
            i += 1
            continue
        before = last_long if direction > 0 else last_short
        if close_ms[i] - before < e[E_CHURN_MS]:
            i += 1
            continue
        if not _one(bars, i, direction, fine_of_5m, o, h, lo, c, start, end, trend, slip, f_at, f_rate, p, out):
            i += 1
            continue
        found[used, 0] = i
        found[used, 1] = direction
        found[used, 2:] = out
        used += 1
        if out[plan.O_EXITS] > 0:
            if direction > 0:
                last_long = close_ms[i]
            else:
                last_short = close_ms[i]
        i = max(i + 1, bar_of[int(out[plan.O_LAST])])
    return used


@njit(cache=True)
def _outcomes(bars, fine_of_5m, o, h, lo, c, start, end, trend, f_at, f_rate, e, p, signals, directions, found):
    bar_of = np.empty(len(o), dtype=np.int64)
    for i in range(len(fine_of_5m) - 1):
        bar_of[fine_of_5m[i] : fine_of_5m[i + 1]] = i
    slip = _slippage(bars, bar_of, e)
    out = np.zeros(plan.OUTPUTS)
    used = 0
    for s in range(len(signals)):
        i = signals[s]
        if i + 1 >= bars.shape[1]:
            continue
        if _one(bars, i, directions[s], fine_of_5m, o, h, lo, c, start, end, trend, slip, f_at, f_rate, p, out):
            found[used, 0] = i
            found[used, 1] = directions[s]
            found[used, 2:] = out
            used += 1
    return used


@njit(cache=True, parallel=True)
def _sweep(
    bars,
    close_ms,
    fine_of_5m,
    bar_of,
    o,
    h,
    lo,
    c,
    start,
    end,
    trend,
    f_at,
    f_rate,
    entries,
    thetas,
    deads,
    plans,
    first_bar,
    summary,
):
    for n in prange(len(entries)):
        found = np.zeros((bars.shape[1], 2 + plan.OUTPUTS))
        used = _replay(
            bars,
            close_ms,
            fine_of_5m,
            bar_of,
            o,
            h,
            lo,
            c,
            start,
            end,
            trend,
            f_at,
            f_rate,
            entries[n],
            thetas[n],
            deads[n],
            plans[n],
            first_bar,
            found,
        )
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
