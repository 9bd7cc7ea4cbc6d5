"""Positions and orders that are not ours: shown, left alone, and dealt with as a person decides."""

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.models import AuditEntry
from avigrid.kernel.errors import Rejected
from risk.core.states import State
from risk.selectors.guards import effective_state
from tests.support.trading_desk import TradingDesk
from trading.models import OutboxEvent, Plan, Position, ReconciliationFinding
from trading.runtime.context import Context
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


def test_a_wish_that_is_refused_is_tried_ever_later_and_told_once(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = _foreign_position(desk)
    execution = desk.execution
    assert execution is not None
    desk.fault("ret_code", params={"code": 110017}, match={"path": "/v5/order/create"}, for_s=600)
    finding_decide(finding_id=finding.pk, wish=Wish.FLATTEN, user="test")
    assert [execution.foreign.run(), execution.foreign.run()] == [False, False]
    assert desk.struck("ret_code") == 1
    finding.refresh_from_db()
    assert finding.details["attempts"] == 1
    assert not OutboxEvent.objects.filter(kind="wish_stuck").exists()
    later = execution.context.now() + timedelta(seconds=31)
    monkeypatch.setattr(Context, "now", lambda self: later)
    assert [execution.foreign.run(), execution.foreign.run()] == [False, False]
    assert desk.struck("ret_code") == 2
    told = OutboxEvent.objects.get(kind="wish_stuck")
    assert (told.severity, "flatten was asked" in told.payload["sentence"]) == ("critical", True)
    desk.clear_faults()
    later += timedelta(seconds=5)
    assert execution.foreign.run()
    monkeypatch.undo()
    assert desk.client.gateway.positions() == []
    desk.settle()
    execution.reconciler.run("positions")
    assert not ReconciliationFinding.objects.filter(is_open=True).exists()


@pytest.mark.parametrize("is_flat", [False, True])
def test_a_size_nobody_can_explain_is_taken_over_when_somebody_says_so(desk: TradingDesk, is_flat: bool) -> None:
    execution = desk.start()
    desk.opened(symbol="SOLUSDT")
    size = desk.client.gateway.positions()[0].size
    if is_flat:  # books of something the venue does not have
        Position.objects.create(account=desk.account, symbol="BTCUSDT", position_idx=1, size=-1, entry_value_usd=50_000)
    else:
        Position.objects.filter(symbol="SOLUSDT").update(size=size + 1)
    execution.reconciler.run("positions")
    finding = ReconciliationFinding.objects.get(kind="position_mismatch", is_open=True)
    finding_decide(finding_id=finding.pk, wish=Wish.ACCEPT, user="test", reason="looked at both")
    desk.until(lambda: not ReconciliationFinding.objects.filter(is_open=True).exists(), what="settled")
    finding.refresh_from_db()
    assert finding.resolution == "accepted"
    held = {(row.symbol, row.position_idx): row.signed_size for row in desk.client.gateway.positions()}
    booked = {(row.symbol, row.position_idx): row.size for row in Position.objects.exclude(size=0)}
    assert booked == held
    assert AuditEntry.objects.get(action="finding.accept").reason == "looked at both"
    assert AuditEntry.objects.filter(action="position.accepted").count() == 1
    assert execution.reconciler.run("full").critical == 0
    symbol = "BTCUSDT" if is_flat else "SOLUSDT"
    assert effective_state(desk.account.pk, symbol) is State.HALTED  # until somebody re-arms it
