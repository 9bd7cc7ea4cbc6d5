"""An order of ours that somebody amends in the venue's own interface: what it is there counts."""

from decimal import Decimal
from typing import Any

import pytest

from tests.support.trading_desk import TradingDesk
from trading.models import Order, OutboxEvent, Plan, ReconciliationFinding
from trading.selectors.risk_view import open_plans_of
from trading.services.plan_commands import plan_close


def _resting(desk: TradingDesk) -> tuple[Plan, Order]:
    """The second rung of a grid."""
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=3, atr_mult_x=8.0, rung_step_atr_x=1.0)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 2, what="rungs")
    order = plan.orders.filter(role="entry", status="open").order_by("rung").first()
    assert order is not None
    return plan, order


def _amend(desk: TradingDesk, order: Order, **changes: Any) -> None:
    desk.simulator.http().amend_order(
        category="linear", symbol=order.symbol, orderLinkId=order.order_link_id, **changes
    )


@pytest.mark.parametrize("is_heard", [True, False])
def test_lowered_and_filled_it_is_over_and_the_plan_closes(desk: TradingDesk, is_heard: bool) -> None:
    """`is_heard` False: its frames are lost, and the comparison finds out."""
    execution = desk.start()
    plan, order = _resting(desk)
    lowered = order.quantity - Decimal("0.1")
    if not is_heard:
        desk.fault("drop_message", match={"topic": "order"}, count=1)
    _amend(desk, order, qty=str(lowered))
    if not is_heard:
        desk.settle()
        execution.reconciler.run("orders")
    desk.until(lambda: Order.objects.get(pk=order.pk).quantity == lowered, what="taken over")
    execution.reconciler.run("orders")
    finding = ReconciliationFinding.objects.get(kind="order_amended")
    assert (finding.severity, finding.is_open, finding.action) == ("warning", False, "taken over")
    execution.reconciler.run("orders")
    assert ReconciliationFinding.objects.filter(kind="order_amended").count() == 1
    told = OutboxEvent.objects.get(kind="order_amended")
    assert order.order_link_id in told.payload["sentence"]
    desk.jump(-0.0025, "SOLUSDT")
    desk.until(lambda: Order.objects.get(pk=order.pk).status == "filled", what="filled")
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="closed")
    desk.settle()
    desk.assert_books_equal_venue()


def test_raised_it_counts_as_exposure_and_is_booked_whole(desk: TradingDesk) -> None:
    desk.start()
    plan, order = _resting(desk)
    before = open_plans_of(desk.account.pk, {})[0]
    raised = order.quantity * 2
    _amend(desk, order, qty=str(raised), price=str(order.price - Decimal("0.01")))
    desk.until(lambda: Order.objects.get(pk=order.pk).quantity == raised, what="taken over")
    after = open_plans_of(desk.account.pk, {})[0]
    assert after.quantity == before.quantity + order.quantity
    assert Order.objects.get(pk=order.pk).price == order.price - Decimal("0.01")
    desk.jump(-0.0025, "SOLUSDT")
    desk.until(lambda: Order.objects.get(pk=order.pk).status == "filled", what="filled")
    assert Order.objects.get(pk=order.pk).filled_qty == raised
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="closed")
    desk.settle()
    desk.assert_books_equal_venue()
