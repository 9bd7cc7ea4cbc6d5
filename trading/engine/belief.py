"""What we may believe about one order from the pieces of evidence so far, whatever order they came in."""

from dataclasses import dataclass, replace
from decimal import Decimal

from avigrid.kernel.orders import OrderStatus, OrderType, VenueOrder
from trading.engine.lifecycle import OrderEventKind, Outcome, Transition, transition

CANCEL_WORDS = frozenset({"Cancelled", "PartiallyFilledCanceled", "Deactivated"})
OPEN_WORDS = frozenset({"New", "PartiallyFilled", "Untriggered", "Triggered", "Created"})


@dataclass(frozen=True, slots=True)
class OrderBelief:
    """`filled_qty` is summed from booked executions, `venue_filled_qty` and `venue_status` from order frames."""

    status: OrderStatus
    quantity: Decimal
    """As sent; as the venue has it once somebody amended it there."""
    filled_qty: Decimal = Decimal(0)
    venue_filled_qty: Decimal = Decimal(0)
    venue_status: str = ""
    venue_updated_ms: int = 0
    price: Decimal | None = None
    """Of a limit order."""

    @property
    def reserved_qty(self) -> Decimal:
        """What could still fill: counted as exposure until the order is proven finished."""
        if self.status.is_terminal:
            return Decimal(0)
        return max(self.quantity - self.filled_qty, Decimal(0))

    @property
    def misses_fills(self) -> bool:
        return self.venue_filled_qty > self.filled_qty


@dataclass(frozen=True, slots=True)
class Step:
    belief: OrderBelief
    event: OrderEventKind
    transition: Transition


def apply(belief: OrderBelief, event: OrderEventKind) -> Step:
    moved = transition(belief.status, event)
    status = moved.to
    # An order that comes (back) to life may already have fills: `open` would hide them.
    if status is OrderStatus.OPEN and belief.filled_qty > 0:
        status = OrderStatus.PARTIALLY_FILLED
    return Step(replace(belief, status=status), event, Transition(status, moved.outcome))


def book_fill(belief: OrderBelief, quantity: Decimal) -> list[Step]:
    """One execution not seen before. The caller guards against booking one twice."""
    filled = belief.filled_qty + quantity
    belief = replace(belief, filled_qty=filled)
    event = OrderEventKind.FULL_FILL if filled >= belief.quantity else OrderEventKind.PARTIAL_FILL
    steps = [apply(belief, event)]
    steps += _settle(steps[-1].belief)
    return steps


def hear_venue(belief: OrderBelief, venue: VenueOrder, *, is_query: bool) -> list[Step]:
    """An order row. `is_query` is an answer to a question just asked; a stream frame may be old news."""
    word = venue.status
    known = belief.venue_status
    is_stale = venue.updated_ms < belief.venue_updated_ms or (
        venue.updated_ms == belief.venue_updated_ms and known not in OPEN_WORDS and word in OPEN_WORDS and known != ""
    )
    amended = [] if is_stale else _amended(belief, venue)
    if amended:
        belief = amended[-1].belief
    return amended + _hear(belief, venue, is_stale=is_stale, is_query=is_query)


def _amended(belief: OrderBelief, venue: VenueOrder) -> list[Step]:
    """Its quantity or price is another at the venue: that one counts. Nothing where the order is over there."""
    price = venue.price if belief.price is not None and venue.order_type is OrderType.LIMIT else None
    changed = replace(belief, quantity=venue.quantity or belief.quantity, price=price or belief.price)
    if changed == belief:
        return []
    if belief.status is OrderStatus.FILLED and changed.quantity <= changed.filled_qty:
        return []
    return [apply(changed, OrderEventKind.AMENDED)]


def _hear(belief: OrderBelief, venue: VenueOrder, *, is_stale: bool, is_query: bool) -> list[Step]:
    word = venue.status
    known = belief.venue_status
    belief = replace(
        belief,
        venue_filled_qty=max(belief.venue_filled_qty, venue.filled_qty),
        venue_status=known if is_stale else word,
        venue_updated_ms=max(belief.venue_updated_ms, venue.updated_ms),
    )
    if belief.venue_status in OPEN_WORDS:
        steps = [apply(belief, OrderEventKind.ADOPT if is_query else OrderEventKind.VENUE_OPEN)]
        if steps[-1].belief.misses_fills:
            steps.append(apply(steps[-1].belief, OrderEventKind.FILLS_MISSING))
        return steps
    if belief.misses_fills:
        return [apply(belief, OrderEventKind.FILLS_MISSING)]
    return _settle(belief) or [Step(belief, OrderEventKind.VENUE_OPEN, Transition(belief.status, Outcome.SAME))]


def _settle(belief: OrderBelief) -> list[Step]:
    """The venue's last word, once every execution it claims is booked."""
    if belief.misses_fills or belief.status is OrderStatus.FILLED:
        return []
    if belief.venue_status == "Filled" and belief.venue_filled_qty > 0:
        return [apply(belief, OrderEventKind.FULL_FILL)]
    if belief.venue_status in CANCEL_WORDS:
        return [apply(belief, OrderEventKind.VENUE_CANCELLED)]
    if belief.venue_status == "Rejected":
        event = OrderEventKind.VENUE_CANCELLED if belief.filled_qty > 0 else OrderEventKind.VENUE_REJECTED
        return [apply(belief, event)]
    return []
