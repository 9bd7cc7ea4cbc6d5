"""Any interleaving of acknowledgements, frames, executions, repeats and losses ends where the venue is."""

from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from avigrid.kernel.orders import OrderStatus, OrderType, Side, VenueOrder
from trading.engine.belief import OrderBelief, Step, apply, book_fill, hear_venue
from trading.engine.lifecycle import OrderEventKind, Outcome

QUANTITY = 10


@dataclass(frozen=True, slots=True)
class Message:
    kind: str  # ack, timeout, frame, execution
    row: VenueOrder | None = None
    exec_id: str = ""
    quantity: int = 0


def _row(status: str, filled: int, updated_ms: int) -> VenueOrder:
    return VenueOrder(
        order_id="v",
        order_link_id="t-1-e0-0-0",
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        status=status,
        quantity=Decimal(QUANTITY),
        price=Decimal(1),
        filled_qty=Decimal(filled),
        avg_price=None,
        time_in_force="GTC",
        reduce_only=False,
        position_idx=0,
        created_ms=1,
        updated_ms=updated_ms,
    )


@st.composite
def venue_stories(draw: st.DrawFn) -> tuple[list[Message], int, str]:
    """What really happened at the venue: messages in true order, filled quantity and last word."""
    fills = draw(st.lists(st.integers(1, 4), max_size=4))
    messages = [Message("frame", _row("New", 0, 1))]
    filled = 0
    for number, wanted in enumerate(fills):
        quantity = min(wanted, QUANTITY - filled)
        if quantity == 0:
            break
        filled += quantity
        word = "Filled" if filled == QUANTITY else "PartiallyFilled"
        messages += [
            Message("execution", exec_id=f"x{number}", quantity=quantity),
            Message("frame", _row(word, filled, 2 + number)),
        ]
    last = "Filled" if filled == QUANTITY else draw(st.sampled_from(["PartiallyFilled", "Cancelled"]))
    if last == "Cancelled":
        messages.append(Message("frame", _row("Cancelled", filled, 20)))
    elif filled == 0:
        last = "New"
    return messages, filled, last


class Books:
    """A hand-made keeper: execution ids once, belief steps recorded."""

    def __init__(self) -> None:
        self.belief = OrderBelief(OrderStatus.SUBMITTING, Decimal(QUANTITY))
        self.seen: set[str] = set()
        self.steps: list[Step] = []

    def take(self, message: Message, *, is_query: bool = False) -> None:
        if message.kind == "execution":
            if message.exec_id in self.seen:
                return
            self.seen.add(message.exec_id)
            steps = book_fill(self.belief, Decimal(message.quantity))
        elif message.kind == "frame":
            assert message.row is not None
            steps = hear_venue(self.belief, message.row, is_query=is_query)
        else:
            steps = [apply(self.belief, OrderEventKind(message.kind))]
        self.steps += steps
        self.belief = steps[-1].belief


@settings(max_examples=200, deadline=None)
@given(
    story=venue_stories(),
    answer=st.sampled_from(["ack", "uncertain"]),
    choose=st.data(),
)
def test_books_equal_venue_at_the_end_and_exposure_is_never_too_small(
    story: tuple[list[Message], int, str], answer: str, choose: st.DataObject
) -> None:
    messages, venue_filled, last_word = story
    stream = [Message(answer), *messages]
    kept = [message for message in stream if choose.draw(st.booleans(), label="kept")]
    repeated = kept + [message for message in kept if choose.draw(st.booleans(), label="repeated")]
    delivered = choose.draw(st.permutations(repeated), label="order of arrival")
    books = Books()
    for message in delivered:
        books.take(message)
        assert books.belief.filled_qty + books.belief.reserved_qty >= venue_filled
    # Evidence at last: what order/realtime, order/history and execution/list would answer.
    last_row = [message for message in messages if message.kind == "frame"][-1]
    for _ in range(2):
        books.take(last_row, is_query=True)
        for message in messages:
            if message.kind == "execution":
                books.take(message)
    assert books.belief.filled_qty == venue_filled
    expected = {
        "New": OrderStatus.OPEN,
        "PartiallyFilled": OrderStatus.PARTIALLY_FILLED,
        "Filled": OrderStatus.FILLED,
        "Cancelled": OrderStatus.CANCELLED,
    }[last_word]
    assert books.belief.status is expected
    assert [step for step in books.steps if step.transition.outcome is Outcome.IMPOSSIBLE] == []


@settings(max_examples=200, deadline=None)
@given(
    status=st.sampled_from(list(OrderStatus)),
    events=st.lists(st.sampled_from(list(OrderEventKind)), max_size=30),
)
def test_random_events_never_raise_and_never_resend(status: OrderStatus, events: list[OrderEventKind]) -> None:
    belief = OrderBelief(status, Decimal(QUANTITY))
    sends = 0
    proven_unsent = 1
    for event in events:
        step = apply(belief, event)
        if event is OrderEventKind.SEND and step.transition.outcome is Outcome.MOVED:
            sends += 1
        if event is OrderEventKind.NOT_SENT and step.transition.outcome is Outcome.MOVED:
            proven_unsent += 1
        belief = replace(step.belief)
        assert sends <= proven_unsent
