"""The last look before an order leaves: caps, budgets, the circuit breaker; and how often a cancel is asked for."""

import random
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from avigrid.kernel.errors import Rejected, Retryable
from risk.services.limits import limits_update
from tests.support.api_world import ApiWorld
from trading.models import Order, OutboxEvent, Plan, Position, ReconciliationFinding
from trading.runtime.breakers import Breakers
from trading.runtime.cancelling import Cancelling
from trading.runtime.sending import Sender

pytestmark = pytest.mark.django_db(transaction=True)
D = Decimal
MARK = D(100)


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


class Clock:
    def __init__(self) -> None:
        self.at = timezone.now()

    def __call__(self) -> Any:
        return self.at


def _context(world: ApiWorld, clock: Clock, gateway: Any = None) -> Any:
    return SimpleNamespace(
        account_id=world.account.pk,
        environment="simulated",
        redis_down=False,
        now=clock,
        breakers=Breakers(),
        rng=random.Random(1),
        gateway=gateway,
        pulse=lambda: None,
    )


@pytest.fixture
def sender(world: ApiWorld) -> Sender:
    return Sender(_context(world, Clock()), entries_ready=True)


def _entry(world: ApiWorld, symbol: str = "AAAUSDT") -> Order:
    return Order.objects.select_related("plan").get(plan=world.placed(symbol), role="entry")


def _limits(world: ApiWorld, **changes: Any) -> None:
    limits_update(account_id=world.account.pk, changes=changes, actor="test", reason="test", otp_used=True)


def test_an_entry_waits_while_no_mark_price_is_known(world: ApiWorld, sender: Sender) -> None:
    order = _entry(world)
    assert not sender._may_send(order, None)
    order.refresh_from_db()
    assert order.status == "intent"
    assert sender._may_send(order, MARK)


@pytest.mark.parametrize("cap", ["max_plan_notional_usd", "max_symbol_notional_usd"])
def test_the_cap_on_size_holds_where_the_order_is_sent(world: ApiWorld, sender: Sender, cap: str) -> None:
    """The plan was judged under another limit: its next order is judged again."""
    order = _entry(world)
    size_usd = order.quantity * order.reference_price
    _limits(world, **{cap: size_usd - 1})
    assert not sender._may_send(order, MARK)
    order.refresh_from_db()
    assert (order.status, order.venue_code) == ("rejected", "notional")


def test_what_the_plan_holds_and_the_other_side_count_too(world: ApiWorld, sender: Sender) -> None:
    order = _entry(world)
    size_usd = order.quantity * order.reference_price
    held = Position.objects.create(
        account=world.account, symbol="AAAUSDT", position_idx=1, size=order.quantity, entry_value_usd=size_usd
    )
    _limits(world, max_plan_notional_usd=size_usd * 2 - 1, max_symbol_notional_usd=size_usd * 2)
    assert not sender._may_send(order, MARK)
    Order.objects.filter(pk=order.pk).update(status="intent", closed_at=None, is_reserved=True)
    order.refresh_from_db()
    Position.objects.filter(pk=held.pk).update(position_idx=2, size=-order.quantity)
    assert sender._may_send(order, MARK)  # twice the size on the symbol, once in the plan
    _limits(world, max_symbol_notional_usd=size_usd * 2 - 1)
    assert not sender._may_send(order, MARK)


def test_the_days_budget_of_orders_holds_entries_and_never_exits(world: ApiWorld, sender: Sender) -> None:
    first, second = _entry(world), _entry(world, "BBBUSDT")
    Order.objects.filter(pk=first.pk).update(
        status="filled", submitted_at=timezone.now(), closed_at=timezone.now(), filled_qty=first.quantity
    )
    _limits(world, orders_per_day=1)
    for _ in range(2):
        assert not sender._may_send(second, MARK)
    second.refresh_from_db()
    assert second.status == "intent"
    told = OutboxEvent.objects.get(kind="order_budget")
    assert told.payload["sentence"] == "1 orders were sent within a day, the limit is 1: no entry goes out."
    Position.objects.create(
        account=world.account, symbol="AAAUSDT", position_idx=1, size=first.quantity, entry_value_usd=100
    )
    assert sender._may_send(_exit(first, "close"), MARK)
    _limits(world, orders_per_day=2)
    assert sender._may_send(second, MARK)


def test_while_a_plan_closes_its_symbol_opens_nothing_on_the_other_side_either(world: ApiWorld, sender: Sender) -> None:
    """Checked where it is sent: the click was long before, and a grid re-arms its rungs without one."""
    long, elsewhere = world.placed(), world.placed("BBBUSDT")
    short = Plan.objects.get(pk=world.place(world.signal(direction=-1)).plan_id)
    Plan.objects.filter(pk=long.pk).update(status="closing")
    entries = {plan.pk: plan.orders.select_related("plan").get(role="entry") for plan in (short, elsewhere)}
    assert sender._may_send(entries[elsewhere.pk], MARK)
    assert not sender._may_send(entries[short.pk], MARK)
    entries[short.pk].refresh_from_db()
    assert entries[short.pk].status == "intent"  # it waits, and is withdrawn once it is too old
    Position.objects.create(
        account=world.account, symbol="AAAUSDT", position_idx=2, size=-entries[short.pk].quantity, entry_value_usd=100
    )
    close = _exit(entries[short.pk], "close")
    Order.objects.filter(pk=close.pk).update(side="Buy")
    assert sender._may_send(Order.objects.select_related("plan").get(pk=close.pk), MARK)
    Plan.objects.filter(pk=long.pk).update(status="closed")
    assert sender._may_send(entries[short.pk], MARK)


