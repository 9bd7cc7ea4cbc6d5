"""The compiled replay finds the pure path's plans: same bars, ends and results, for any legal numbers."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avigrid.kernel.instrument import FeeRates
from tests.unit.trading.backtest.synthetic import filters, market
from trading.avi5.config import StrategyConfig
from trading.backtest.compiled import arrays_for, run_compiled, sweep_compiled
from trading.backtest.compiled_plan import REASONS
from trading.backtest.compiled_scan import SUMMARY_FIELDS
from trading.backtest.data import MarketData
from trading.backtest.driver import run_backtest
from trading.backtest.result import BacktestSettings


def numbers(least: float, most: float) -> st.SearchStrategy[float]:
    """As a person writes them: the compiled path forgives a ten-millionth of a tick, the pure one is exact."""
    return st.floats(least, most).map(lambda number: round(number, 6))


@st.composite
def configs(draw: st.DrawFn) -> StrategyConfig:
    return StrategyConfig.from_mapping(
        {
            "profile": draw(st.sampled_from(["swing", "grid"])),
            "theta": draw(st.sampled_from([0.0, 0.1, 0.3])),
            "theta_by_hour": draw(st.dictionaries(st.sampled_from(["0", "5", "9", "14", "23"]), st.floats(0, 0.6))),
            "dead_hours": draw(st.sampled_from([[], [1, 2, 15]])),
            "trigger_sigma_x": draw(numbers(0, 1.5)),
            "max_cost_r": draw(numbers(0.1, 2)),
            "max_spread_bps": draw(st.sampled_from([1.0, 5.0, 50.0])),
            "min_depth_usd": draw(st.sampled_from([0.0, 50_000.0, 1_000_000.0])),
            "max_feature_age_ms": draw(st.sampled_from([0, 10_000, 300_000])),
            "slippage_thin_bps": draw(st.sampled_from([0.0, 25.0])),
            "max_slippage_bps": draw(st.sampled_from([5.0, 10.0, 60.0])),
            "atr_mult_x": draw(numbers(1, 12)),
            "rungs": draw(st.integers(1, 8)),
            "rung_step_atr_x": draw(numbers(0, 2)),
            "rung_weight_x": draw(numbers(0.5, 1.5)),
            "rung_tp_steps_x": draw(numbers(0.5, 2)),
            "max_cycles": draw(st.integers(0, 4)),
            "time_exit_ms": draw(st.sampled_from([900_000, 7_200_000, 86_400_000])),
            "be_mode": draw(st.sampled_from(["full", "visual"])),
            "be_trigger_r": draw(numbers(0.1, 1.2)),
            "auto_funding_exit": draw(st.booleans()),
            "tp_shares": draw(st.sampled_from([[0.5, 0.3, 0.2], [1.0], [0.6, 0.4]])),
        }
    )


@st.composite
def markets(draw: st.DrawFn) -> MarketData:
    """With and without books (some stale) and 1m bars inside the 5m ones."""
    return market(
        1500,
        seed=draw(st.integers(1, 30)),
        volatility=draw(st.sampled_from([0.0008, 0.003])),
        book_share=draw(st.sampled_from([0.0, 0.5, 1.0])),
        stale_share=draw(st.sampled_from([0.0, 0.2])),
        minute_share=draw(st.sampled_from([0.0, 0.5, 1.0])),
    )


@settings(max_examples=40)
@given(configs(), markets(), st.sampled_from(["7", "100", "2500"]))
def test_compiled_and_pure_agree(config: StrategyConfig, data: MarketData, r_usd: str) -> None:
    money = BacktestSettings(r_usd=Decimal(r_usd), fees=FeeRates(Decimal("0.0005"), Decimal("0.0001")))
    pure = run_backtest(data, config, instrument=filters(), settings=money)
    arrays = arrays_for(data, config, filters())
    fast = run_compiled(arrays, config, instrument=filters(), settings=money)
    assert [
        (int(arrays.close_ms[bar]), int(d), REASONS[reason], int(last), int(exits))
        for bar, d, reason, last, exits in zip(
            fast.bar, fast.direction, fast.reason, fast.last_fine, fast.exits, strict=True
        )
    ] == [(p.decided_ms, p.direction, p.reason, p.last_bar, len(p.legs)) for p in pure.plans]
    for name in ("gross_usd", "fees_usd", "funding_usd", "slippage_usd", "net_usd"):
        expected = np.array([float(getattr(plan, name)) for plan in pure.plans])
        assert getattr(fast, name) == pytest.approx(expected, rel=1e-9, abs=1e-7)


@settings(max_examples=10)
@given(st.lists(configs(), min_size=1, max_size=4), st.integers(1, 9))
def test_a_sweep_row_sums_up_its_plans(many: list[StrategyConfig], seed: int) -> None:
    data = market(1500, seed=seed)
    arrays = arrays_for(data, many[0], filters())
    summary = sweep_compiled(arrays, many, instrument=filters(), workers=2)
    for config, row in zip(many, summary, strict=True):
        plans = run_compiled(arrays, config, instrument=filters())
        named = dict(zip(SUMMARY_FIELDS, row, strict=True))
        net = plans.net_usd
        assert named["plans"] == len(net)
        assert named["trades"] == plans.is_traded.sum()
        assert named["wins"] == (net[plans.is_traded] > 0).sum()
        assert named["won_usd"] - named["lost_usd"] == pytest.approx(net.sum(), abs=1e-6)
        equity = np.concatenate([[0.0], np.cumsum(net)])
        worst = (np.maximum.accumulate(equity) - equity).max()
        assert named["closed_drawdown_usd"] == pytest.approx(worst, abs=1e-6)
