"""The one place where an order's row changes: beliefs from the engine in, rows and their history out.

Callers hold the account's lock (`account_transaction`).
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from avigrid.common import push
from avigrid.kernel.money import plain
from avigrid.kernel.orders import OrderStatus, VenueOrder
from trading.engine.belief import OrderBelief, Step, apply, hear_venue
from trading.engine.lifecycle import OrderEventKind, Outcome
from trading.models import Order, OrderEvent
from trading.services.alerts import alert_raise


def belief_of(order: Order) -> OrderBelief:
    return OrderBelief(
        status=OrderStatus(order.status),
        quantity=order.quantity,
        filled_qty=order.filled_qty,
        venue_filled_qty=order.venue_filled_qty,
        venue_status=order.venue_status,
        venue_updated_ms=order.venue_updated_ms,
        price=order.price,
    )


def order_event_apply(
    *, order: Order, event: OrderEventKind, now: datetime, evidence: str = "", venue_code: str = ""
) -> Outcome:
    """A single event from our own side: send, ack, reject, uncertain, withdraw, missing, no evidence."""
    step = apply(belief_of(order), event)
    if event in (OrderEventKind.REJECT, OrderEventKind.WITHDRAW, OrderEventKind.NO_EVIDENCE) and (
        step.transition.outcome is Outcome.MOVED
    ):
        order.reason, order.venue_code = evidence[:300], venue_code
    order_steps_store(order=order, steps=[step], now=now, evidence=evidence)
    return step.transition.outcome


def order_frame_apply(
    *, order: Order, row: VenueOrder, is_query: bool, now: datetime, writes: "OrderWrites | None" = None
) -> OrderBelief:
    """What the venue says about it; `is_query`: as the answer to a question just asked."""
    steps = hear_venue(belief_of(order), row, is_query=is_query)
    if not order.venue_order_id:
        order.venue_order_id = row.order_id
    if row.status in ("Cancelled", "Rejected") and row.reject_reason not in ("", "EC_NoError"):
        order.reason = order.reason or row.reject_reason[:300]
    source = "query" if is_query else "stream"
    evidence = f"{source}: {row.status} {row.filled_qty}/{row.quantity} at {row.updated_ms}"
    if any(step.event is OrderEventKind.AMENDED for step in steps):
        evidence = _amendment_tell(order, steps[-1].belief, now)
    order_steps_store(order=order, steps=steps, now=now, evidence=evidence, writes=writes)
    return steps[-1].belief


def _amendment_tell(order: Order, belief: OrderBelief, now: datetime) -> str:
    """The change in words. The venue itself shrinks exits with their position: nobody has to know."""
    is_shrunk = order.reduce_only and belief.quantity < order.quantity and belief.price == order.price
    change = f"{_line(order.quantity, order.price)} -> {_line(belief.quantity, belief.price)}"
    if not is_shrunk:
        alert_raise(
            kind="order_amended",
            severity="warning",
            dedupe_key=f"{order.order_link_id}:{change}",
            sentence=f"{order.symbol}: order {order.order_link_id} was amended at the venue: {change}.",
            now=now,
            order_id=order.pk,
            plan_id=order.plan_id,
        )
    return change


def _line(quantity: Decimal, price: Decimal | None) -> str:
    return f"{plain(quantity)} at {plain(price)}" if price is not None else plain(quantity)


def order_steps_store(
    *, order: Order, steps: Sequence[Step], now: datetime, evidence: str, writes: "OrderWrites | None" = None
) -> None:
    """The last belief and every step that moved or contradicted; with `writes` they wait there for its `store`."""
    gathered = OrderWrites() if writes is None else writes
    gathered.take(order, steps, now=now, evidence=evidence)
    if writes is None:
        gathered.store()


class OrderWrites:
    """Changed orders and their history until `store`: a row that a burst changes five times is written once."""

    def __init__(self) -> None:
        self._before: dict[int, tuple[Order, OrderBelief]] = {}
        self._events: list[OrderEvent] = []

    def take(self, order: Order, steps: Sequence[Step], *, now: datetime, evidence: str) -> None:
        self._before.setdefault(order.pk, (order, belief_of(order)))
        status = OrderStatus(order.status)
        for step in steps:
            self._record(order, status, step, now, evidence)
            status = step.belief.status
        belief = steps[-1].belief
        order.status = belief.status.value
        order.quantity, order.price = belief.quantity, belief.price
        order.filled_qty = belief.filled_qty
        order.venue_filled_qty = belief.venue_filled_qty
        order.venue_status = belief.venue_status
        order.venue_updated_ms = belief.venue_updated_ms
        order.is_reserved = not belief.status.is_terminal
        _stamp(order, belief.status, [step.event for step in steps], now)

    def store(self) -> None:
        OrderEvent.objects.bulk_create(self._events)
        for order, before in self._before.values():
            order.save()
            if belief_of(order) != before:
                push.event("order", {"order_id": order.pk, "plan_id": order.plan_id, "status": order.status})
        self._before, self._events = {}, []

    def _record(self, order: Order, status: OrderStatus, step: Step, now: datetime, evidence: str) -> None:
        outcome = step.transition.outcome
        if outcome is Outcome.SAME:
            return
        is_impossible = outcome is Outcome.IMPOSSIBLE
        if is_impossible and self._is_told(order, status, step.event):
            return  # told once; a contradiction that keeps coming must not fill the table
        self._events.append(
            OrderEvent(
                order=order,
                from_status=status,
                event=step.event,
                to_status=step.belief.status,
                is_impossible=is_impossible,
                evidence=evidence[:300],
                at=now,
            )
        )
        if outcome in (Outcome.IMPOSSIBLE, Outcome.SURPRISE):
            alert_raise(
                kind=f"order_{outcome.value}",
                severity="warning",
                dedupe_key=f"{order.order_link_id}:{status}:{step.event}",
                sentence=f"Order {order.order_link_id}: event {step.event} while {status}.",
                now=now,
                order_id=order.pk,
                evidence=evidence,
            )

    def _is_told(self, order: Order, status: OrderStatus, event: OrderEventKind) -> bool:
        said = {"event": event, "from_status": status, "is_impossible": True}
        waiting = any(
            row.order_id == order.pk and all(getattr(row, name) == value for name, value in said.items())
            for row in self._events
        )
        return waiting or order.events.filter(**said).exists()


def _stamp(order: Order, status: OrderStatus, events: Sequence[OrderEventKind], now: datetime) -> None:
    if OrderEventKind.SEND in events:
        order.submitted_at = now
    if status is OrderStatus.INTENT:
        order.submitted_at = None
    if status in (OrderStatus.OPEN, OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED) and order.acknowledged_at is None:
        order.acknowledged_at = now
    order.unknown_since = (order.unknown_since or now) if status is OrderStatus.UNKNOWN else None
    order.closed_at = (order.closed_at or now) if status.is_terminal else None