def test_where_a_position_is_unexplained_nothing_opens(world: ApiWorld, sender: Sender) -> None:
    order, elsewhere = _entry(world), _entry(world, "BBBUSDT")
    finding = world.finding()
    ReconciliationFinding.objects.filter(pk=finding.pk).update(symbol="AAAUSDT")
    assert not sender._may_send(order, MARK)
    assert sender._may_send(elsewhere, MARK)
    ReconciliationFinding.objects.filter(pk=finding.pk).update(is_open=False)
    assert sender._may_send(order, MARK)


def test_refused_take_profits_pause_and_closes_never_do(world: ApiWorld, sender: Sender) -> None:
    clock: Any = sender.context.now
    entry = _entry(world)
    Position.objects.create(
        account=world.account, symbol="AAAUSDT", position_idx=1, size=entry.quantity, entry_value_usd=100
    )
    for role in ("take_profit", "close"):
        order = _exit(entry, role)
        assert sender._may_send(order, MARK)
        for _ in range(3):
            sender._count_refusal(order, "margin_short", clock())
    assert not sender._may_send(Order.objects.get(role="take_profit"), MARK)
    assert sender._may_send(Order.objects.get(role="close"), MARK)
    sentences = sorted(row.payload["sentence"] for row in OutboxEvent.objects.filter(kind="circuit_open"))
    assert [sentence.split("; ")[1] for sentence in sentences] == [
        "it is tried again more and more slowly.",
        "none is sent for 60 s.",
    ]
    clock.at += timedelta(seconds=60)
    assert sender._may_send(Order.objects.get(role="take_profit"), MARK)


def test_a_cancel_the_venue_refuses_is_asked_again_more_and_more_slowly(world: ApiWorld) -> None:
    clock, asked = Clock(), []

    def refuse(**named: str) -> None:
        asked.append(clock.at)
        raise Rejected("not now", code="not_supported")

    order = _entry(world)
    Order.objects.filter(pk=order.pk).update(status="open", cancel_requested_at=clock.at)
    cancelling = Cancelling(_context(world, clock, SimpleNamespace(cancel=refuse)), [])
    began = clock.at
    for _ in range(300):
        cancelling.run()
        clock.at += timedelta(seconds=1)
    waits = [(b - a).total_seconds() for a, b in zip(asked, asked[1:], strict=False)]
    assert (asked[0] - began).total_seconds() == 0
    assert waits[:2] == [4, 4]  # three seconds are over with the fourth look
    assert waits[2:7] == [4, 6, 12, 24, 48]
    assert set(waits[7:]) == {60}
    assert OutboxEvent.objects.filter(kind="cancel_refused").count() == 1
    assert cancelling.doubted == [order.order_link_id] * len(asked)


@pytest.mark.parametrize("role", ["close", "take_profit"])
def test_what_the_venue_keeps_postponing_is_sent_less_and_less_often(world: ApiWorld, role: str) -> None:
    """Never given up and never a storm: the pauses double up to half a minute, a quarter more or less by chance."""
    clock, sent = Clock(), []

    def busy(_: Any) -> Any:
        sent.append(clock.at)
        raise Retryable("busy", code="server_busy")

    context = _context(world, clock, SimpleNamespace(place=busy))
    context.books = transaction.atomic
    context.prices = SimpleNamespace(read=lambda symbols: {})
    sender = Sender(context)
    entry = _entry(world)
    Position.objects.create(
        account=world.account, symbol="AAAUSDT", position_idx=1, size=entry.quantity, entry_value_usd=100
    )
    Order.objects.filter(pk=entry.pk).delete()
    order = _exit(entry, role)
    for _ in range(20):
        sender.run()
        clock.at = sender._not_before[order.pk]
    waits = [(b - a).total_seconds() for a, b in zip(sent, sent[1:], strict=False)]
    assert len(sent) == 20
    for spot, wait_s in enumerate(waits):
        planned_s = min(0.5 * 2**spot, 30)
        assert planned_s * 0.75 <= wait_s <= planned_s * 1.25
    order.refresh_from_db()
    assert order.status == "intent"


def _exit(entry: Order, role: str) -> Order:
    return Order.objects.create(
        plan=entry.plan,
        order_link_id=f"{entry.order_link_id}-{role}",
        account_id=entry.account_id,
        symbol=entry.symbol,
        side="Sell",
        order_type="Market" if role == "close" else "Limit",
        time_in_force="IOC" if role == "close" else "GTC",
        quantity=entry.quantity / 2 // D("0.001") * D("0.001"),
        price=None if role == "close" else D(101),
        reduce_only=True,
        position_idx=entry.position_idx,
        role=role,
        rung=0,
        cycle=0,
        attempt=0,
        created_at=timezone.now(),
    )
