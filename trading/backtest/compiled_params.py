"""Numbers of a config, an instrument and an account as flat vectors: how compiled code receives them."""

import numpy as np
import numpy.typing as npt

from avigrid.kernel.instrument import Instrument
from trading.avi5.config import BreakEvenMode, Profile, StrategyConfig
from trading.backtest.result import BacktestSettings

type Floats = npt.NDArray[np.float64]

# of a plan
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
) = range(28)
PLAN_PARAMS = 28

# of the entry rules
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
    values = np.zeros(PLAN_PARAMS)
    shares = [*config.tp_shares, 0.0, 0.0, 0.0]
    values[P_GRID] = config.profile is Profile.GRID
    values[P_ATR_MULT] = config.atr_mult_x
    values[P_MAX_SLIP] = config.max_slippage_bps / 1e4
    values[P_TP1 : P_TP3 + 1] = shares[:3]
    values[P_RUNGS] = config.rungs
    values[P_STEP_ATR] = config.rung_step_atr_x
    values[P_MIN_STEP] = config.min_step_bps / 1e4
    values[P_WEIGHT] = config.rung_weight_x
    values[P_TP_STEPS] = config.rung_tp_steps_x
    values[P_CYCLES] = config.max_cycles
    values[P_TIME_MS] = config.time_exit_ms
    values[P_BE_FULL] = config.be_mode is BreakEvenMode.FULL
    values[P_BE_R] = config.be_trigger_r
    values[P_AUTO_FUNDING] = config.auto_funding_exit
    values[P_FUNDING_MS] = config.funding_exit_ms
    values[P_FUNDING_R] = config.funding_exit_below_r
    values[P_TAKER] = float(settings.fees.taker)
    values[P_MAKER] = float(settings.fees.maker)
    values[P_R_USD] = float(settings.r_usd)
    values[P_TICK] = float(instrument.tick_size)
    values[P_QTY_STEP] = float(instrument.qty_step)
    values[P_MIN_QTY] = float(instrument.min_order_qty)
    values[P_MIN_NOTIONAL] = float(instrument.min_notional)
    values[P_MAX_LIMIT_QTY] = float(instrument.max_limit_qty)
    values[P_MIN_PRICE] = float(instrument.min_price)
    values[P_MAX_PRICE] = float(instrument.max_price)
    return values
