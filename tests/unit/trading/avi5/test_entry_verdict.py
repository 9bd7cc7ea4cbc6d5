"""What a first fill comes to, at the exact thresholds: 0.95 is full, 0.5 is enough, two more tries and no third."""

from decimal import Decimal

import pytest

from avigrid.kernel.orders import OrderRole, OrderStatus
from tests.unit.trading.avi5.builders import Bench, instrument, spec, view
from trading.avi5.actions import PlanStatus
from trading.avi5.config import PartialPolicy, Profile, StrategyConfig
from trading.avi5.entries import EntryVerdict, first_entry_verdict
from trading.avi5.state import PlanOrder, PlanState

D = Decimal


def verdict(ratio: str, policy: PartialPolicy, tries: int = 1) -> EntryVerdict:
    """`ratio` of the planned size is filled by the first of `tries`; the others found nothing."""
    plan_spec = spec()
    planned = plan_spec.rungs[0].quantity
    orders = tuple(
        PlanOrder(
            ref=f"e{attempt}",
            role=OrderRole.ENTRY,
            rung=0,
            cycle=0,
            attempt=attempt,
            status=OrderStatus.CANCELLED,
            quantity=planned,
            filled_qty=planned * D(ratio) if attempt == 0 else D(0),
            avg_price=D(1000),
            price=D(1001),
        )
        for attempt in range(tries)
    )
    plan = PlanState(spec=plan_spec, status=PlanStatus.PLACING, opened_ms=0, orders=orders)
    return first_entry_verdict(plan, StrategyConfig(partial_policy=policy))


@pytest.mark.parametrize(
    ("ratio", "accept", "retry"),
    [
        ("1", "filled", "filled"),
        ("0.95", "filled", "filled"),
        ("0.9499", "filled", "retry"),
        ("0.5", "filled", "retry"),
        ("0.4999", "underfill", "underfill"),
        ("0", "underfill", "underfill"),
    ],
)
def test_thresholds(ratio: str, accept: str, retry: str) -> None:
    assert verdict(ratio, PartialPolicy.ACCEPT) == accept
    assert verdict(ratio, PartialPolicy.RETRY) == retry


def test_two_more_tries_and_no_third() -> None:
    assert [verdict("0.6", PartialPolicy.RETRY, tries) for tries in (1, 2, 3)] == ["retry", "retry", "filled"]


def test_underfill_is_not_tried_again() -> None:
    assert verdict("0.3", PartialPolicy.RETRY, 2) == "underfill"


def _partly_filled(profile: Profile, filled: str, *, min_notional: str = "5") -> Bench:
    """The first order has bought `filled` and ended, under `retry`; what it may do next is up to the test."""
    config = StrategyConfig(profile=profile, rungs=2, partial_policy=PartialPolicy.RETRY)
    bench = Bench(spec(profile=profile, config=config, filters=instrument(min_notional=min_notional)), config)
    bench.step(view(now_ms=1_000))
    first = next(order for order in bench.plan.orders if order.rung == 0)
    bench.fill(first.ref, str((first.quantity * D(filled)).quantize(D("0.001"))), "1000")
    bench.end(first.ref)
    for order in bench.plan.of(OrderRole.ENTRY):
        if order.rung:
            bench.change(order.ref, status=OrderStatus.OPEN)
    return bench


@pytest.mark.parametrize("profile", list(Profile))
def test_a_rest_too_small_to_be_asked_for_is_left(profile: Profile) -> None:
    """90 % filled, and the missing tenth is worth less than the venue takes: the exits go out for what there is."""
    bench = _partly_filled(profile, "0.9", min_notional="200")
    bench.step(view(now_ms=2_000))
    assert bench.plan.status is PlanStatus.ACTIVE
    assert len(bench.plan.of(OrderRole.ENTRY, 0)) == 1
    assert bench.plan.tally.exits_open == bench.plan.position_qty > 0


@pytest.mark.parametrize("profile", list(Profile))
def test_a_retry_held_back_does_not_hold_the_exits_back(profile: Profile) -> None:
    bench = _partly_filled(profile, "0.6")
    bench.step(view(now_ms=2_000, entries_allowed=False))
    assert bench.plan.status is PlanStatus.ACTIVE
    held = bench.plan.position_qty
    assert bench.plan.tally.exits_open == held > 0
    # with its exits at the venue the plan goes on as it is, when entries are allowed again too
    bench.step(view(now_ms=3_000))
    assert len(bench.plan.of(OrderRole.ENTRY, 0)) == 1
    assert bench.plan.tally.exits_open == held
