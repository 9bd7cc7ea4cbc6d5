from decimal import Decimal

import pytest

from risk.core.exposure import open_risk_usd
from risk.core.limits import RiskLimits
from risk.core.request import OrderLine
from tests.support.risk import opening, outcome_of, plan, snapshot

BASES = ("ETH", "SOL", "BNB", "XRP", "ADA")


@pytest.mark.parametrize(("already", "passes"), [(0, True), (3, True), (4, True), (5, False)])
def test_max_concurrent_counts_the_new_plan(already: int, passes: bool) -> None:
    seen = snapshot(open_plans=tuple(plan(i, base=BASES[i]) for i in range(already)))
    found = outcome_of("max_concurrent", seen=seen)
    assert found.passed is passes
    assert found.numbers == {"plans": already + 1, "limit": 5}


@pytest.mark.parametrize(("risk_usd", "passes"), [("19.99", True), ("20", True), ("20.01", False)])
def test_one_plan_risks_at_most_one_r(risk_usd: str, passes: bool) -> None:
    assert outcome_of("plan_risk_r", opening(risk_usd=Decimal(risk_usd))).passed is passes


def test_understated_risk_is_recomputed_from_the_lines() -> None:
    # 0.021 BTC x 1,000 USD to the stop = 21 USD, whatever the request claims
    request = opening(risk_usd=Decimal(1), lines=(OrderLine(Decimal("0.021"), Decimal(60_000)),))
    found = outcome_of("plan_risk_r", request)
    assert not found.passed
    assert found.numbers["risk_usd"] == Decimal(21)
    assert found.sentence == "This plan risks 1.05 R, the limit is 1 R."


@pytest.mark.parametrize("stop", [60_000, 60_001])
def test_a_stop_that_is_not_on_the_losing_side_is_refused(stop: int) -> None:
    assert not outcome_of("plan_risk_r", opening(stop_price=Decimal(stop))).passed


@pytest.mark.parametrize(("open_usd", "passes"), [("79.99", True), ("80", True), ("80.01", False)])
def test_total_open_risk_includes_the_new_plan(open_usd: str, passes: bool) -> None:
    # 5 R of 20 USD are 100; the new plan takes 20
    seen = snapshot(open_plans=(plan(1, risk_usd=50), plan(2, base="SOL", risk_usd=Decimal(open_usd) - 50)))
    assert outcome_of("max_total_risk_r", opening(risk_usd=Decimal(20)), seen).passed is passes


def test_plans_at_break_even_leave_the_room_free() -> None:
    seen = snapshot(open_plans=tuple(plan(i, base=BASES[i], risk_usd=0) for i in range(4)))
    assert outcome_of("max_total_risk_r", opening(risk_usd=Decimal(20)), seen).numbers["risk_r"] == Decimal(1)


@pytest.mark.parametrize(("open_usd", "passes"), [("19.99", True), ("20", True), ("20.01", False)])
def test_risk_per_symbol_sums_long_and_short(open_usd: str, passes: bool) -> None:
    seen = snapshot(open_plans=(plan(1, base="BTC", direction=-1, risk_usd=open_usd), plan(2, risk_usd=90)))
    assert outcome_of("per_symbol_risk_r", opening(risk_usd=Decimal(20)), seen).passed is passes


def test_one_long_and_one_short_per_base_but_never_two_the_same_way() -> None:
    short, long = plan(1, base="BTC", direction=-1), plan(2, base="BTC", direction=1)
    assert outcome_of("per_base", seen=snapshot(open_plans=(short,))).passed
    refused = outcome_of("per_base", seen=snapshot(open_plans=(long,)))
    assert not refused.passed
    assert refused.sentence == "A long plan on BTC is open already."
    assert not outcome_of("per_base", seen=snapshot(open_plans=(short, long))).passed
    selling = opening(direction=-1, stop_price=Decimal(61_000))
    assert outcome_of("per_base", selling, snapshot(open_plans=(short,))).sentence.startswith("A short plan")


def test_a_limit_of_one_per_base_forbids_hedging() -> None:
    seen = snapshot(open_plans=(plan(1, base="BTC", direction=-1),))
    assert not outcome_of("per_base", seen=seen, limits=RiskLimits(max_per_base=1)).passed


def test_another_quote_of_the_same_base_counts() -> None:
    assert not outcome_of("per_base", opening(symbol="BTCPERP"), snapshot(open_plans=(plan(1, base="BTC"),))).passed


def _risk(**changes: object) -> Decimal:
    facts = {
        "direction": 1,
        "stop_price": Decimal(95),
        "filled_qty": Decimal(2),
        "avg_price": Decimal(100),
        "pending": (),
        "mark_price": Decimal(101),
        **changes,
    }
    return open_risk_usd(**facts)  # type: ignore[arg-type]


def test_open_risk_is_measured_to_the_current_stop() -> None:
    assert _risk() == Decimal(10)  # 2 x 5
    assert _risk(stop_price=Decimal(99)) == Decimal(2)


@pytest.mark.parametrize("stop", [100, 101])
def test_break_even_and_better_count_zero(stop: int) -> None:
    assert _risk(stop_price=Decimal(stop)) == 0


def test_pending_entries_count_as_filled_and_locked_profit_pays_for_nothing() -> None:
    pending = (OrderLine(Decimal(1), Decimal(98)), OrderLine(Decimal(1), None))
    assert _risk(pending=pending) == Decimal(10 + 3 + 6)
    # the stop stands 2 above the filled part's price: +4 locked in, the market line still risks 1
    locked = _risk(avg_price=Decimal(98), stop_price=Decimal(100), pending=(OrderLine(Decimal(1), None),))
    assert locked == Decimal(1)


def test_exit_fees_are_part_of_the_loss() -> None:
    assert _risk(exit_fee_ratio=Decimal("0.001")) == Decimal("10.19")  # 2 x (5 + 95 x 0.001)


def test_short_side_is_the_mirror() -> None:
    assert _risk(direction=-1, stop_price=Decimal(105)) == Decimal(10)
    assert _risk(direction=-1, stop_price=Decimal(95)) == 0
