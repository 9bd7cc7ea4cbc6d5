"""The rows of the reconciliation's table over the wire, and the moments in which two answers do not fit together."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from avigrid.kernel.errors import Rejected
from avigrid.kernel.orders import VenueOrder
from avigrid.kernel.portfolio import VenuePosition
from risk.core.states import State
from risk.selectors.guards import effective_state
from tests.support.trading_desk import TradingDesk
from trading.engine.wishes import Wish
from trading.models import Fill, LedgerEntry, Order, OrderEvent, OutboxEvent, Plan, Position, ReconciliationFinding
from trading.runtime import doubts, history, order_comparison
from trading.runtime.execution import Execution
from trading.runtime.hearing import Effects
from trading.services.adoption import position_adopt
from trading.services.foreign import finding_decide
from trading.services.plan_commands import plan_close

WINDOW_MS = 100_000


def _trade(desk: TradingDesk, side: str, quantity: str, *, reduce: bool = False) -> None:
    """By hand, in the venue's own interface."""
    desk.simulator.http().place_order(
        category="linear", symbol="SOLUSDT", side=side, orderType="Market", qty=quantity, positionIdx=1,
        reduceOnly=reduce,
    )  # fmt: skip


def _deaf(desk: TradingDesk, *topics: str) -> None:
    """The private stream says nothing of these."""
    for topic in topics:
        desk.fault("drop_message", match={"topic": topic}, count=1_000)


def _hear_executions(execution: Execution) -> None:
    """What the stream would have told by now."""
    context = execution.context
    end_ms = context.exchange_ms() + 60_000
    rows = context.gateway.executions(start_ms=end_ms - 600_000, end_ms=end_ms)
    with context.books():
        for row in rows:
            execution.hearing.execution(row, Effects(), source="stream")


def _kinds(**wanted: Any) -> list[str]:
    return list(ReconciliationFinding.objects.filter(**wanted).order_by("pk").values_list("kind", flat=True))


def _around_positions(
    execution: Execution, *, before: Callable[[], None] = lambda: None, after: Callable[[], None] = lambda: None
) -> None:
    """Something happens just before, or just after, each answer about positions."""
    gateway = execution.context.gateway
    real = gateway.positions

    def positions() -> list[VenuePosition]:
        before()
        rows = real()
        after()
        return rows

    gateway.positions = positions  # type: ignore[method-assign]


# -- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_venue_ahead", [True, False])
def test_a_fill_beside_every_answer_is_never_called_a_mismatch(desk: TradingDesk, is_venue_ahead: bool) -> None:
    execution = desk.start()
    desk.opened(symbol="SOLUSDT")
    _deaf(desk, "execution")

    def before() -> None:
        if is_venue_ahead:
            _trade(desk, "Sell", "0.1", reduce=True)

    def after() -> None:
        if not is_venue_ahead:
            _trade(desk, "Sell", "0.1", reduce=True)
            _hear_executions(execution)

    _around_positions(execution, before=before, after=after)
    execution.reconciler.run("positions")
    assert _kinds(severity="critical") == []
    assert effective_state(desk.account.pk, "SOLUSDT") is State.ACTIVE
    del execution.context.gateway.positions
    assert execution.reconciler.run("positions").critical == 0
    assert Position.objects.get().size == desk.client.gateway.positions()[0].signed_size


def test_a_mismatch_stays_open_while_nothing_can_be_said_of_it(desk: TradingDesk) -> None:
    execution = desk.start()
    desk.opened(symbol="SOLUSDT")
    Position.objects.update(size=100)
    execution.reconciler.run("positions")
    assert _kinds(is_open=True) == ["position_mismatch"]
    _deaf(desk, "execution")
    _around_positions(execution, before=lambda: _trade(desk, "Sell", "0.1", reduce=True))
    execution.reconciler.run("positions")
    assert _kinds(is_open=True) == ["position_mismatch"]


