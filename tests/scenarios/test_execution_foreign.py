"""Positions and orders that are not ours: shown, left alone, and dealt with as a person decides."""

from decimal import Decimal

import pytest

from accounts.models import AuditEntry
from avigrid.kernel.errors import Rejected
from tests.support.trading_desk import TradingDesk
from trading.models import Plan, Position, ReconciliationFinding
from trading.services.foreign import Wish, finding_decide
from trading.services.plan_commands import plan_close


def _foreign_position(desk: TradingDesk) -> ReconciliationFinding:
    desk.simulator.sim(
        "POST", "/sim/market", {"action": "foreign_position", "symbol": "SOLUSDT", "side": "Sell", "qty": "2"}
    )
    desk.start()
    return ReconciliationFinding.objects.get(kind="position_foreign", is_open=True)


def test_adopted_it_becomes_a_protected_plan_that_can_be_closed(desk: TradingDesk) -> None:
    finding = _foreign_position(desk)
    finding_decide(finding_id=finding.pk, wish=Wish.ADOPT, user="test", reason="mine")
    desk.until(lambda: Plan.objects.filter(stop_confirmed__isnull=False).exists(), what="adopted and protected")
    plan = Plan.objects.get()
    assert (plan.origin, plan.direction) == ("adopted", -1)
    assert desk.client.gateway.positions()[0].stop_loss == plan.stop_price
    finding.refresh_from_db()
    assert (finding.is_open, finding.resolution) == (False, "adopted")
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get().status == "closed")
    assert desk.client.gateway.positions() == []
    assert Position.objects.get().size == 0


def test_flattened_it_is_gone_and_the_symbol_is_free_again(desk: TradingDesk) -> None:
    finding = _foreign_position(desk)
    assert desk.place(desk.signal("SOLUSDT")).refused == ("symbol_open",)
    finding_decide(finding_id=finding.pk, wish=Wish.FLATTEN, user="test")
    desk.until(lambda: not desk.client.gateway.positions(), what="flat")
    desk.until(lambda: not ReconciliationFinding.objects.filter(is_open=True).exists(), what="settled")
    desk.opened(symbol="SOLUSDT")


def test_ignored_it_stays_untouched_and_keeps_new_risk_out(desk: TradingDesk) -> None:
    finding = _foreign_position(desk)
    finding_decide(finding_id=finding.pk, wish=Wish.IGNORE, user="test")
    desk.execution.reconciler.run("full")  # type: ignore[union-attr]
    desk.settle()
    assert desk.client.gateway.positions()[0].size == Decimal(2)
    assert desk.place(desk.signal("SOLUSDT")).refused == ("symbol_open",)
    assert ReconciliationFinding.objects.filter(kind="position_foreign").count() == 1


def test_a_foreign_order_is_cancelled_only_when_somebody_says_so(desk: TradingDesk) -> None:
    price = str(round(desk.mark("SOLUSDT") * 0.9, 2))
    order = {"action": "foreign_order", "symbol": "SOLUSDT", "side": "Buy", "qty": "1", "price": price}
    desk.simulator.sim("POST", "/sim/market", {**order, "positionIdx": 1})
    execution = desk.start()
    finding = ReconciliationFinding.objects.get(kind="order_foreign")
    execution.reconciler.run("orders")
    assert len(desk.client.gateway.open_orders()) == 1
    finding_decide(finding_id=finding.pk, wish=Wish.CANCEL, user="test")
    desk.until(lambda: not desk.client.gateway.open_orders(), what="cancelled")
    finding.refresh_from_db()
    assert finding.resolution == "cancelled"
    with pytest.raises(Rejected, match="settled already"):
        finding_decide(finding_id=finding.pk, wish=Wish.CANCEL, user="test")


def test_a_claimed_order_is_left_alone_and_not_asked_about_again(desk: TradingDesk) -> None:
    price = str(round(desk.mark("SOLUSDT") * 0.9, 2))
    order = {"action": "foreign_order", "symbol": "SOLUSDT", "side": "Buy", "qty": "1", "price": price}
    desk.simulator.sim("POST", "/sim/market", {**order, "positionIdx": 1})
    execution = desk.start()
    finding = ReconciliationFinding.objects.get(kind="order_foreign")
    finding_decide(finding_id=finding.pk, wish=Wish.CLAIM, user="test", reason="my own")
    finding.refresh_from_db()
    assert (finding.is_open, finding.resolution) == (False, "claimed")
    assert AuditEntry.objects.get(action="finding.claim").reason == "my own"
    assert execution.reconciler.run("full").status == "good"
    desk.settle()
    assert len(desk.client.gateway.open_orders()) == 1
    assert ReconciliationFinding.objects.filter(kind="order_foreign").count() == 1


def test_what_makes_no_sense_is_refused(desk: TradingDesk) -> None:
    finding = _foreign_position(desk)
    with pytest.raises(Rejected, match="cannot cancel"):
        finding_decide(finding_id=finding.pk, wish=Wish.CANCEL, user="test")
    finding.refresh_from_db()
    assert "wish" not in finding.details
