"""Lost acknowledgements, invisible orders, dropped and repeated messages: the books end where the venue is."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone

from avigrid.exchange.bybit.account_feed import BybitAccountFeed
from avigrid.exchange.bybit.gateway import BybitGateway
from avigrid.kernel.errors import Rejected
from avigrid.kernel.orders import Execution
from tests.support.trading_desk import TradingDesk, trading_desk
from trading.avi5.actions import Action
from trading.models import Fill, Order, OrderEvent, OutboxEvent, Plan, Position, ReconciliationFinding
from trading.runtime import doubts, hearing, order_comparison, stream_watch, venue
from trading.runtime.timers import Timers
from trading.selectors.risk_view import marks_of, open_plans_of
from trading.services.plan_commands import plan_break_even, plan_cancel_entries, plan_close
from trading.services.plan_step import plan_step


def _resting(desk: TradingDesk) -> set[str]:
    return {row.order_link_id for row in desk.client.gateway.open_orders() if not row.stop_order_type}


def test_01_hundred_not_exists_answers_for_live_orders_create_nothing(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue denies resting exits a hundred times, past the evidence window: no order, no stop is made anew."""
    monkeypatch.setattr(doubts, "EVIDENCE_WINDOW", timedelta(0))
    monkeypatch.setattr(order_comparison, "GRACE_MS", 0)  # a hundred rounds may be over before the orders count as old
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3)
    before, orders = _resting(desk), Order.objects.count()
    stop = desk.client.gateway.positions()[0].stop_loss
    gateway = execution.context.gateway
    gateway.open_orders = list  # type: ignore[method-assign]
    real_cancel = gateway.cancel
    denied = 0

    def deny(**_: str) -> None:
        nonlocal denied
        denied += 1

    gateway.order = deny  # type: ignore[method-assign]
    while denied < 100:
        execution.reconciler.run("orders")
        execution.doubts.run(set(Order.objects.filter(status="unknown").values_list("order_link_id", flat=True)))
        execution.sender.run()
    del gateway.order, gateway.open_orders
    assert gateway.cancel == real_cancel
    assert _resting(desk) == before
    assert Order.objects.count() == orders
    assert desk.client.gateway.positions()[0].stop_loss == stop
    lost = ReconciliationFinding.objects.filter(kind="order_lost")
    assert lost.count() == lost.values("subject").distinct().count() <= 3
    assert OutboxEvent.objects.filter(kind="order_unexplained").count() == 3
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3, timeout_s=20)
    desk.assert_books_equal_venue()


def test_01_hundred_not_exists_answers_for_a_live_stop_set_none_anew_and_tell_once(desk: TradingDesk) -> None:
    """The stop is to move, and the venue says 110001 a hundred times: the old one stands, nothing is closed for it."""
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3)
    before, stop = _resting(desk), desk.client.gateway.positions()[0].stop_loss
    desk.fault("ret_code", params={"code": 110001}, count=1_000, match={"path": "/v5/position/trading-stop"})
    gateway, answers = execution.context.gateway, list[Rejected]()
    set_stop = gateway.set_stop

    def asked(**named: Any) -> None:
        """The venue's own words three times; from then on they are repeated, because it takes only ten a second."""
        if len(answers) < 3:
            try:
                set_stop(**named)
            except Rejected as error:
                answers.append(error)
        else:
            answers.append(answers[0])
        raise answers[-1]

    gateway.set_stop = asked  # type: ignore[method-assign]
    desk.jump(0.004, "SOLUSDT")
    plan_break_even(plan_id=plan.pk, user="test")
    desk.until(lambda: answers, what="refused")
    for _ in range(100 - len(answers)):
        for exposure in execution.protection._open.values():
            exposure.tried = None  # without the pauses between two attempts
        execution.protection.run()
    assert [error.details["venue_code"] for error in answers] == [110001] * 100
    gateway.set_stop = set_stop  # type: ignore[method-assign]
    assert desk.client.gateway.positions()[0].stop_loss == stop
    assert sum(row.stop_order_type != "" for row in desk.client.gateway.open_orders()) == 1
    assert _resting(desk) == before
    assert OutboxEvent.objects.filter(kind="stop_refused").count() == 1
    assert OutboxEvent.objects.filter(kind="stop_not_moved").count() == 1
    plan.refresh_from_db()
    assert plan.status == "active"
    desk.clear_faults()
    for exposure in execution.protection._open.values():
        exposure.tried = None
    desk.until(lambda: desk.client.gateway.positions()[0].stop_loss == plan.stop_price, what="moved after all")
    desk.assert_books_equal_venue()


