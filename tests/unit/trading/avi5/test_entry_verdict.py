"""What a first fill comes to, at the exact thresholds: 0.95 is full, 0.5 is enough, two more tries and no third."""

from decimal import Decimal

import pytest

from avigrid.kernel.orders import OrderRole, OrderStatus
from tests.unit.trading.avi5.builders import spec
from trading.avi5.actions import PlanStatus
from trading.avi5.config import PartialPolicy, StrategyConfig
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