def _traded_long_ago(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> Execution:
    """The venue's position row was created by a trade that its history does not tell any more."""
    monkeypatch.setattr(history, "HISTORY_MS", WINDOW_MS)
    monkeypatch.setattr(history, "_RECENT_MS", WINDOW_MS)
    _trade(desk, "Buy", "1")
    _trade(desk, "Sell", "1", reduce=True)
    before_ms = desk.client.clock.now_ms()
    while desk.client.clock.now_ms() < before_ms + WINDOW_MS:
        desk.simulator.sim("POST", "/sim/clock", {"step_ms": 15_000})
        desk.client.clock.measure()
    execution = desk.start()
    assert not Fill.objects.exists()
    return execution


def _once(act: Callable[[], object]) -> Callable[[], None]:
    left = [act]

    def do() -> None:
        if left:
            left.pop()()

    return do


def test_a_first_fill_between_two_answers_is_not_taken_for_an_old_position(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = _traded_long_ago(desk, monkeypatch)
    _deaf(desk, "execution")
    _around_positions(execution, before=_once(lambda: _trade(desk, "Buy", "3")))
    execution.reconciler.run("positions")
    assert {row.source for row in Fill.objects.all()} == {"rest"}
    assert sum(row.quantity for row in Fill.objects.all()) == 3
    assert Position.objects.get().size == 3
    assert not Plan.objects.exists()
    assert _kinds(kind__startswith="position") == ["position_foreign"]


def test_a_plans_first_fill_between_two_answers_is_not_taken_for_an_old_position(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = _traded_long_ago(desk, monkeypatch)
    _deaf(desk, "execution")
    plan = desk.placed(symbol="SOLUSDT")
    _around_positions(execution, before=_once(execution.sender.run))
    execution.reconciler.run("positions")
    assert _kinds(kind__startswith="position") == []
    assert {row.plan_id for row in Fill.objects.all()} == {plan.pk}
    assert list(Plan.objects.values_list("pk", flat=True)) == [plan.pk]


def test_nothing_is_adopted_where_a_plan_is_open(desk: TradingDesk) -> None:
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    held = desk.client.gateway.positions()[0]
    before = list(Fill.objects.order_by("pk").values())
    with pytest.raises(Rejected, match="plan"), execution.context.books():
        position_adopt(
            account_id=desk.account.pk, held=held, exchange_ms=execution.context.exchange_ms(),
            now=execution.context.now(), actor="test",
        )  # fmt: skip
    assert list(Plan.objects.values_list("pk", flat=True)) == [plan.pk]
    assert list(Fill.objects.order_by("pk").values()) == before


def test_an_adopted_plan_takes_only_what_it_holds_with_its_fees(desk: TradingDesk) -> None:
    for side, quantity in (("Buy", "2"), ("Sell", "2"), ("Buy", "3")):
        _trade(desk, side, quantity, reduce=side == "Sell")
        desk.simulator.sim("POST", "/sim/clock", {"step_ms": 1_000})
    desk.client.clock.measure()
    desk.start()
    finding = ReconciliationFinding.objects.get(kind="position_foreign", is_open=True)
    finding_decide(finding_id=finding.pk, wish=Wish.ADOPT, user="test", reason="mine")
    desk.until(lambda: Plan.objects.filter(stop_confirmed__isnull=False).exists(), what="adopted")
    plan = Plan.objects.get()
    fills = list(Fill.objects.order_by("executed_at"))
    assert [row.plan_id for row in fills if row.quantity == 2] == [None, None]
    mine = [row for row in fills if row.quantity != 2 or row.plan_id]
    assert sum(row.quantity for row in mine) == 3
    assert {row.plan_id for row in mine} == {plan.pk}
    assert plan.fees_usd == sum(row.fee_usd for row in mine) > 0
    entries = LedgerEntry.objects.filter(kind="fee")
    assert -sum(row.change_usd for row in entries.filter(plan=plan)) == plan.fees_usd
    assert entries.filter(plan=None).count() == len(fills) - len(mine)


def test_surplus_exits_are_looked_for_beside_a_mismatch_elsewhere(desk: TradingDesk) -> None:
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3, what="exits")
    gateway = execution.context.gateway
    real = gateway.open_orders

    def surplus() -> list[VenueOrder]:
        return [replace(row, quantity=row.quantity * 10) if row.reduce_only else row for row in real()]

    gateway.open_orders = surplus  # type: ignore[method-assign]
    execution.reconciler.run("positions")
    assert _kinds(is_open=True) == ["exits_exceed"]
    Position.objects.create(account=desk.account, symbol="BTCUSDT", position_idx=1, size=-1, entry_value_usd=50_000)
    execution.reconciler.run("positions")
    assert _kinds(is_open=True) == ["exits_exceed", "position_mismatch"]
    Position.objects.filter(symbol="SOLUSDT").update(size=100)
    execution.reconciler.run("positions")  # whether they are too many cannot be told of a size nobody can explain
    assert _kinds(is_open=True) == ["exits_exceed", "position_mismatch", "position_mismatch"]


# -- fills and orders -------------------------------------------------------------------------------------------------


def _rung(desk: TradingDesk) -> tuple[Plan, Order]:
    """A resting entry of a grid that holds its first."""
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=3, atr_mult_x=8.0, rung_step_atr_x=1.0)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 2, what="rungs")
    order = plan.orders.filter(role="entry", status="open").order_by("rung").first()
    assert order is not None
    return plan, order


