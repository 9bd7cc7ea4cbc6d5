"""Halt and flatten, with the execution process alive, hung and dead; the watchdog."""

import io

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEntry
from risk.core.states import State, StateSource
from risk.selectors.guards import effective_state
from risk.services.states import halt
from tests.support.trading_desk import TradingDesk
from trading.models import Order, OutboxEvent, Plan, Position
from trading.runtime import halting
from trading.runtime.execution import Execution
from trading.runtime.inbox import Woken
from trading.runtime.kill import flatten_now, halt_now
from trading.runtime.watchdog import Watchdog
from trading.selectors.kill_switch import flatten_pending


def _entries(desk: TradingDesk) -> list[str]:
    rows = desk.client.gateway.open_orders()
    return [row.order_link_id for row in rows if not row.reduce_only and not row.stop_order_type]


def test_halt_cancels_entries_and_keeps_exits_and_stop(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=4)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 3)
    halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR)
    desk.until(lambda: not _entries(desk), what="entries gone")
    desk.settle()
    held = desk.client.gateway.positions()[0]
    assert held.stop_loss == plan.stop_price
    assert Order.objects.filter(role="take_profit", status="open").count() == 1
    assert not desk.place(desk.signal("BTCUSDT")).placed
    desk.assert_books_equal_venue()


def test_flatten_through_the_running_process(desk: TradingDesk) -> None:
    desk.start()
    plans = [desk.opened(symbol="SOLUSDT"), desk.opened(symbol="BTCUSDT", direction=-1)]
    halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR, flatten=True)
    desk.until(lambda: not desk.client.gateway.positions(), what="flat")
    desk.until(lambda: Plan.objects.filter(status="closed").count() == 2, what="plans over")
    desk.settle()
    for plan in plans:
        plan.refresh_from_db()
        assert plan.close_reason == "kill_switch"
    assert effective_state(desk.account.pk) is State.HALTED
    desk.assert_books_equal_venue()


