"""Restarts, double closes and doubled processes."""

import io
import socket
import subprocess

import pytest
from django.core.management import call_command
from django.db import connection

from avigrid.common import leases
from tests.support.trading_desk import TradingDesk
from trading.models import (
    EquitySnapshot,
    Fill,
    LedgerEntry,
    Order,
    OrderEvent,
    OutboxEvent,
    Plan,
    Position,
    ReconciliationFinding,
    ReconciliationRun,
)
from trading.runtime import history
from trading.runtime.execution import Execution, Exit
from trading.services.plan_commands import plan_close

TABLES = (Order, OrderEvent, Fill, Position, LedgerEntry, Plan, ReconciliationFinding, OutboxEvent)


def _rows() -> dict[str, list[dict[str, object]]]:
    return {table.__name__: list(table.objects.order_by("pk").values()) for table in TABLES}


def test_04_orders_at_the_venue_are_owned_or_foreign_after_a_restart(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=4)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 3)
    desk.kill()
    price = round(desk.mark("SOLUSDT") * 0.9, 2)
    desk.simulator.sim(
        "POST",
        "/sim/market",
        {
            "action": "foreign_order",
            "symbol": "SOLUSDT",
            "side": "Buy",
            "qty": "1",
            "price": str(price),
            "positionIdx": 1,
        },
    )
    desk.fault("history_truncated", params={"days": 1}, for_s=3600)
    desk.start()
    desk.settle()
    venue = desk.client.gateway.open_orders()
    owned = set(Order.objects.filter(status__in=("open", "partially_filled")).values_list("order_link_id", flat=True))
    foreign = ReconciliationFinding.objects.filter(kind="order_foreign", is_open=True)
    assert foreign.count() == 1
    unowned = [row for row in venue if row.order_link_id not in owned and not row.stop_order_type]
    assert len(unowned) == 1
    assert foreign.get().details["order_id"] == unowned[0].order_id
    desk.execution.reconciler.run("orders")  # type: ignore[union-attr]
    assert foreign.count() == 1


def test_07_position_older_than_the_history_is_adopted_as_reducing(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "HISTORY_MS", 2_000)
    desk.simulator.sim(
        "POST",
        "/sim/market",
        {"action": "foreign_position", "symbol": "SOLUSDT", "side": "Buy", "qty": "3"},
    )
    held = desk.client.gateway.positions()[0]
    desk.simulator.sim("POST", "/sim/clock", {"step_ms": 10_000})
    desk.client.clock.measure()
    desk.start()
    plan = Plan.objects.get()
    assert plan.origin == "adopted"
    fill = Fill.objects.get()
    assert (fill.source, fill.price, fill.quantity) == ("adopted", held.avg_price, held.size)
    desk.until(lambda: Plan.objects.get().stop_confirmed is not None, what="protected")
    refused = desk.place(desk.signal("SOLUSDT"))
    assert not refused.placed
    assert "trading_state" in refused.refused
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get().status == "closed", what="closed")
    assert desk.client.gateway.positions() == []


def test_08_reconciling_one_venue_state_three_times_writes_the_same_bytes(desk: TradingDesk) -> None:
    execution = desk.start()
    desk.opened(symbol="SOLUSDT")
    desk.simulator.sim(
        "POST", "/sim/market", {"action": "foreign_position", "symbol": "BTCUSDT", "side": "Sell", "qty": "0.01"}
    )
    desk.settle()
    execution.reconciler.run("full")
    first = _rows()
    for _ in range(2):
        execution.reconciler.run("full")
        assert _rows() == first
    assert ReconciliationFinding.objects.filter(kind="position_foreign", is_open=True).count() == 1