def _by_the_clock_no_more(execution: Execution) -> None:
    """Comparisons run when the test says so."""
    for timer in (execution._timers.orders, execution._timers.positions, execution._timers.full):
        timer.last_s = float("inf")


def test_a_fill_the_stream_never_told_is_booked(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_MISSED_AFTER_MS", 0)
    execution = desk.start()
    _by_the_clock_no_more(execution)
    desk.opened(symbol="SOLUSDT")
    _deaf(desk, "execution")
    _trade(desk, "Sell", "0.1", reduce=True)
    execution.reconciler.run("positions")
    finding = ReconciliationFinding.objects.get()
    assert (finding.kind, finding.severity, finding.action) == ("fill_missed", "info", "booked")
    assert (finding.is_open, finding.resolution) == (False, "repaired")
    assert Position.objects.get().size == desk.client.gateway.positions()[0].signed_size
    assert execution.reconciler.run("positions").status == "good"


def test_an_order_that_is_gone_and_explained_is_closed_with_evidence(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_comparison, "GRACE_MS", 0)
    execution = desk.start()
    _by_the_clock_no_more(execution)
    _, order = _rung(desk)
    _deaf(desk, "order")
    desk.simulator.http().cancel_order(category="linear", symbol=order.symbol, orderLinkId=order.order_link_id)
    execution.reconciler.run("orders")
    finding = ReconciliationFinding.objects.get()
    assert (finding.kind, finding.severity, finding.subject) == ("order_done", "info", order.order_link_id)
    assert (finding.action, finding.proof) == ("closed with evidence", "order/history: Cancelled, 0 filled")
    order.refresh_from_db()
    assert (order.status, order.is_reserved) == ("cancelled", False)


def _deny(execution: Execution, victim: Order) -> None:
    """The venue lists this order nowhere and does not know it when asked."""
    gateway = execution.context.gateway
    listed, asked = gateway.open_orders, gateway.order

    def order(*, symbol: str, order_link_id: str) -> VenueOrder | None:
        return None if order_link_id == victim.order_link_id else asked(symbol=symbol, order_link_id=order_link_id)

    gateway.open_orders = lambda: [row for row in listed() if row.order_link_id != victim.order_link_id]  # type: ignore[method-assign]
    gateway.order = order  # type: ignore[method-assign]


def _given_up(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> tuple[Execution, Plan, Order]:
    """Live at the venue, and closed in the books for want of evidence."""
    monkeypatch.setattr(order_comparison, "GRACE_MS", 0)
    monkeypatch.setattr(doubts, "EVIDENCE_WINDOW", timedelta(0))
    monkeypatch.setattr(doubts, "VENUE_MEMORY", timedelta(0))
    execution = desk.start()
    _by_the_clock_no_more(execution)
    plan, order = _rung(desk)
    _deny(execution, order)
    execution.reconciler.run("orders")
    order.refresh_from_db()
    assert (order.status, order.is_reserved) == ("unknown", True)
    for _ in range(5):
        execution.doubts.run({order.order_link_id})
    order.refresh_from_db()
    return execution, plan, order


def _appears(execution: Execution) -> None:
    del execution.context.gateway.open_orders, execution.context.gateway.order


def test_an_order_that_is_gone_and_unexplained_is_unknown_until_the_window_passed(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, order = _given_up(desk, monkeypatch)
    finding = ReconciliationFinding.objects.get()
    assert (finding.kind, finding.severity, finding.subject) == ("order_lost", "warning", order.order_link_id)
    assert finding.action == "unknown until evidence"
    assert (order.status, order.is_reserved, order.reason) == ("expired", False, "no evidence")
    told = OutboxEvent.objects.get(kind="order_without_evidence")
    assert order.order_link_id in told.payload["sentence"]


def test_an_order_that_was_given_up_and_lives_is_adopted_back(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution, _, order = _given_up(desk, monkeypatch)
    _appears(execution)
    execution.reconciler.run("orders")
    finding = ReconciliationFinding.objects.get(kind="order_revived")
    assert (finding.severity, finding.subject, finding.action) == ("warning", order.order_link_id, "adopted back")
    order.refresh_from_db()
    assert (order.status, order.is_reserved, order.cancel_requested_at) == ("open", True, None)
    assert execution.reconciler.run("orders").warnings == 0


def test_an_order_that_another_process_took_back_meanwhile_is_no_finding(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution, _, order = _given_up(desk, monkeypatch)
    _appears(execution)
    gateway = execution.context.gateway
    asked = gateway.order

    def taken_back(*, symbol: str, order_link_id: str) -> VenueOrder | None:
        row = asked(symbol=symbol, order_link_id=order_link_id)
        if row is not None and order_link_id == order.order_link_id:
            with execution.context.books():
                execution.hearing.order_row(row, Effects(), is_query=True)
        return row

    gateway.order = taken_back  # type: ignore[method-assign]
    execution.reconciler.run("orders")
    assert _kinds(kind="order_revived") == []
    assert Order.objects.get(pk=order.pk).status == "open"


def test_an_order_that_lives_beyond_its_plan_is_cancelled(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    execution, plan, order = _given_up(desk, monkeypatch)
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="closed")
    _appears(execution)
    execution.reconciler.run("orders")
    finding = ReconciliationFinding.objects.get(kind="order_revived")
    assert finding.action == "being cancelled: its plan is over"
    desk.until(lambda: Order.objects.get(pk=order.pk).status == "cancelled", what="cancelled")
    assert desk.client.gateway.open_orders() == []
    desk.assert_books_equal_venue()


def test_an_order_that_fills_while_the_orders_are_listed_is_not_revived(desk: TradingDesk) -> None:
    execution = desk.start()
    _by_the_clock_no_more(execution)
    _, order = _rung(desk)
    _deaf(desk, "order", "execution")
    gateway = execution.context.gateway
    real = gateway.open_orders

    def listed() -> list[VenueOrder]:
        rows = real()
        if Order.objects.get(pk=order.pk).status == "open":
            desk.jump(-0.0025, "SOLUSDT")
            _hear_executions(execution)
        return rows

    gateway.open_orders = listed  # type: ignore[method-assign]
    execution.reconciler.run("orders")
    assert Order.objects.get(pk=order.pk).status == "filled"
    assert _kinds() == []
    assert not OrderEvent.objects.filter(is_impossible=True).exists()
    assert not OutboxEvent.objects.filter(severity__in=("warning", "critical")).exists()


# -- what a start may open --------------------------------------------------------------------------------------------


def test_a_critical_finding_at_the_start_keeps_entries_out_of_its_symbol_alone(desk: TradingDesk) -> None:
    desk.simulator.sim(
        "POST", "/sim/market", {"action": "foreign_position", "symbol": "BTCUSDT", "side": "Sell", "qty": "0.01"}
    )
    execution = desk.start()
    assert _kinds(is_open=True) == ["position_foreign"]
    ReconciliationFinding.objects.update(is_open=False)
    blocked = desk.placed(symbol="BTCUSDT")
    ReconciliationFinding.objects.update(is_open=True)
    _by_the_clock_no_more(execution)
    desk.opened(symbol="SOLUSDT")
    assert set(blocked.orders.values_list("status", flat=True)) == {"intent"}
    ReconciliationFinding.objects.update(is_open=False)
    desk.until(lambda: Plan.objects.get(pk=blocked.pk).status == "active", what="free again")
