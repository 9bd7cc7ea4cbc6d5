"""The gate before live: thresholds of the specification, unknown values never pass."""

import numpy as np
import pytest

from avigrid.kernel.instrument import FeeRates
from tests.unit.trading.backtest.synthetic import filters, market
from trading.avi5.config import StrategyConfig
from trading.avi5.levels import plan_for
from trading.backtest.bias import truncated
from trading.backtest.driver import decisions_of, run_backtest
from trading.backtest.plan_result import END_OF_DATA
from trading.backtest.result import BacktestSettings
from trading.backtest.validation import ModelledTrade, judge, model_plan

LOOSE = StrategyConfig(theta=0.1, max_cost_r=1.0, max_slippage_bps=60.0)


def trades(rs: list[float], gap: float | None = 1.0) -> list[ModelledTrade]:
    return [ModelledTrade(i, i + 1, r, gap) for i, r in enumerate(rs)]


GOOD = [1.0, -0.5] * 20


def test_a_good_month_is_ready() -> None:
    verdict = judge(trades(GOOD), days=30)
    assert verdict.is_ready
    assert [check.name for check in verdict.checks] == [
        "real_market",
        "days",
        "trades",
        "win_rate",
        "profit_factor",
        "max_drawdown_r",
        "slippage_gap_bps",
    ]
    assert verdict.sum_r == 10.0


@pytest.mark.parametrize(
    ("rs", "gap", "days", "missing"),
    [
        (GOOD, 1.0, 29.99, ["days"]),
        ([2.0, -0.5, -0.5] * 20, 1.0, 30, ["win_rate"]),
        ([1.19, -1.0] * 20, 1.0, 30, ["profit_factor"]),
        ([-1.0] * 11 + [2.0] * 20, 1.0, 30, ["max_drawdown_r"]),
        (GOOD, 5.1, 30, ["slippage_gap_bps"]),
        (GOOD, -5.1, 30, ["slippage_gap_bps"]),
        (GOOD, None, 30, ["slippage_gap_bps"]),
        # one winner is no proof, nor are twenty-nine
        ([1.0], 1.0, 30, ["trades"]),
        (GOOD[:28] + [1.0], 1.0, 30, ["trades"]),
        ([], 1.0, 30, ["trades", "win_rate", "profit_factor", "max_drawdown_r", "slippage_gap_bps"]),
    ],
)
def test_what_is_missing_is_named(rs: list[float], gap: float | None, days: float, missing: list[str]) -> None:
    verdict = judge(trades(rs, gap), days=days)
    assert [check.name for check in verdict.missing] == missing
    assert not verdict.is_ready


def test_at_the_limits_it_passes() -> None:
    rs = [-1.0] * 10 + [2.0] * 18 + [-0.0001] * 12
    assert judge(trades(GOOD[:30]), days=30).is_ready
    assert judge(trades(rs, 5.0), days=30).is_ready


def test_a_simulated_market_proves_nothing() -> None:
    verdict = judge(trades(GOOD), days=30, is_real_market=False)
    assert [check.name for check in verdict.missing] == ["real_market"]


def test_a_live_signal_is_modelled_as_the_replay_would() -> None:
    data = market(4000)
    result = run_backtest(data, LOOSE, instrument=filters())
    plan = next(p for p in result.plans if p.is_traded and p.reason != "end_of_data")
    decision = next(d for d in decisions_of(data, LOOSE, fees=FeeRates()) if d.decided_ms == plan.decided_ms)
    settings = BacktestSettings()
    spec = plan_for(decision, LOOSE, instrument=filters(), fees=settings.fees, r_usd=settings.r_usd)
    modelled = model_plan(spec, decision.bar_start_ms, data, LOOSE, settings)
    assert modelled is not None
    assert (modelled.legs, modelled.net_usd, modelled.reason) == (plan.legs, plan.net_usd, plan.reason)
    early = model_plan(spec, decision.bar_start_ms, truncated(data, plan.last_bar - 1), LOOSE, settings)
    assert early is not None
    assert early.reason == END_OF_DATA
    at = int(np.searchsorted(data.bars_5m.start_ms, decision.bar_start_ms))
    assert model_plan(spec, decision.bar_start_ms, truncated(data, at + 1), LOOSE, settings) is None


@pytest.mark.parametrize(
    ("reason", "more"),
    [
        ("time", {"time_exit_ms": 3_600_000}),
        ("funding", {"auto_funding_exit": True, "funding_exit_below_r": 10.0}),
        ("stop", {"atr_mult_x": 3.0}),
    ],
)
def test_no_plan_is_over_before_the_bar_that_ends_it(reason: str, more: dict[str, object]) -> None:
    """A time exit is decided at one bar's close and sold at the next one's open: until that is known it is open."""
    config = LOOSE.replaced(more)
    data = market(2500)
    settings = BacktestSettings()
    plan = next(p for p in run_backtest(data, config, instrument=filters()).plans if p.reason == reason and p.is_traded)
    decision = next(d for d in decisions_of(data, config, fees=FeeRates()) if d.decided_ms == plan.decided_ms)
    spec = plan_for(decision, config, instrument=filters(), fees=settings.fees, r_usd=settings.r_usd)
    for known in range(plan.first_bar + 1, plan.last_bar + 1):
        early = model_plan(spec, decision.bar_start_ms, truncated(data, known), config, settings)
        assert early is not None
        assert early.reason == END_OF_DATA, known
    ended = model_plan(spec, decision.bar_start_ms, truncated(data, plan.last_bar + 1), config, settings)
    assert ended is not None
    assert (ended.reason, ended.legs, ended.funding_usd, ended.last_bar) == (
        reason,
        plan.legs,
        plan.funding_usd,
        plan.last_bar,
    )
