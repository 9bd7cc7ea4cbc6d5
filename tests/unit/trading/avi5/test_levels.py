"""Levels worked out by hand, and why a plan cannot be placed."""

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from avigrid.kernel.errors import Bug
from tests.unit.trading.avi5.builders import instrument, spec
from trading.avi5.config import Profile, StrategyConfig
from trading.avi5.spec import PlanSpec, Refusal

D = Decimal


def test_a_swing_by_hand() -> None:
    """Entry 65000, ATR 120.3: d = 962.4. Loss a unit: 962.4 + 65000 * 0.0011 = 1033.9; 100 / 1033.9 = 0.0967..."""
    plan = spec(close=65000.0, atr=120.3)
    assert (plan.entry, plan.stop) == (D(65000), D("64037.6"))
    assert [tp.price for tp in plan.take_profits] == [D("65962.4"), D("66924.8"), D("67887.2")]
    assert plan.quantity == D("0.096")
    assert plan.planned_loss_usd == D("0.096") * D("1033.9")
    assert plan.expected_fees_usd == D("0.096") * D("71.5")
    assert plan.rungs[0].limit_price == D(65065)


def test_stops_snap_away_and_take_profits_toward_entry() -> None:
    """d = 80.4: on a tick of 0.5 a long stop 919.6 goes to 919.5, TP 1080.4 to 1080; a short's 1080.4 to 1080.5."""
    long = spec(1, atr=10.05, filters=instrument(tick="0.5"))
    assert (long.stop, long.take_profits[0].price) == (D("919.5"), D("1080.0"))
    short = spec(-1, atr=10.05, filters=instrument(tick="0.5"))
    assert (short.stop, short.take_profits[0].price) == (D("1080.5"), D("920.0"))


def test_a_grid_step_must_pay_its_fees() -> None:
    """ATR 1 would be a step of 1; 15 bps of 1000 are 1.5."""
    plan = spec(profile=Profile.GRID, atr=1.0)
    assert [rung.price for rung in plan.rungs] == [D(1000), D("998.5"), D(997), D("995.5"), D(994)]
    assert plan.stop == D(1000) - D(6) - D(8)


def test_weights_grow_with_the_rung() -> None:
    config = StrategyConfig(profile=Profile.GRID, rungs=3, rung_weight_x=1.5)
    sizes = [rung.quantity for rung in spec(config=config, r_usd="10000").rungs]
    assert sizes[1] / sizes[0] == pytest.approx(D("1.5"), abs=D("0.001"))
    assert sizes[2] / sizes[0] == pytest.approx(D("2.25"), abs=D("0.001"))


@pytest.mark.parametrize(
    ("plan", "refusal"),
    [
        (spec(r_usd="0.08"), Refusal.BELOW_MINIMUM),
        (spec(filters=instrument(min_notional="2000")), Refusal.BELOW_MINIMUM),
        (spec(profile=Profile.GRID, r_usd="100", filters=instrument(min_qty="0.5")), Refusal.BELOW_MINIMUM),
        (spec(atr=0.0), Refusal.NO_DISTANCE),
        (spec(atr=math.nan), Refusal.NO_DISTANCE),
        (spec(1, atr=130.0), Refusal.STOP_NOT_POSITIVE),
        (spec(-1, atr=42.0), Refusal.TAKE_PROFIT_NOT_POSITIVE),
        (spec(atr=0.01, filters=instrument(tick="0.1")), Refusal.STEP_BELOW_TICK),
        (spec(-1, atr=41.0, filters=replace(instrument(), min_price=D(100))), Refusal.PRICE_OUT_OF_RANGE),
        (spec(), None),
    ],
)
def test_refusals(plan: PlanSpec, refusal: Refusal | None) -> None:
    assert plan.refusal is refusal
    assert plan.is_placeable is (refusal is None)
    assert PlanSpec.from_json(plan.to_json()) == plan


def test_a_damaged_stored_plan_is_a_bug() -> None:
    data = spec().to_json()
    del data["stop"]
    with pytest.raises(Bug, match="stop"):
        PlanSpec.from_json(data)