def test_14_growth_is_impossible_while_flattening_and_stuck_escalates(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only closing is refused by the venue: whatever could grow rests there, is unproven, or waits to be sent."""
    monkeypatch.setattr(halting, "ESCALATE_AFTER", halting.ESCALATE_AFTER / 20)
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=4)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 3, what="rungs rest")
    size = desk.client.gateway.positions()[0].size
    unproven = plan.orders.filter(role="entry", status="open").earliest("pk")
    Order.objects.filter(pk=unproven.pk).update(status="unknown", unknown_since=timezone.now(), acknowledged_at=None)
    match = {"path": "/v5/order/realtime", "orderLinkId": unproven.order_link_id}
    desk.fault("ret_code", params={"code": 10016}, match=match, for_s=600)  # no answer about this one
    waiting = desk.placed(symbol="BTCUSDT")
    assert waiting.orders.get(role="entry").status == "intent"
    desk.fault("ret_code", params={"code": 110017}, match={"path": "/v5/order/create", "reduceOnly": True}, for_s=600)
    halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR, flatten=True)
    desk.until(lambda: OutboxEvent.objects.filter(kind="flatten_stuck").exists(), what="escalation")
    assert desk.struck("ret_code") > 0
    assert _entries(desk) == []
    assert unproven.order_link_id not in {row.order_link_id for row in desk.client.gateway.open_orders()}
    refused = desk.place(desk.signal("SOLUSDT", -1))
    assert not refused.placed
    desk.jump(-0.01, "SOLUSDT")  # through every rung that rested, not as far as the stop
    desk.settle()
    assert [(row.symbol, row.size) for row in desk.client.gateway.positions()] == [("SOLUSDT", size)]
    desk.clear_faults()
    desk.until(lambda: not desk.client.gateway.positions(), timeout_s=30, what="flat")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", timeout_s=20, what="plan over")
    assert OutboxEvent.objects.filter(kind="flatten_stuck").count() == 1
    assert waiting.orders.get(role="entry").filled_qty == 0
    desk.until(lambda: not plan.orders.filter(status="unknown").exists(), timeout_s=30, what="proven")
    unproven.refresh_from_db()
    assert (unproven.status, unproven.filled_qty) == ("cancelled", 0)


def test_commands_flatten_with_the_execution_process_and_redis_dead(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=3)
    desk.simulator.sim(
        "POST", "/sim/market", {"action": "foreign_position", "symbol": "BTCUSDT", "side": "Sell", "qty": "0.01"}
    )
    desk.stop()

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("redis is down")

    monkeypatch.setattr("trading.runtime.kill._is_execution_alive", lambda account_id: False)
    for name in ("get", "set", "get_many", "set_many"):
        monkeypatch.setattr(cache, name, refuse, raising=False)
    out = io.StringIO()
    call_command("flatten", account=desk.account.pk, reason="test", stdout=out)
    assert "flat, says the venue" in out.getvalue()
    assert desk.client.gateway.positions() == []
    assert _entries(desk) == []
    monkeypatch.undo()
    desk.start()
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="books follow")
    desk.settle()
    assert Position.objects.exclude(size=0).count() == 0
    assert desk.client.gateway.positions() == []
    assert effective_state(desk.account.pk) is State.HALTED


def test_halt_command_cancels_at_the_venue_with_the_process_dead(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=4)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 3)
    desk.stop()
    out = io.StringIO()
    call_command("halt", account=desk.account.pk, reason="test", stdout=out)
    assert "3 entries cancelled" in out.getvalue()
    assert _entries(desk) == []
    assert desk.client.gateway.positions()[0].stop_loss == plan.stop_price
    desk.start()
    desk.settle()
    assert Order.objects.filter(role="entry", status="cancelled").count() == 3
    desk.assert_books_equal_venue()


def test_flatten_says_so_when_it_cannot(desk: TradingDesk) -> None:
    desk.start()
    desk.opened(symbol="SOLUSDT")
    desk.stop()
    desk.fault("ret_code", params={"code": 10016}, match={"path": "/v5/order/create"}, for_s=600)
    ticks = iter(range(0, 10_000, 10))
    outcome = flatten_now(
        account_id=desk.account.pk,
        symbol=None,
        reason="test",
        actor="test",
        timeout_s=60.0,
        monotonic=lambda: float(next(ticks)),
        sleep=lambda _: None,
    )
    assert not outcome.done
    assert outcome.still_held == ("SOLUSDT",)
    assert OutboxEvent.objects.filter(kind="flatten_stuck").count() == 1


def test_watchdog_halts_when_execution_falls_silent(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.start()
    desk.opened(symbol="SOLUSDT", profile="grid", rungs=3)
    desk.until(lambda: len(_entries(desk)) == 2)
    watchdog = Watchdog(desk.account.pk, silence_s=30.0)
    assert watchdog.look() == []
    assert effective_state(desk.account.pk) is State.ACTIVE
    desk.kill()
    watchdog.silence_s = -1.0
    assert watchdog.look() == ["execution"]
    assert effective_state(desk.account.pk) is State.HALTED
    assert _entries(desk) == []
    assert watchdog.look() == []


def test_halt_of_one_symbol_leaves_the_others(desk: TradingDesk) -> None:
    desk.start()
    outcome = halt_now(
        account_id=desk.account.pk, symbol="SOLUSDT", reason="test", actor="test", source=StateSource.OPERATOR
    )
    assert outcome.done
    assert not desk.place(desk.signal("SOLUSDT")).placed
    desk.opened(symbol="BTCUSDT")


def test_flat_means_no_opening_order_either(desk: TradingDesk) -> None:
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=3)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 2)
    desk.fault("ret_code", params={"code": 10016}, match={"path": "/v5/order/cancel"}, for_s=600)
    halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR, flatten=True)
    desk.until(lambda: not desk.client.gateway.positions(), timeout_s=20, what="position closed")
    desk.settle()
    assert len(_entries(desk)) == 2
    assert set(execution.halting.running) == {"*"}
    desk.clear_faults()
    desk.until(lambda: not execution.halting.running, timeout_s=20, what="flat")
    assert _entries(desk) == []


def test_a_flatten_nobody_heard_of_starts_once_notices_are_heard_again(desk: TradingDesk) -> None:
    execution = desk.start()
    desk.opened(symbol="SOLUSDT")
    execution.inbox._notice = lambda payload: None  # type: ignore[method-assign]
    halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR, flatten=True)
    desk.settle()
    assert desk.client.gateway.positions()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'avigrid-listen' AND datname = current_database()"
        )
    desk.until(lambda: not desk.client.gateway.positions(), timeout_s=20, what="flat")


def test_a_flatten_goes_on_where_the_start_cannot_compare(desk: TradingDesk) -> None:
    desk.start()
    desk.opened(symbol="SOLUSDT")
    desk.stop()
    halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR, flatten=True)
    desk.fault("ret_code", params={"code": 10016}, match={"path": "/v5/execution/list"}, for_s=600)
    execution = Execution(desk.account.pk, holder="execution-b")
    desk.execution = execution
    assert execution.open()
    desk.until(lambda: not desk.client.gateway.positions(), timeout_s=30, what="flat")
    assert not execution.is_ready


@pytest.mark.parametrize("again", ["listening", "restart", "watchdog"])
def test_what_a_person_opens_after_a_flatten_stays(desk: TradingDesk, again: str) -> None:
    """The account is HALTED still; the flattening was over once the venue was flat."""
    execution = desk.start()
    desk.opened(symbol="SOLUSDT")
    halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR, flatten=True)
    desk.until(lambda: Plan.objects.get().status == "closed" and not execution.halting.running, what="flat")
    assert flatten_pending(desk.account.pk) == []
    body = {"action": "foreign_position", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.01"}
    desk.simulator.sim("POST", "/sim/market", body)
    if again == "listening":
        execution.inbox.put(Woken("listening"))
    elif again == "restart":
        desk.stop()
        desk.start("execution-b")
    else:
        desk.stop()
        watchdog = Watchdog(desk.account.pk, silence_s=30.0)
        watchdog.look()
        watchdog.silence_s = -1.0
        assert watchdog.look() == ["execution"]
        desk.start("execution-b")
    desk.settle()
    assert [row.symbol for row in desk.client.gateway.positions() if row.size] == ["BTCUSDT"]
    assert effective_state(desk.account.pk) is State.HALTED
    assert AuditEntry.objects.filter(action="trading_state.flat").count() == 1

    halt(account_id=desk.account.pk, reason="now", actor="test", source=StateSource.OPERATOR, flatten=True)
    desk.until(lambda: not any(row.size for row in desk.client.gateway.positions()), timeout_s=20, what="flat again")