@pytest.fixture
def quick_desk(transactional_db: None) -> Iterator[TradingDesk]:
    """Thirty seconds at the exchange are five of ours."""
    with trading_desk(speed=6.0) as desk:
        yield desk


def test_02_order_invisible_after_its_fill_gets_no_verdict_before_the_evidence(quick_desk: TradingDesk) -> None:
    desk = quick_desk
    desk.start()
    desk.fault("lost_ack", count=1, match={"path": "/v5/order/create"})
    desk.fault("order_invisible", params={"seconds": 30, "executions": True}, for_s=600)
    desk.fault("drop_message", match={"topic": "order"}, count=50)
    desk.fault("drop_message", match={"topic": "execution"}, count=50)
    plan = desk.placed(symbol="SOLUSDT")
    entry = plan.orders.get(role="entry")

    def unknown() -> bool:
        entry.refresh_from_db()
        return entry.status == "unknown"

    desk.until(unknown, what="unknown")
    assert entry.is_reserved
    statuses = set()

    def filled() -> bool:
        entry.refresh_from_db()
        statuses.add(entry.status)
        return entry.status == "filled"

    desk.until(filled, timeout_s=25, what="evidence")
    assert statuses <= {"unknown", "open", "partially_filled", "filled"}
    desk.clear_faults()
    desk.settle()
    desk.assert_books_equal_venue()


def test_03_killed_with_twenty_resting_orders_and_each_lookup_failing_once(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=20)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 19, timeout_s=20, what="rungs")
    desk.settle()
    before = _resting(desk)
    assert len(before) == 20  # nineteen rungs and the first one's take-profit
    desk.kill()
    links = sorted(before)
    now = timezone.now()
    Order.objects.filter(order_link_id__in=links).update(status="unknown", unknown_since=now, acknowledged_at=None)
    for link in links:
        match = {"path": "/v5/order/realtime", "orderLinkId": link}
        desk.fault("ret_code", params={"code": 10016}, count=1, match=match)
    desk.start(timeout_s=40)
    desk.until(lambda: not Order.objects.filter(status="unknown").exists(), timeout_s=20, what="evidence")
    assert desk.struck("ret_code") == 20
    desk.settle()
    assert _resting(desk) == before
    assert Order.objects.filter(status__in=("open", "partially_filled")).count() == 20
    desk.assert_books_equal_venue()


@pytest.mark.parametrize("topic", ["order", "execution", "position", "wallet"])
def test_05_any_single_private_message_dropped(desk: TradingDesk, topic: str) -> None:
    desk.start()
    desk.fault("drop_message", match={"topic": topic}, count=1)
    plan = desk.opened(symbol="SOLUSDT")
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3, timeout_s=15)
    desk.until(lambda: Position.objects.get().size == desk.client.gateway.positions()[0].size, timeout_s=15)
    assert desk.struck("drop_message") == 1
    desk.assert_books_equal_venue()


def test_06_accepted_but_acknowledgement_lost(desk: TradingDesk) -> None:
    execution = desk.start()
    desk.fault("lost_ack", count=1, match={"path": "/v5/order/create"})
    plan = desk.placed(symbol="SOLUSDT")
    entry = plan.orders.get(role="entry")
    seen: list[tuple[str, bool]] = []

    def settled() -> bool:
        entry.refresh_from_db()
        seen.append((entry.status, entry.is_reserved))
        return entry.status == "filled"

    desk.until(settled, what="adopted and booked")
    assert seen[-1] == ("filled", False)
    assert all(is_reserved for status, is_reserved in seen if status != "filled")
    assert "unknown" in {status for status, _ in seen} | {
        row.to_status for row in OrderEvent.objects.filter(order=entry)
    }
    desk.until(lambda: execution.protection.unprotected_qty == 0)
    desk.settle()
    now_ms = desk.client.clock.now_ms()
    bought = desk.client.gateway.executions(start_ms=now_ms - 600_000, end_ms=now_ms + 60_000)
    assert {row.order_link_id for row in bought} == {entry.order_link_id}
    assert len({row.order_id for row in bought}) == 1
    desk.assert_books_equal_venue()
    assert OrderEvent.objects.filter(order=entry, event="send").count() == 1


