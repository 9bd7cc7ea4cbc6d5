"""The replay compiled: the same rules and the same plan over the same arrays, for sweeps and calibration.

`run_compiled` finds the plans `run_backtest` finds, with the same ends and results; tests hold them together.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avigrid.kernel.instrument import Instrument
from trading.avi5.config import StrategyConfig
from trading.backtest import compiled_plan as plan
from trading.backtest.compiled_params import Floats, entry_params, plan_params
from trading.backtest.compiled_plan import Ints, Road
from trading.backtest.compiled_scan import COLUMNS, SUMMARY_FIELDS, Scene, replay, replay_each, replay_many
from trading.backtest.data import FUNDING_MS, MarketData
from trading.backtest.result import BacktestSettings
from trading.backtest.series import IndicatorSeries, book_columns, indicator_series
from trading.backtest.track import build_track


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """One symbol and indicator setting, ready for any number of configs that share it."""

    scene: Scene
    road: Road

    @property
    def close_ms(self) -> Ints:
        return self.scene.close_ms


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


def arrays_for(
    data: MarketData, config: StrategyConfig, instrument: Instrument, *, series: IndicatorSeries | None = None
) -> Arrays:
    """Valid for every config with the same indicator, freshness and slippage numbers; `series` where known already."""
    series = series or indicator_series(data, config)
    track = build_track(data, series, config)
    tick = float(instrument.tick_size)
    return Arrays(
        scene=Scene(
            bars=_rows(data, series, config),
            close_ms=series.close_ms,
            fine_of_5m=data.fine_of_5m,
            bar_of=np.array(track.bar_of, dtype=np.int64),
        ),
        road=Road(
            opens=_in_ticks(data.fine.open, tick),
            highs=_in_ticks(data.fine.high, tick),
            lows=_in_ticks(data.fine.low, tick),
            closes=_in_ticks(data.fine.close, tick),
            start_ms=data.fine.start_ms,
            end_ms=np.array(track.end_ms, dtype=np.int64),
            trend=np.array(track.trend, dtype=np.int64),
            slip=np.array(track.slippage_bps, dtype=np.float64) / 1e4,
            funding_at=np.array(track.funding_at, dtype=np.int64),
            funding_rate=np.array(track.funding_rate, dtype=np.float64),
        ),
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
    found = np.empty((arrays.scene.bars.shape[1], COLUMNS))
    used = replay(
        arrays.scene,
        arrays.road,
        entry_params(config, settings),
        _thetas(config),
        _dead(config),
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
    found = np.empty((len(signals), COLUMNS))
    used = replay_each(
        arrays.scene,
        arrays.road,
        plan_params(config, instrument, settings or BacktestSettings()),
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
    workers: int = 1,
    first_bar: int = 0,
) -> Floats:
    """Many configs on one set of arrays: one row each, columns as in SUMMARY_FIELDS. `workers` threads share them."""
    settings = settings or BacktestSettings()
    summary = np.zeros((len(configs), len(SUMMARY_FIELDS)))
    entries = np.array([entry_params(config, settings) for config in configs])
    thetas = np.array([_thetas(config) for config in configs])
    dead = np.array([_dead(config) for config in configs])
    plans = np.array([plan_params(config, instrument, settings) for config in configs])

    def run(part: slice) -> None:
        numbers = entries[part], thetas[part], dead[part], plans[part]
        replay_many(arrays.scene, arrays.road, *numbers, first_bar, summary[part])

    size = -(-len(configs) // max(workers, 1))
    parts = [slice(start, start + size) for start in range(0, len(configs), size)] if configs else []
    with ThreadPoolExecutor(max_workers=max(workers, 1)) as pool:
        list(pool.map(run, parts))
    return summary


def _thetas(config: StrategyConfig) -> Floats:
    return np.array([config.theta_at(hour) for hour in range(24)])


def _dead(config: StrategyConfig) -> npt.NDArray[np.bool_]:
    return np.array([hour in config.dead_hours for hour in range(24)])


def _rows(data: MarketData, series: IndicatorSeries, config: StrategyConfig) -> Floats:
    """In the order of compiled_params.S_*."""
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
