"""Forward validation: live signals modelled with the replay's own fills, measured against the gate before live."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from trading.avi5.config import StrategyConfig
from trading.avi5.spec import PlanSpec
from trading.backtest.data import MarketData
from trading.backtest.metrics import expectancy, max_drawdown, profit_factor, win_rate
from trading.backtest.plan_run import PlanRun
from trading.backtest.result import BacktestSettings, PlanResult
from trading.backtest.series import decision_at, indicator_series
from trading.backtest.track import build_track


@dataclass(frozen=True, slots=True)
class ModelledTrade:
    """One live signal as the fill model played it; `slippage_gap_bps` modelled minus observed, None if not observed."""

    decided_ms: int
    closed_ms: int
    r: float
    slippage_gap_bps: float | None = None


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Not to be loosened by a setting: an administrator who wants to go live without them overrides, with a reason."""

    min_days: float = 30.0
    min_trades: int = 30
    min_win_rate: float = 0.45
    min_profit_factor: float = 1.2
    max_drawdown_r: float = 10.0
    max_slippage_gap_bps: float = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    value: float | None
    limit: float
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`is_ready` only if every check passed; an unknown value never passes."""

    days: float
    trades: int
    expectancy_r: float | None
    sum_r: float
    checks: tuple[Check, ...]

    @property
    def is_ready(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def missing(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)


def judge(
    trades: Sequence[ModelledTrade], *, days: float, is_real_market: bool = True, thresholds: Thresholds | None = None
) -> Verdict:
    """`days`: of bars this version decided on. Trades in any order; only closed ones."""
    limits = thresholds or Thresholds()
    ordered = sorted(trades, key=lambda trade: (trade.closed_ms, trade.decided_ms))
    rs = [trade.r for trade in ordered]
    fall, _ = max_drawdown(np.cumsum(np.array(rs, dtype=np.float64)))
    gaps = [abs(trade.slippage_gap_bps) for trade in ordered if trade.slippage_gap_bps is not None]
    wins, factor = win_rate(rs), profit_factor(rs)
    gap = median(gaps) if gaps else None
    nothing_lost = factor is None and bool(rs) and sum(rs) > 0
    return Verdict(
        days=days,
        trades=len(rs),
        expectancy_r=expectancy(rs),
        sum_r=sum(rs),
        checks=(
            _check(
                "real_market",
                float(is_real_market),
                1.0,
                is_real_market,
                "signals of a real market, not a simulated one,",
            ),
            _check("days", days, limits.min_days, days >= limits.min_days, "days of validation, at least"),
            _check("trades", len(rs), limits.min_trades, len(rs) >= limits.min_trades, "closed trades, at least"),
            _check(
                "win_rate",
                wins,
                limits.min_win_rate,
                wins is not None and wins >= limits.min_win_rate,
                "win rate, at least",
            ),
            _check(
                "profit_factor",
                factor,
                limits.min_profit_factor,
                nothing_lost or (factor is not None and factor >= limits.min_profit_factor),
                "profit factor, at least",
            ),
            _check(
                "max_drawdown_r",
                fall if rs else None,
                limits.max_drawdown_r,
                bool(rs) and fall <= limits.max_drawdown_r,
                "max drawdown in R, at most",
            ),
            _check(
                "slippage_gap_bps",
                gap,
                limits.max_slippage_gap_bps,
                gap is not None and gap <= limits.max_slippage_gap_bps,
                "median gap of modelled and observed slippage in bps, at most",
            ),
        ),
    )


def model_plan(
    spec: PlanSpec, bar_start_ms: int, data: MarketData, config: StrategyConfig, settings: BacktestSettings
) -> PlanResult | None:
    """The plan of a live signal over the bars recorded after its bar; None while the next bar is missing.

    `reason` END_OF_DATA: it has not come to its end yet, and what it holds is valued at the last close.
    """
    at = int(np.searchsorted(data.bars_5m.start_ms, bar_start_ms))
    if at + 1 >= len(data.bars_5m) or int(data.bars_5m.start_ms[at]) != bar_start_ms:
        return None
    series = indicator_series(data, config)
    track = build_track(data, series, config)
    run = PlanRun(
        number=1,
        decision=decision_at(data, series, at, config, settings.fees),
        spec=spec,
        track=track,
        first=track.first_of[at + 1],
        config=config,
        settings=settings,
    )
    return run.run()


def _check(name: str, value: float | None, limit: float, passed: bool, words: str) -> Check:
    shown = "unknown" if value is None else f"{value:.3g}"
    return Check(name, value, limit, passed, f"{words} {limit:g}: {shown}")
