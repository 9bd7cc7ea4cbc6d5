"""What each difference between books and venue is called, and what a missing answer means."""

from dataclasses import replace
from decimal import Decimal

from avigrid.kernel.orders import Execution, OrderStatus, OrderType, Side, VenueOrder
from avigrid.kernel.portfolio import VenuePosition
from trading.engine.differences import (
    BookedOrder,
    BookedPosition,
    Books,
    Kind,
    Level,
    VenuePicture,
    exit_differences,
    missed_fills,
    order_differences,
    position_differences,
)

D = Decimal
NOTHING = VenuePicture(None, None, None)


def venue_order(link: str = "av-1-e0-0-0", **changes: object) -> VenueOrder:
    row = VenueOrder(
        order_id="v1",
        order_link_id=link,
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        status="New",
        quantity=D(2),
        price=D(100),
        filled_qty=D(0),
        avg_price=None,
        time_in_force="GTC",
        reduce_only=False,
        position_idx=1,
        created_ms=1,
        updated_ms=1,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def booked(link: str = "av-1-e0-0-0", **changes: object) -> BookedOrder:
    order = BookedOrder(
        order_link_id=link,
        venue_order_id="v1",
        symbol="BTCUSDT",
        position_idx=1,
        status=OrderStatus.OPEN,
        quantity=D(2),
        filled_qty=D(0),
        reduce_only=False,
        sent_age_ms=60_000,
        plan_is_open=True,
    )
    return replace(order, **changes)  # type: ignore[arg-type]


def position(size: str = "2", **changes: object) -> VenuePosition:
    row = VenuePosition(
        symbol="BTCUSDT",
        position_idx=1,
        side=Side.BUY,
        size=D(size),
        avg_price=D(100),
        mark_price=D(100),
        liq_price=None,
        stop_loss=D(90),
        take_profit=None,
        unrealised_pnl_usd=D(0),
        realised_pnl_usd=D(0),
        leverage=None,
        created_ms=1_000,
        updated_ms=1_000,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def books(
    *,
    live: list[BookedOrder] | None = None,
    done: list[BookedOrder] | None = None,
    size: str | None = None,
    **held: object,
) -> Books:
    positions = []
    if size is not None:
        row = BookedPosition("BTCUSDT", 1, D(size), plan_id=7, stop_price=D(90), fill_count=1)
        positions.append(replace(row, **held))  # type: ignore[arg-type]
    return Books(
        installation="av",
        live_orders=live or [],
        done_orders={order.order_link_id: order for order in done or []},
        positions=positions,
        known_executions=frozenset({"x1/v1"}),
    )


def kinds(found: list) -> list[Kind]:  # type: ignore[type-arg]
    return [row.kind for row in found]


def test_missing_answers_prove_nothing() -> None:
    ours = books(live=[booked()], size="2")
    assert missed_fills(ours, NOTHING) == []
    assert order_differences(ours, NOTHING, grace_ms=0) == []
    assert position_differences(ours, NOTHING) == []
    assert exit_differences(ours, NOTHING) == []


def test_only_unknown_executions_are_missed() -> None:
    row = Execution("x1", "v1", "av-1-e0-0-0", "BTCUSDT", Side.BUY, D(100), D(1), D(0), False, 5)
    found = missed_fills(books(), VenuePicture(None, None, [row, replace(row, exec_id="x2")]))
    assert [(item.kind, item.subject, item.level) for item in found] == [(Kind.FILL_MISSED, "x2/v1", Level.INFO)]


def test_an_order_that_is_gone_needs_an_answer_about_itself() -> None:
    ours = books(live=[booked()])
    assert order_differences(ours, VenuePicture([], None, None), grace_ms=0) == []
    lost = order_differences(ours, VenuePicture([], None, None, {"av-1-e0-0-0": None}), grace_ms=0)
    assert kinds(lost) == [Kind.ORDER_LOST]
    done = venue_order(status="Cancelled", filled_qty=D(1))
    found = order_differences(ours, VenuePicture([], None, None, {"av-1-e0-0-0": done}), grace_ms=0)
    assert kinds(found) == [Kind.ORDER_DONE]
    assert found[0].numbers["venue_filled"] == "1"


def test_orders_on_their_way_are_left_alone() -> None:
    looked = VenuePicture([], None, None, {"av-1-e0-0-0": None})
    assert order_differences(books(live=[booked(sent_age_ms=2_999)]), looked, grace_ms=3_000) == []
    assert order_differences(books(live=[booked(status=OrderStatus.INTENT)]), looked, grace_ms=0) == []


def test_a_live_order_we_thought_done_is_revived_and_a_strangers_is_foreign() -> None:
    listed = [venue_order(), venue_order("", order_id="v9"), venue_order("av-9-e0-0-0")]
    ours = books(done=[booked(status=OrderStatus.CANCELLED, plan_is_open=False)])
    found = order_differences(ours, VenuePicture(listed, None, None, {"av-1-e0-0-0": venue_order()}), grace_ms=0)
    assert [(row.kind, row.subject) for row in found] == [
        (Kind.ORDER_REVIVED, "av-1-e0-0-0"),
        (Kind.ORDER_FOREIGN, "v9"),
        (Kind.ORDER_FOREIGN, "av-9-e0-0-0"),
    ]
    assert found[2].numbers["has_our_prefix"] == 1


def test_a_list_that_is_older_than_the_order_revives_nothing() -> None:
    listed = [venue_order(updated_ms=5)]
    ended = booked(status=OrderStatus.FILLED, venue_updated_ms=5)
    asked = {"av-1-e0-0-0": venue_order(updated_ms=5)}
    assert kinds(order_differences(books(done=[ended]), VenuePicture(listed, None, None, asked), grace_ms=0)) == [
        Kind.ORDER_REVIVED
    ]
    newer = replace(ended, venue_updated_ms=6)
    assert order_differences(books(done=[newer]), VenuePicture(listed, None, None, asked), grace_ms=0) == []
    for answers in ({}, {"av-1-e0-0-0": None}, {"av-1-e0-0-0": venue_order(status="Filled")}):
        assert order_differences(books(done=[ended]), VenuePicture(listed, None, None, answers), grace_ms=0) == []


def test_the_venues_own_stop_is_nobodys_order() -> None:
    stop = venue_order("", order_id="s1", stop_order_type="StopLoss", reduce_only=True)
    picture = VenuePicture([stop], [position()], None)
    assert order_differences(books(), picture, grace_ms=0) == []
    assert exit_differences(books(), picture) == []


def test_equal_and_protected_is_no_difference() -> None:
    assert position_differences(books(size="2"), VenuePicture(None, [position()], None)) == []


def test_sizes_that_differ_are_critical_both_ways() -> None:
    for ours, theirs in ((books(size="3"), [position()]), (books(size="2"), []), (books(), [position()])):
        found = position_differences(ours, VenuePicture(None, theirs, None))
        assert kinds(found) == [Kind.POSITION_MISMATCH]
        assert found[0].level is Level.CRITICAL


def test_older_than_the_history_is_adoptable_only_where_nothing_was_booked() -> None:
    picture = VenuePicture(None, [position()], None, history_start_ms=5_000)
    assert kinds(position_differences(books(), picture)) == [Kind.POSITION_OLD]
    assert kinds(position_differences(books(size="1"), picture)) == [Kind.POSITION_MISMATCH]
    at_work = replace(books(), busy=frozenset({("BTCUSDT", 1)}))
    assert kinds(position_differences(at_work, picture)) == [Kind.POSITION_MISMATCH]
    young = VenuePicture(None, [position(created_ms=5_000)], None, history_start_ms=5_000)
    assert kinds(position_differences(books(), young)) == [Kind.POSITION_MISMATCH]


def test_a_position_without_plan_is_foreign_and_one_without_stop_is_told() -> None:
    foreign = position_differences(books(size="2", plan_id=None), VenuePicture(None, [position()], None))
    assert kinds(foreign) == [Kind.POSITION_FOREIGN]
    bare = position_differences(books(size="2"), VenuePicture(None, [position(stop_loss=None)], None))
    assert kinds(bare) == [Kind.STOP_MISSING]


def test_exits_beyond_the_position_are_told() -> None:
    exits = [
        venue_order("a", side=Side.SELL, reduce_only=True, quantity=D("1.5")),
        venue_order("b", side=Side.SELL, reduce_only=True, quantity=D("1.5"), filled_qty=D("0.9")),
    ]
    assert kinds(exit_differences(books(), VenuePicture(exits, [position()], None))) == [Kind.EXITS_EXCEED]
    smaller = [exits[0], replace(exits[1], filled_qty=D(1))]
    assert exit_differences(books(), VenuePicture(smaller, [position()], None)) == []
