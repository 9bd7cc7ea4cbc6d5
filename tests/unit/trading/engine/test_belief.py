"""Evidence in the orders that hurt: fills before the acknowledgement, words before their executions, late frames."""

from dataclasses import replace
from decimal import Decimal

from avigrid.kernel.orders import OrderStatus, OrderType, Side, VenueOrder
from trading.engine.belief import OrderBelief, apply, book_fill, hear_venue
from trading.engine.lifecycle import OrderEventKind, Outcome

D = Decimal


def venue(status: str, filled: str, updated_ms: int) -> VenueOrder:
    return VenueOrder(
        order_id="v1",
        order_link_id="t-1-e0-0-0",
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        status=status,
        quantity=D(10),
        price=D(100),
        filled_qty=D(filled),
        avg_price=None,
        time_in_force="GTC",
        reduce_only=False,
        position_idx=0,
        created_ms=1,
        updated_ms=updated_ms,
    )


def submitting() -> OrderBelief:
    return OrderBelief(OrderStatus.SUBMITTING, D(10))


def test_filled_word_without_executions_changes_nothing_but_asks_for_them() -> None:
    steps = hear_venue(submitting(), venue("Filled", "10", 5), is_query=False)
    assert [step.event for step in steps] == [OrderEventKind.FILLS_MISSING]
    assert steps[-1].belief.status is OrderStatus.SUBMITTING
    assert steps[-1].belief.reserved_qty == D(10)
    after = book_fill(steps[-1].belief, D(10))[-1].belief
    assert after.status is OrderStatus.FILLED
    assert after.reserved_qty == 0


def test_second_filled_message_is_nothing_new() -> None:
    filled = book_fill(submitting(), D(10))[-1].belief
    first = hear_venue(filled, venue("Filled", "10", 5), is_query=False)
    second = hear_venue(first[-1].belief, venue("Filled", "10", 6), is_query=False)
    assert {step.transition.outcome for step in first + second} == {Outcome.SAME}


def test_cancel_that_claims_an_unbooked_fill_keeps_the_order_reserved() -> None:
    belief = hear_venue(submitting(), venue("Cancelled", "4", 5), is_query=False)[-1].belief
    assert belief.status is OrderStatus.SUBMITTING
    assert belief.reserved_qty == D(10)
    belief = book_fill(belief, D(4))[-1].belief
    assert belief.status is OrderStatus.CANCELLED
    assert belief.filled_qty == D(4)


def test_late_new_frame_does_not_revive_a_cancelled_order() -> None:
    cancelled = hear_venue(submitting(), venue("Cancelled", "0", 5), is_query=False)[-1].belief
    for updated_ms in (4, 5):
        for is_query in (False, True):
            steps = hear_venue(cancelled, venue("New", "0", updated_ms), is_query=is_query)
            assert steps[-1].belief.status is OrderStatus.CANCELLED
            assert steps[-1].transition.outcome is Outcome.SAME


def test_query_that_shows_a_given_up_order_alive_adopts_it_with_alarm() -> None:
    expired = OrderBelief(OrderStatus.EXPIRED, D(10))
    step = hear_venue(expired, venue("New", "0", 5), is_query=True)[-1]
    assert step.belief.status is OrderStatus.OPEN
    assert step.transition.outcome is Outcome.SURPRISE
    assert step.belief.reserved_qty == D(10)


def test_adopted_order_with_fills_is_partially_filled() -> None:
    belief = OrderBelief(OrderStatus.UNKNOWN, D(10), filled_qty=D(3))
    assert apply(belief, OrderEventKind.ADOPT).belief.status is OrderStatus.PARTIALLY_FILLED


def test_unknown_word_has_no_effect() -> None:
    steps = hear_venue(submitting(), venue("SomethingNew", "0", 5), is_query=False)
    assert steps[-1].belief.status is OrderStatus.SUBMITTING
    assert steps[-1].transition.outcome is Outcome.SAME


def test_venue_rejection_of_an_acknowledged_order() -> None:
    opened = apply(submitting(), OrderEventKind.ACK).belief
    assert hear_venue(opened, venue("Rejected", "0", 5), is_query=False)[-1].belief.status is OrderStatus.REJECTED


# -- amended by somebody at the venue ---------------------------------------------------------------------------------


def amended(status: str, filled: str, updated_ms: int, *, quantity: str, price: str = "100") -> VenueOrder:
    return replace(venue(status, filled, updated_ms), quantity=D(quantity), price=D(price))


def opened() -> OrderBelief:
    return hear_venue(replace(submitting(), price=D(100)), venue("New", "0", 5), is_query=False)[-1].belief


def test_a_lowered_quantity_counts_and_ends_the_order() -> None:
    steps = hear_venue(opened(), amended("New", "0", 6, quantity="4"), is_query=False)
    assert steps[0].event is OrderEventKind.AMENDED
    assert (steps[-1].belief.quantity, steps[-1].belief.reserved_qty) == (D(4), D(4))
    assert book_fill(steps[-1].belief, D(4))[-1].belief.status is OrderStatus.FILLED


def test_a_lowered_quantity_first_heard_of_when_all_is_filled() -> None:
    filled = book_fill(opened(), D(4))[-1].belief
    assert filled.status is OrderStatus.PARTIALLY_FILLED
    after = hear_venue(filled, amended("Filled", "4", 7, quantity="4"), is_query=False)[-1].belief
    assert (after.status, after.reserved_qty) == (OrderStatus.FILLED, D(0))


def test_a_raised_quantity_is_reserved_also_where_the_order_counted_as_filled() -> None:
    filled = book_fill(opened(), D(10))[-1].belief
    assert filled.status is OrderStatus.FILLED
    after = hear_venue(filled, amended("PartiallyFilled", "10", 7, quantity="15"), is_query=False)[-1].belief
    assert (after.status, after.reserved_qty) == (OrderStatus.PARTIALLY_FILLED, D(5))
    assert book_fill(after, D(5))[-1].belief.status is OrderStatus.FILLED


def test_a_price_is_taken_over_and_old_frames_change_nothing() -> None:
    after = hear_venue(opened(), amended("New", "0", 6, quantity="10", price="98"), is_query=False)[-1].belief
    assert after.price == D(98)
    late = hear_venue(after, venue("New", "0", 5), is_query=False)
    assert [step.event for step in late] == [OrderEventKind.VENUE_OPEN]
    assert late[-1].belief.price == D(98)


def test_a_market_order_keeps_having_no_price() -> None:
    """The venue shows the price it is protected with."""
    steps = hear_venue(submitting(), amended("New", "0", 5, quantity="10", price="95"), is_query=False)
    assert [step.event for step in steps] == [OrderEventKind.VENUE_OPEN]
    assert steps[-1].belief.price is None