def test_an_order_that_never_arrived_is_given_up_after_the_window_only(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubts, "EVIDENCE_WINDOW", timedelta(seconds=3))
    desk.start()
    desk.fault("http_error", params={"status": 502, "executed": False}, count=1, match={"path": "/v5/order/create"})
    plan = desk.placed(symbol="SOLUSDT")
    entry = plan.orders.get(role="entry")

    def over() -> bool:
        entry.refresh_from_db()
        return entry.status == "expired"

    desk.until(over, timeout_s=30, what="given up")
    assert entry.submitted_at is not None
    assert entry.closed_at is not None
    assert (entry.closed_at - entry.submitted_at).total_seconds() >= 3
    assert OutboxEvent.objects.filter(kind="order_without_evidence").count() == 1
    assert desk.client.gateway.positions() == []
    assert OrderEvent.objects.filter(order=entry, event="send").count() == 1


@pytest.mark.parametrize("fault", ["duplicate_message", "delay_message", "reorder_messages", "double_filled"])
def test_repeated_late_and_reordered_messages_end_in_the_same_books(desk: TradingDesk, fault: str) -> None:
    desk.start()
    desk.fault(fault, count=6)
    plan = desk.opened(symbol="SOLUSDT")
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3, timeout_s=15)
    desk.clear_faults()
    desk.settle()
    assert plan.orders.get(role="entry").status == "filled"
    assert len({row.reference for row in Fill.objects.all()}) == Fill.objects.count()
    desk.assert_books_equal_venue()


def test_10_unknown_and_missing_response_fields(desk: TradingDesk) -> None:
    execution = desk.start()
    desk.fault("reply_fields", params={"add": "newField"}, count=30)
    plan = desk.opened(symbol="SOLUSDT")
    assert execution.reconciler.run("full").status == "good"
    assert desk.struck("reply_fields") >= 5
    desk.clear_faults()
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3)
    before, orders = _resting(desk), set(Order.objects.values_list("pk", "status"))
    for path, field, scope in (
        ("/v5/order/realtime", "orderLinkId", "orders"),
        ("/v5/position/list", "size", "positions"),
        ("/v5/execution/list", "execId", "full"),
        ("/v5/account/wallet-balance", "coin", "wallet"),
    ):
        struck = desk.struck("reply_fields")
        desk.fault("reply_fields", params={"remove": field}, match={"path": path}, for_s=600)
        result = execution.reconciler.run(scope)
        assert desk.struck("reply_fields") > struck
        assert (result.status, result.error.split(":")[0]) == ("incomplete", "malformed_message"), scope
        desk.clear_faults()
    assert _resting(desk) == before
    assert set(Order.objects.values_list("pk", "status")) == orders
    assert execution.reconciler.run("full").status == "good"
    plan.refresh_from_db()
    assert plan.status == "active"
    desk.assert_books_equal_venue()


