"""Orders in doubt: how long evidence may still come, and who is told when it does not."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from avigrid.kernel.orders import OrderType, Side, VenueOrder
from tests.support.api_world import ApiWorld
from trading.models import Order, OutboxEvent
from trading.runtime.breakers import Breakers
from trading.runtime.doubts import Doubts
from trading.runtime.hearing import Hearing

pytestmark = pytest.mark.django_db
D = Decimal


class Desk:
    """An account whose venue answers as told, on a clock that only the test moves."""

    def __init__(self) -> None:
        self.world = ApiWorld()
        self.at = timezone.now()
        self.row: VenueOrder | None = None
        self.executions: list[Any] = []
        context: Any = SimpleNamespace(
            account_id=self.world.account.pk,
            hedge_mode=True,
            now=lambda: self.at,
            exchange_ms=lambda: int(self.at.timestamp() * 1_000),
            books=transaction.atomic,
            pulse=lambda: None,
            breakers=Breakers(),
            prices=SimpleNamespace(read=lambda symbols: {}),
            gateway=SimpleNamespace(order=lambda **named: self.row, executions_of=lambda **named: self.executions),
        )
        self.doubts = Doubts(context, Hearing(context))

    def order(self, **fields: Any) -> Order:
        order = Order.objects.get(plan=self.world.placed(), role="entry")
        Order.objects.filter(pk=order.pk).update(**fields)
        order.refresh_from_db()
        return order

    def pass_s(self, seconds: int) -> None:
        """In steps of a second, as the timer looks."""
        for _ in range(seconds):
            self.at += timedelta(seconds=1)
            self.doubts.run(set())


@pytest.fixture
def desk() -> Desk:
    return Desk()


def _told(kind: str) -> list[str]:
    return [row.payload["sentence"] for row in OutboxEvent.objects.filter(kind=kind).order_by("pk")]


def _lost(desk: Desk, *, sent: timedelta, acknowledged: bool) -> Order:
    sent_at: datetime = desk.at - sent
    return desk.order(
        status="unknown",
        submitted_at=sent_at,
        acknowledged_at=sent_at if acknowledged else None,
        unknown_since=desk.at,
    )


def test_an_order_that_rested_for_a_day_is_held_while_its_fill_may_be_invisible(desk: Desk) -> None:
    order = _lost(desk, sent=timedelta(hours=25), acknowledged=True)
    desk.pass_s(59)
    order.refresh_from_db()
    assert (order.status, order.is_reserved) == ("unknown", True)
    assert _told("order_unexplained") == []
    desk.pass_s(60)
    order.refresh_from_db()
    assert (order.status, order.is_reserved) == ("unknown", True)
    assert _told("order_unexplained") == [
        f"Order {order.order_link_id} is denied by the venue that had acknowledged it."
    ]
    assert _told("order_without_evidence") == []


def test_what_the_venue_denies_for_a_whole_day_is_closed_with_the_note(desk: Desk) -> None:
    """A day is what the venue remembers even of orders cancelled without a fill."""
    order = _lost(desk, sent=timedelta(hours=49), acknowledged=True)
    desk.pass_s(60)
    assert order.unknown_since is not None
    desk.at = order.unknown_since + timedelta(hours=24) - timedelta(seconds=1)
    desk.doubts.run(set())
    order.refresh_from_db()
    assert order.status == "unknown"
    desk.pass_s(61)
    order.refresh_from_db()
    assert (order.status, order.is_reserved, order.reason) == ("expired", False, "no evidence")
    assert len(_told("order_without_evidence")) == 1


def test_the_window_of_an_order_cut_off_in_sending_begins_when_it_is_missed(desk: Desk) -> None:
    """The process was away for minutes: a fill of just now would not be visible yet."""
    order = _lost(desk, sent=timedelta(minutes=10), acknowledged=False)
    desk.pass_s(59)
    order.refresh_from_db()
    assert order.status == "unknown"
    desk.pass_s(61)
    order.refresh_from_db()
    assert (order.status, order.reason) == ("expired", "no evidence")


@pytest.mark.parametrize("is_listed", [True, False])
def test_executions_that_are_claimed_and_never_shown_are_told_once(desk: Desk, is_listed: bool) -> None:
    order = desk.order(status="unknown", unknown_since=desk.at, submitted_at=desk.at, acknowledged_at=desk.at)
    claimed = VenueOrder(
        order_id="v1",
        order_link_id=order.order_link_id,
        symbol=order.symbol,
        side=Side(order.side),
        order_type=OrderType.LIMIT,
        status="Filled",
        quantity=order.quantity,
        price=order.price,
        filled_qty=order.quantity,
        avg_price=order.price,
        time_in_force="IOC",
        reduce_only=False,
        position_idx=order.position_idx,
        created_ms=1,
        updated_ms=2,
    )
    desk.row = claimed
    desk.doubts.run(set())
    desk.row = replace(claimed, updated_ms=3) if is_listed else None
    desk.pass_s(58)
    assert _told("executions_owed") == []
    desk.pass_s(200)
    order.refresh_from_db()
    assert (order.status, order.is_reserved, order.filled_qty) == ("unknown", True, 0)
    filled = f"{order.quantity.normalize():f}"
    assert _told("executions_owed") == [
        f"Order {order.order_link_id} has {filled} filled at the venue, of which its executions show 0."
    ]
