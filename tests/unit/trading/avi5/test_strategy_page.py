"""docs/strategy.md says what the code does: its worked example is recomputed, its defaults and pictures compared."""

from decimal import Decimal
from pathlib import Path

import pytest

from avigrid.kernel.instrument import FeeRates
from tests.support.strategy_pictures import IMAGES, PICTURES, example
from trading.avi5.actions import CloseReason
from trading.avi5.config import Profile, StrategyConfig
from trading.avi5.rules import Rule, cost_in_r
from trading.avi5.spec import split_exits

D = Decimal
PAGE = (Path(__file__).parents[4] / "docs" / "strategy.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]


def row(first: str) -> list[str]:
    return next(cells for cells in ROWS if cells[0].startswith(first))


def test_the_swing_example() -> None:
    spec, _ = example(Profile.SWING)
    assert D(row("distance d")[1]) == spec.distance
    assert D(row("stop = close")[1]) == spec.stop
    assert [D(price) for price in row("exits = close")[1].split(", ")] == [tp.price for tp in spec.take_profits]
    unit_loss = abs(spec.entry - spec.stop) + spec.entry * 2 * spec.taker_fee
    assert D(row("loss of one unit")[1]) == unit_loss
    assert D(row("size: 20")[1]) == spec.quantity
    assert f"20 / {unit_loss.normalize()} = 9.237" in row("size: 20")[0]
    assert str(D(20) / unit_loss).startswith("9.237")
    assert D(row("planned loss")[1]) == spec.planned_loss_usd == spec.quantity * unit_loss
    parts = split_exits(spec.quantity, tuple(tp.share for tp in spec.take_profits), spec.grain)
    assert f"({parts[0]}, {parts[1]} and {parts[2]};" in PAGE
    assert f"({spec.rungs[0].limit_price} here)" in PAGE


def test_the_cost_of_the_example() -> None:
    fees = FeeRates()
    ratio = float(fees.taker + fees.maker)
    told = float(row("cost of the round trip")[1].removesuffix(" R"))
    assert told == pytest.approx(cost_in_r(close=150.0, distance=2.0, fee_ratio=ratio, slippage=2.0))
    tight = cost_in_r(close=150.0, distance=1.5 * 0.25, fee_ratio=ratio, slippage=2.0)
    assert f"would pay {tight:.2f} R" in PAGE


def test_the_grid_example() -> None:
    spec, _ = example(Profile.GRID)
    for rung in spec.rungs:
        cells = next(cells for cells in ROWS if cells[0] == str(rung.rung) and len(cells) == 5)
        assert [D(cell) for cell in cells[1:]] == [rung.price, rung.take_profit, rung.quantity, rung.loss_usd]
    total = row("all")
    assert (D(total[3]), D(total[4])) == (spec.quantity, spec.planned_loss_usd)
    assert f"loss at {spec.stop} with fees" in PAGE


def test_rules_and_reasons_are_all_there() -> None:
    named = [cells[1].strip("`") for cells in ROWS if cells[0].isdigit() and cells[1].startswith("`")]
    assert named == [rule.value for rule in Rule]
    for reason in set(CloseReason) - {CloseReason.TREND, CloseReason.CANCELLED}:
        assert f"| `{reason.value}` |" in PAGE


def test_defaults() -> None:
    it = StrategyConfig()
    rules = {cells[1].strip("`"): cells[3] for cells in ROWS if len(cells) == 4 and cells[0].isdigit()}
    assert rules["fresh"] == f"{it.max_decision_age_ms // 1000} s"
    assert rules["trigger"] == f"k = {it.trigger_sigma_x}"
    assert rules["not_chasing"] == f"k = {it.max_sigma_x}"
    assert rules["imbalance"] == str(it.theta)
    assert rules["spread"] == f"{it.max_spread_bps:g} bps"
    assert rules["funding"] == f"{it.min_to_funding_min:g}"
    assert rules["liquidity"] == f"{it.min_depth_usd:,.0f} USD"
    assert rules["cost"] == f"{it.max_cost_r:.2f} R"
    assert f"`max_cycles` ({it.max_cycles})" in PAGE
    assert f"N rungs ({it.rungs};" in PAGE
    assert f"{it.atr_mult_x:g} x ATR below the deepest rung" in PAGE
    assert f"{it.min_step_bps:g} bps of the price" in PAGE
    assert f"| `time` | {it.time_exit_ms // 3_600_000} h after" in PAGE
    assert f"less than {it.funding_exit_ms // 60_000} minutes and less than {it.funding_exit_below_r} R" in PAGE
    assert f"counts as filled from {it.full_fill_ratio:.0%}".replace("%", " %") in PAGE
    assert it.partial_retries == 2
    assert "at most twice more" in PAGE


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_picture_is_the_one_the_code_draws(name: str) -> None:
    assert (IMAGES / name).read_text() == PICTURES[name](), "python -m tests.support.strategy_pictures draws it anew"
    assert f"images/{name}" in PAGE