def test_11_creates_that_time_out_never_exceed_the_limit(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every create hangs: each one counts as if it were live, and the next placement sees that."""
    monkeypatch.setattr(venue, "_WRITE_TIMEOUT_S", 0.3)
    desk.start()
    desk.fault("lost_ack", params={"mode": "hang"}, count=10, match={"path": "/v5/order/create"})
    desk.fault("order_invisible", params={"seconds": 5, "executions": True}, for_s=600)
    desk.fault("drop_message", count=200, match={"topic": "order"})
    desk.fault("drop_message", count=200, match={"topic": "execution"})
    placed = []
    for symbol in ("BTCUSDT", "SOLUSDT"):
        for direction in (1, -1):
            placed.append(desk.place(desk.signal(symbol, direction, r_usd="20")))
    again = desk.place(desk.signal("SOLUSDT", 1))
    desk.until(lambda: desk.struck("lost_ack") == len(placed), what="every create sent and hanging")
    assert not again.placed
    open_plans = open_plans_of(desk.account.pk, marks_of({"BTCUSDT", "SOLUSDT"}))
    count = sum(placement.placed for placement in placed)
    assert count == len(open_plans) == Plan.objects.count()
    at_venue = {(row.symbol, row.position_idx): row.size for row in desk.client.gateway.positions()}
    counted = {(plan.symbol, plan.direction): plan.quantity for plan in open_plans}
    for (symbol, idx), size in at_venue.items():
        assert size <= counted[symbol, 1 if idx == 1 else -1]
    assert sum(plan.risk_usd for plan in open_plans) <= 100
    assert desk.struck("lost_ack") == 4
    desk.clear_faults()
    desk.until(lambda: not Order.objects.filter(status="unknown").exists(), timeout_s=40, what="evidence")
    desk.settle()
    desk.assert_books_equal_venue()


def test_19_clock_skewed_by_two_seconds_is_corrected(desk: TradingDesk) -> None:
    desk.start()
    desk.fault("clock_skew", params={"skew_ms": 2_000}, for_s=3600)
    plan = desk.opened(symbol="SOLUSDT")
    assert plan.status == "active"
    desk.assert_books_equal_venue()


def test_18_cancels_get_through_a_storm_of_10006(desk: TradingDesk) -> None:
    """Every create is refused with 10006 while entries wait; cancelling goes on at its own pace."""
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=12)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 11, timeout_s=20)
    desk.fault("rate_limit", params={"reset_ms": 500}, match={"path": "/v5/order/create"}, for_s=60)
    desk.fault("rate_limit", params={"reset_ms": 200}, match={"path": "/v5/order/cancel-batch"}, count=1)
    desk.fault("rate_limit", params={"reset_ms": 200}, match={"path": "/v5/order/cancel"}, count=3)
    desk.placed(symbol="BTCUSDT", profile="grid", rungs=5)
    began = len(OrderEvent.objects.filter(event="ack"))
    plan_cancel_entries(plan_id=plan.pk, user="test")
    desk.until(
        lambda: not plan.orders.filter(role="entry", status__in=("open", "partially_filled")).exists(), what="cancelled"
    )
    assert plan.orders.filter(role="entry", status="cancelled").count() == 11
    assert len(OrderEvent.objects.filter(event="ack")) == began  # no entry got in between
    assert desk.struck("rate_limit") >= 5  # the batch, three single cancels, and every create
    desk.clear_faults()
    desk.settle()
    desk.assert_books_equal_venue()


def test_17_half_open_private_socket_is_noticed_within_thirty_seconds(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a tenth of the real patience, which itself is checked to end within the thirty seconds."""
    policy = BybitAccountFeed("ws://nowhere", api_key="", api_secret="", now_ms=lambda: 0)._connection._policy
    assert policy.ping_every_s + policy.pong_within_s + 2 * policy.check_every_s <= 30
    hasty = replace(policy, ping_every_s=policy.ping_every_s / 10, pong_within_s=policy.pong_within_s / 10)
    monkeypatch.setattr(venue, "BybitAccountFeed", partial(BybitAccountFeed, policy=hasty))
    execution = desk.start()
    desk.fault("half_open", count=1, match={"path": "/v5/private"})
    states = []

    def noticed() -> bool:
        states.append(execution.stream)
        return "down" in states and execution.stream == "up"

    desk.until(noticed, timeout_s=15, what="noticed and recovered")
    desk.opened(symbol="SOLUSDT")
    desk.assert_books_equal_venue()


def test_17_a_private_subscription_lost_in_silence_is_made_good_by_comparing(desk: TradingDesk) -> None:
    """The socket lives and answers pings, and tells nothing any more: what happened is found by asking."""
    timers = Timers()
    assert (timers.orders.every_s, timers.positions.every_s) == (10.0, 30.0)
    execution = desk.start()
    for timer in (execution._timers.orders, execution._timers.positions):
        timer.every_s /= 10
    desk.fault("drop_message", count=10_000)
    plan = desk.placed(symbol="SOLUSDT")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "active", what="the fill found")
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3, what="take-profits")
    desk.jump(0.02, "SOLUSDT")
    desk.until(lambda: plan.orders.filter(role="take_profit", status="filled").exists(), what="an exit found")
    assert execution.protection.unprotected_qty == 0
    assert desk.struck("drop_message") >= 8
    desk.clear_faults()
    desk.settle()
    desk.assert_books_equal_venue()


@pytest.mark.parametrize("topic", ["execution", "order"])
def test_17_a_private_subscription_lost_in_silence_is_noticed_and_made_anew(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch, topic: str
) -> None:
    """With a tenth of the real patience, which with the slowest poll ends within the thirty seconds."""
    assert Timers().orders.every_s + stream_watch.TOLD_WITHIN.total_seconds() <= 30
    monkeypatch.setattr(stream_watch, "TOLD_WITHIN", stream_watch.TOLD_WITHIN / 10)
    desk.patience_s = 30.0
    execution = desk.start()
    execution._timers.orders.every_s /= 10
    desk.fault("subscription_dropped", count=1, match={"topic": topic})

    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=2)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").exists(), what="a rung rests")
    plan_cancel_entries(plan_id=plan.pk, user="test")
    desk.until(lambda: plan.orders.filter(role="entry", status="cancelled").exists(), what="cancelled")
    desk.until(lambda: OutboxEvent.objects.filter(kind="private_stream_silent").exists(), what="noticed")
    assert desk.struck("subscription_dropped") == 1
    desk.until(lambda: execution.hearing.watch.since_ms is not None, what="up again")
    desk.until(lambda: len(desk.simulator.exchange.sessions) == 1, what="the deaf one gone")
    (session,) = desk.simulator.exchange.sessions
    assert topic in session.topics
    assert execution.stream == "up"
    desk.settle()
    assert OutboxEvent.objects.filter(kind="private_stream_silent").count() == 1
    desk.assert_books_equal_venue()


