"""No filled unit without a stop; what cannot be protected is closed, and the reason is kept."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.models import AuditEntry
from tests.support.trading_desk import TradingDesk, trading_desk
from trading.models import OutboxEvent, Plan, ReconciliationFinding
from trading.runtime import protection, sending
from trading.services.intents import intent_of
from trading.services.plan_commands import plan_break_even, plan_cancel_entries, plan_close

STOP = {"path": "/v5/position/trading-stop"}


@pytest.fixture
def bare_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that bring no stop of their own, so that it has to be set by a call."""
    monkeypatch.setattr(sending, "intent_of", lambda order: replace(intent_of(order), stop_loss=None))


@pytest.mark.parametrize("hedge", [True, False])
def test_the_first_fill_brings_its_stop(transactional_db: None, hedge: bool) -> None:
    """No call for a stop gets through, and a fill is protected all the same, whatever else waits to be sent."""
    with trading_desk(hedge=hedge) as desk:
        desk.start()
        desk.fault("ret_code", params={"code": 10001}, match=STOP, for_s=600)
        plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=3, atr_mult_x=8.0, rung_step_atr_x=1.0)
        desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 2, what="rungs resting")
        desk.jump(-0.0025, "SOLUSDT")
        desk.until(lambda: plan.orders.filter(role="entry", status="filled").count() == 2, what="second rung")
        desk.settle()
        plan.refresh_from_db()
        assert plan.status == "active"
        assert desk.client.gateway.positions()[0].stop_loss == plan.stop_confirmed == plan.stop_price
        assert not OutboxEvent.objects.filter(kind__in=("stop_refused", "unprotectable")).exists()
        assert not ReconciliationFinding.objects.exists()


def test_stop_stands_within_a_second_of_the_fill(desk: TradingDesk) -> None:
    execution = desk.start()
    for symbol in ("BTCUSDT", "SOLUSDT"):
        plan = desk.opened(symbol=symbol)
        fill = plan.fills.order_by("booked_at").first()
        assert fill is not None
        assert plan.stop_confirmed_at is not None
        assert (plan.stop_confirmed_at - fill.booked_at).total_seconds() < 1.0
    assert execution.protection.unprotected_qty == 0
    assert execution.protection.unprotected_qty_max == 0


@pytest.mark.usefixtures("bare_entries")
def test_15_refused_stop_gets_an_alternative(desk: TradingDesk) -> None:
    desk.start()
    desk.fault("ret_code", params={"code": 10001}, count=1, match=STOP)
    plan = desk.placed(symbol="SOLUSDT")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).stop_confirmed is not None, what="alternative stop")
    plan.refresh_from_db()
    assert plan.stop_price is not None
    assert plan.stop_confirmed is not None
    assert plan.stop_confirmed > plan.stop_price
    assert desk.client.gateway.positions()[0].stop_loss == plan.stop_confirmed
    told = OutboxEvent.objects.get(kind="stop_refused")
    assert told.payload["code"] == "bad_parameter"
    assert plan.status == "active"


@pytest.mark.usefixtures("bare_entries")
def test_15_no_stop_at_all_means_closing(desk: TradingDesk) -> None:
    desk.start()
    desk.fault("ret_code", params={"code": 10001}, match=STOP, for_s=600)
    plan = desk.placed(symbol="SOLUSDT")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="closed")
    desk.settle()
    assert desk.client.gateway.positions() == []
    told = OutboxEvent.objects.get(kind="unprotectable")
    assert "bad_parameter" in told.payload["sentence"]
    desk.assert_books_equal_venue()


@pytest.mark.usefixtures("bare_entries")
@pytest.mark.parametrize("fault", [{"name": "lost_ack"}, {"name": "http_error"}])
def test_unproven_stop_is_looked_for_and_set(desk: TradingDesk, fault: dict[str, str]) -> None:
    desk.start()
    desk.fault(fault["name"], count=2, match=STOP)
    plan = desk.placed(symbol="SOLUSDT")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).stop_confirmed is not None, what="stop")
    assert desk.client.gateway.positions()[0].stop_loss == Plan.objects.get(pk=plan.pk).stop_price


def test_a_stop_somebody_removed_is_put_back_by_the_audit(desk: TradingDesk) -> None:
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    session = desk.simulator.http()
    session.set_trading_stop(
        category="linear", symbol="SOLUSDT", positionIdx=plan.position_idx, stopLoss="0", tpslMode="Full"
    )
    assert not desk.client.gateway.positions()[0].stop_loss
    execution.protection.run(audit_all=True)
    assert desk.client.gateway.positions()[0].stop_loss == plan.stop_price


def test_12_partial_fill_then_emergency_exit_is_never_oversold(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", direction=-1)
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3)
    desk.jump(-0.017, "SOLUSDT")
    desk.until(lambda: plan.orders.filter(role="take_profit", status="filled").exists(), what="first take-profit")
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="closed")
    desk.settle()
    assert desk.client.gateway.positions() == []
    bought = sum(row.quantity for row in plan.fills.filter(side="Buy"))
    sold = sum(row.quantity for row in plan.fills.filter(side="Sell"))
    assert bought == sold
    desk.assert_books_equal_venue()


def test_a_stop_a_person_tightened_stands(desk: TradingDesk) -> None:
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    assert plan.stop_price is not None
    tighter = plan.stop_price + Decimal("0.05")
    desk.simulator.http().set_trading_stop(
        category="linear", symbol="SOLUSDT", positionIdx=plan.position_idx, stopLoss=str(tighter), tpslMode="Full"
    )
    execution.protection.run(audit_all=True)
    desk.settle()
    assert desk.client.gateway.positions()[0].stop_loss == tighter
    plan.refresh_from_db()
    assert plan.stop_confirmed == tighter
    plan_cancel_entries(plan_id=plan.pk, user="test")  # writes what the plan remembers
    desk.simulator.http().set_trading_stop(
        category="linear",
        symbol="SOLUSDT",
        positionIdx=plan.position_idx,
        stopLoss=str(plan.stop_price),
        tpslMode="Full",
    )
    execution.protection.run(audit_all=True)
    assert desk.client.gateway.positions()[0].stop_loss == tighter


def test_a_break_even_move_that_fails_keeps_the_older_stop(desk: TradingDesk) -> None:
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    older = plan.stop_price
    desk.fault("ret_code", params={"code": 10001}, match=STOP, for_s=600)
    plan_break_even(plan_id=plan.pk, user="test")
    desk.jump(0.004, "SOLUSDT")
    desk.until(lambda: OutboxEvent.objects.filter(kind="stop_not_moved").exists(), what="told")
    desk.settle()
    plan.refresh_from_db()
    assert plan.status == "active"
    assert desk.client.gateway.positions()[0].stop_loss == older != plan.stop_price
    assert execution.protection.unprotected_qty == 0
    assert OutboxEvent.objects.get(kind="stop_not_moved").severity == "critical"


def test_a_plan_that_names_no_stop_and_cannot_be_stepped_is_closed_too(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protection, "GIVE_UP_AFTER", timedelta(milliseconds=300))
    desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    desk.simulator.http().set_trading_stop(
        category="linear", symbol="SOLUSDT", positionIdx=plan.position_idx, stopLoss="0", tpslMode="Full"
    )
    Plan.objects.filter(pk=plan.pk).update(stop_price=None, spec={})
    desk.until(lambda: not desk.client.gateway.positions(), what="closed")
    assert "no_stop_price" in OutboxEvent.objects.get(kind="unprotectable").payload["sentence"]
    assert AuditEntry.objects.filter(action="plan.unprotectable").count() == 1
