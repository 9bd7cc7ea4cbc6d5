"""Click to closed plan on the simulated exchange, over the wire."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.support.trading_desk import TradingDesk, trading_desk
from trading.models import Fill, LedgerEntry, Order, Plan, Position
from trading.services.plan_commands import plan_close

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def desk() -> Iterator[TradingDesk]:
    with trading_desk() as desk:
        yield desk


def test_click_to_protected_position_to_operator_close(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened()
    entry = plan.orders.get(role="entry")
    assert entry.status == "filled"
    assert entry.filled_qty == entry.quantity
    held = next(row for row in desk.client.gateway.positions())
    assert held.size == entry.quantity
    assert held.stop_loss == plan.stop_price
    assert plan.orders.filter(role="take_profit", status="open").count() == 3
    assert sum(row.quantity for row in plan.orders.filter(role="take_profit")) == entry.quantity
    desk.assert_books_equal_venue()

    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="closed")
    desk.settle()
    plan.refresh_from_db()
    assert plan.close_reason == "operator"
    assert Position.objects.get().size == 0
    assert desk.client.gateway.positions() == []
    assert Order.objects.exclude(status__in=("filled", "cancelled")).count() == 0
    desk.assert_books_equal_venue()
    fees = sum(row.fee_usd for row in Fill.objects.all())
    ledger = sum((row.change_usd for row in LedgerEntry.objects.all()), Decimal(0))
    assert ledger == plan.realised_pnl_usd - fees
    wallet = desk.client.gateway.wallet()
    assert abs(wallet.wallet_balance_usd - (Decimal(10_000) + ledger)) < Decimal("0.01")