def test_18_identical_rejections_open_the_circuit(desk: TradingDesk) -> None:
    desk.start()
    desk.fault("ret_code", params={"code": 110007}, match={"path": "/v5/order/create"}, for_s=60)
    for _ in range(3):
        plan = desk.placed(symbol="SOLUSDT")
        desk.until(lambda plan=plan: Plan.objects.get(pk=plan.pk).status == "failed", what="refused")
    assert OutboxEvent.objects.filter(kind="circuit_open").count() == 1
    sent = desk.struck("ret_code")
    desk.placed(symbol="SOLUSDT")
    desk.settle(10)
    assert desk.struck("ret_code") == sent


def test_a_plan_that_cannot_be_stepped_leaves_the_others_alone(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = desk.start()
    sick = desk.opened(symbol="BTCUSDT")

    def poisoned(*, plan: Plan, **options: Any) -> list[Action]:
        if plan.pk == sick.pk:
            Plan.objects.filter(pk=plan.pk).update(close_reason="half a step")
            raise KeyError("rungs")
        return plan_step(plan=plan, **options)

    monkeypatch.setattr(hearing, "plan_step", poisoned)
    well = desk.opened(symbol="SOLUSDT")
    desk.until(lambda: well.orders.filter(role="take_profit", status="open").count() == 3, what="take-profits")
    assert execution.protection.unprotected_qty == 0
    sick.refresh_from_db()
    assert (sick.status, sick.close_reason) == ("active", "")
    told = OutboxEvent.objects.get(kind="plan_step_failed")
    assert (told.severity, told.payload["plan_id"]) == ("critical", sick.pk)


def test_a_close_the_venue_refuses_is_told_and_tried_again(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3, what="take-profits")
    desk.fault("ret_code", params={"code": 10001}, for_s=600, match={"path": "/v5/order/create"})
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: OutboxEvent.objects.filter(kind="close_stuck").exists(), timeout_s=20, what="told")
    assert OutboxEvent.objects.get(kind="close_stuck").severity == "critical"
    refused = [row.closed_at for row in plan.orders.filter(role="close", status="rejected").order_by("pk")]
    assert (refused[3] - refused[2]).total_seconds() >= 1
    assert (refused[4] - refused[3]).total_seconds() >= 2
    desk.clear_faults()
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", timeout_s=20, what="closed after all")
    assert desk.client.gateway.positions() == []


def test_an_order_that_cannot_be_read_holds_up_no_other(desk: TradingDesk) -> None:
    desk.start()
    sick, well = desk.placed(symbol="BTCUSDT"), desk.placed(symbol="SOLUSDT")
    Plan.objects.filter(pk=sick.pk).update(spec={})
    desk.until(lambda: Plan.objects.get(pk=well.pk).stop_confirmed is not None, what="the other one protected")
    assert set(sick.orders.values_list("status", flat=True)) == {"intent"}
    assert OutboxEvent.objects.get(kind="plan_step_failed").payload["plan_id"] == sick.pk


def test_an_execution_of_nothing_stops_neither_the_start_nor_the_others(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The venue's page brings it again with every look."""
    desk.simulator.http().place_order(
        category="linear", symbol="SOLUSDT", side="Buy", orderType="Market", qty="3", positionIdx=1
    )
    real = BybitGateway.executions

    def with_nothing(gateway: BybitGateway, **named: Any) -> list[Execution]:
        rows = real(gateway, **named)
        return [replace(row, exec_id="nothing", quantity=row.quantity * 0) for row in rows[:1]] + rows

    monkeypatch.setattr(BybitGateway, "executions", with_nothing)
    execution = desk.start()
    assert execution.reconciler.run("full").status == "findings"  # the position is nobody's plan
    assert Position.objects.get().size == 3
    assert not Fill.objects.filter(exec_id="nothing").exists()
    assert OutboxEvent.objects.filter(kind="execution_not_booked").count() == 1