def test_12_double_close_ends_at_zero(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    plan_close(plan_id=plan.pk, user="first")
    plan_close(plan_id=plan.pk, user="second")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed")
    desk.settle()
    assert sum(row.quantity for row in plan.orders.filter(role="close")) == plan.orders.get(role="entry").filled_qty
    assert desk.client.gateway.positions() == []
    assert Position.objects.get().size == 0
    desk.assert_books_equal_venue()


def test_12_close_with_a_lost_acknowledgement_never_oversells(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    desk.fault("lost_ack", count=1, match={"path": "/v5/order/create"})
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", timeout_s=20)
    desk.settle()
    assert desk.client.gateway.positions() == []
    desk.assert_books_equal_venue()


def test_13_restart_during_a_plan_places_no_second_take_profit(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    desk.kill()
    for round_number in range(3):
        desk.start(holder="execution-a")
        desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3)
        held = desk.client.gateway.positions()[0].size
        exits = [row for row in desk.client.gateway.open_orders() if row.reduce_only and not row.stop_order_type]
        assert len(exits) == 3, round_number
        assert sum(row.quantity for row in exits) <= held
        desk.kill()


def test_20_second_process_on_one_account_refuses_to_start(desk: TradingDesk) -> None:
    desk.start(holder="execution-a")
    desk.opened(symbol="SOLUSDT")
    before = [(row.order_link_id, row.status) for row in Order.objects.order_by("pk")]
    assert Execution(desk.account.pk, holder="execution-b").run() is Exit.LEASE_HELD
    assert [(row.order_link_id, row.status) for row in Order.objects.order_by("pk")] == before
    desk.until(lambda: desk.execution is not None and desk.execution.is_ready)


def test_reconcile_command_prints_findings_and_exits_by_severity(desk: TradingDesk) -> None:
    desk.start()
    desk.opened(symbol="SOLUSDT")
    desk.stop()
    out = io.StringIO()
    with pytest.raises(SystemExit) as good:
        call_command("reconcile", account=desk.account.pk, stdout=out)
    assert good.value.code == 0
    assert '"status": "good"' in out.getvalue()
    desk.simulator.sim(
        "POST", "/sim/market", {"action": "foreign_position", "symbol": "BTCUSDT", "side": "Sell", "qty": "0.01"}
    )
    with pytest.raises(SystemExit) as critical:
        call_command("reconcile", account=desk.account.pk, stdout=out)
    assert critical.value.code == 2
    assert "position_foreign" in out.getvalue()
    assert ReconciliationRun.objects.filter(scope="manual").count() == 2
    assert EquitySnapshot.objects.exists()


def test_a_reconciliation_that_did_not_run_opens_nothing(desk: TradingDesk) -> None:
    held = leases.acquire(f"reconciliation:{desk.account.pk}", ttl_s=600.0, holder="elsewhere:1")
    assert held is not None
    execution = Execution(desk.account.pk, holder="execution-a")
    desk.execution = execution
    assert execution.open()
    desk.until(lambda: execution.stream == "up", what="stream")
    desk.settle()
    assert not execution.is_ready
    assert not execution.sender.entries_ready
    assert not ReconciliationRun.objects.exists()
    leases.release(held)
    desk.until(lambda: execution.is_ready, what="ready once it could look itself")
    assert ReconciliationRun.objects.get(scope="start").status == "good"


def test_the_reconciliation_lease_of_the_dead_is_taken_at_once(desk: TradingDesk) -> None:
    gone = subprocess.Popen(["true"])  # noqa: S607 - a process id that has ended
    gone.wait()
    name = f"reconciliation:{desk.account.pk}"
    assert leases.acquire(name, ttl_s=600.0, holder=f"{socket.gethostname()}:{gone.pid}")
    desk.start()
    assert ReconciliationRun.objects.get(scope="start").status == "good"


def test_a_comparison_that_was_overtaken_writes_nothing_more(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = desk.start()
    body = {"action": "foreign_position", "symbol": "SOLUSDT", "side": "Sell", "qty": "2"}
    desk.simulator.sim("POST", "/sim/market", body)

    def overtaken(*_: object, **__: object) -> list[object]:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE common_lease SET token = token + 1, holder = 'elsewhere:1' WHERE name = %s",
                [f"reconciliation:{desk.account.pk}"],
            )
        return []

    monkeypatch.setattr(history.History, "compare", overtaken)
    result = execution.reconciler.run("full")
    assert (result.status, result.error.split(":")[0]) == ("incomplete", "lease_lost")
    assert not ReconciliationFinding.objects.exists()
    assert execution.reconciler.run("full").status == "busy"
