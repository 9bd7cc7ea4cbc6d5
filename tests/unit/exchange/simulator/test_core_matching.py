"""How fills are decided: price, time, the queue of others, moving outside liquidity, times in force."""

from decimal import Decimal

import pytest

from tests.support.simulated_venue import Floor

D = Decimal
BIDS = {"49990": "5", "49980": "5"}
ASKS = {"50010": "2", "50020": "3"}


@pytest.fixture
def floor() -> Floor:
    floor = Floor(balance_usdt=D(1_000_000))
    floor.book(BIDS, ASKS)
    return floor


def test_a_market_order_walks_the_book_level_by_level(floor: Floor) -> None:
    order_id = floor.market("Buy", "0.004")
    assert floor.order(order_id)["avgPrice"] == "50010"
    floor.book(BIDS, {"50010": "0.001", "50020": "3"})
    order = floor.order(floor.market("Buy", "0.004"))
    assert (order["orderStatus"], order["cumExecQty"]) == ("Filled", "0.004")
    assert order["avgPrice"] == "50017.5"
    assert [row["execPrice"] for row in floor.executions()] == ["50010", "50010", "50020"]
    assert all(row["isMaker"] is False and row["feeRate"] == "0.00055" for row in floor.executions())


def test_a_taker_takes_the_size_it_took_out_of_the_book(floor: Floor) -> None:
    floor.market("Buy", "0.5")
    assert floor.venue.orderbook(floor.body())["a"][0] == ["50010.00", "1.500"]


def test_a_market_order_stops_at_its_band_and_the_rest_is_cancelled(floor: Floor) -> None:
    floor.book(BIDS, {"50010": "0.002", "52600": "3"})  # 5 % above the mark ends at 52 500
    order = floor.order(floor.market("Buy", "0.01"))
    assert (order["orderStatus"], order["cumExecQty"], order["price"]) == ("Cancelled", "0.002", "52500")
    assert order["rejectReason"] == "EC_NoImmediateQtyToFill"
    assert floor.position()["size"] == "0.002"


def test_a_resting_order_stands_behind_the_outside_size_at_its_price(floor: Floor) -> None:
    order_id = floor.limit("Buy", "0.1", "49990")
    floor.trade("Sell", "49990", "4.9")
    assert floor.order(order_id)["cumExecQty"] == "0"
    floor.trade("Sell", "49990", "0.15")
    assert floor.order(order_id)["cumExecQty"] == "0.05"
    assert floor.status(order_id) == "PartiallyFilled"
    floor.trade("Sell", "49990", "1")
    assert floor.status(order_id) == "Filled"
    assert [(row["execQty"], row["isMaker"], row["feeRate"]) for row in floor.executions()] == [
        ("0.05", True, "0.0002"),
        ("0.05", True, "0.0002"),
    ]


def test_others_who_leave_shorten_the_queue_in_proportion(floor: Floor) -> None:
    order_id = floor.limit("Buy", "0.1", "49990")
    floor.book({"49990": "2.5"}, ASKS)  # half of the five before us left
    floor.trade("Sell", "49990", "2.4")
    assert floor.order(order_id)["cumExecQty"] == "0"
    floor.trade("Sell", "49990", "0.2")
    assert floor.order(order_id)["cumExecQty"] == "0.1"


def test_others_who_come_later_stand_behind(floor: Floor) -> None:
    order_id = floor.limit("Buy", "0.1", "49990")
    floor.book({"49990": "50"}, ASKS)
    floor.trade("Sell", "49990", "5.1")
    assert floor.status(order_id) == "Filled"


def test_a_trade_through_our_price_fills_us_at_our_price(floor: Floor) -> None:
    order_id = floor.limit("Buy", "0.1", "49990")
    floor.trade("Sell", "49970", "1")
    order = floor.order(order_id)
    assert (order["orderStatus"], order["avgPrice"]) == ("Filled", "49990")


def test_better_price_goes_first_then_the_earlier_order(floor: Floor) -> None:
    floor.book({"49000": "5"}, ASKS)
    first, second, best = (floor.limit("Buy", "0.1", price) for price in ("49980", "49980", "49985"))
    floor.trade("Sell", "49980", "0.25")
    filled = [floor.order(order_id)["cumExecQty"] for order_id in (best, first, second)]
    assert filled == ["0.1", "0.1", "0.05"]


def test_outside_liquidity_that_reaches_our_order_trades_with_it(floor: Floor) -> None:
    order_id = floor.limit("Sell", "0.1", "50005")
    floor.book({"50006": "0.04", "49990": "1"}, {"50030": "1"})
    order = floor.order(order_id)
    assert (order["cumExecQty"], order["avgPrice"]) == ("0.04", "50005")
    book = floor.venue.orderbook(floor.body())
    assert (book["b"][0], book["a"][0]) == (["49990.00", "1.000"], ["50005.00", "0.060"])
    floor.book({"50100": "9"}, {"50110": "1"})
    assert floor.status(order_id) == "Filled"
    assert {row["S"] for row in floor.venue.drain_trades()} == {"Buy"}


def test_our_size_is_part_of_the_public_book(floor: Floor) -> None:
    floor.limit("Buy", "0.1", "49990")
    floor.limit("Buy", "0.2", "49985")
    assert floor.venue.orderbook(floor.body(limit="2"))["b"] == [["49990.00", "5.100"], ["49985.00", "0.200"]]


def test_post_only_that_would_take_is_acknowledged_and_cancelled(floor: Floor) -> None:
    order = floor.order(floor.limit("Buy", "0.1", "50010", timeInForce="PostOnly"))
    assert (order["orderStatus"], order["rejectReason"], order["cancelType"]) == (
        "Cancelled",
        "EC_PostOnlyWillTakeLiquidity",
        "UNKNOWN",
    )
    assert floor.status(floor.limit("Buy", "0.1", "50009.9", timeInForce="PostOnly")) == "New"


def test_immediate_or_cancel_takes_what_there_is(floor: Floor) -> None:
    order = floor.order(floor.limit("Buy", "3", "50010", timeInForce="IOC"))
    assert (order["orderStatus"], order["cumExecQty"]) == ("Cancelled", "2")
    order = floor.order(floor.limit("Buy", "0.1", "50000", timeInForce="IOC"))
    assert (order["orderStatus"], order["rejectReason"]) == ("Cancelled", "EC_NoImmediateQtyToFill")


def test_fill_or_kill_is_all_or_nothing(floor: Floor) -> None:
    order = floor.order(floor.limit("Buy", "5.001", "50020", timeInForce="FOK"))
    assert (order["orderStatus"], order["rejectReason"]) == ("Cancelled", "EC_CancelForNoFullFill")
    assert floor.executions() == []
    assert floor.status(floor.limit("Buy", "5", "50020", timeInForce="FOK")) == "Filled"


def test_a_limit_that_crosses_takes_and_the_rest_rests(floor: Floor) -> None:
    order = floor.order(floor.limit("Buy", "2.5", "50010"))
    assert (order["orderStatus"], order["cumExecQty"], order["leavesQty"]) == ("PartiallyFilled", "2", "0.5")
    assert floor.venue.orderbook(floor.body())["b"][0] == ["50010.00", "0.500"]


@pytest.mark.parametrize(
    ("smp", "taker", "maker"),
    [
        ("None", "Filled", "Filled"),
        ("CancelMaker", "New", "Cancelled"),
        ("CancelTaker", "Cancelled", "New"),
        ("CancelBoth", "Cancelled", "Cancelled"),
    ],
)
def test_self_match_prevention_is_the_takers_choice(floor: Floor, smp: str, taker: str, maker: str) -> None:
    resting = floor.limit("Sell", "0.1", "50000")
    taking = floor.limit("Buy", "0.1", "50000", smpType=smp)
    assert (floor.status(taking), floor.status(resting)) == (taker, maker)


def test_amending_price_or_more_quantity_loses_the_place_less_keeps_it(floor: Floor) -> None:
    floor.book({"49000": "5"}, ASKS)
    first, second = floor.limit("Buy", "0.2", "49980"), floor.limit("Buy", "0.2", "49980")
    floor.venue.amend_order(floor.body(orderId=first, qty="0.1"))
    floor.trade("Sell", "49980", "0.05")
    assert floor.order(first)["cumExecQty"] == "0.05"
    floor.venue.amend_order(floor.body(orderId=first, qty="0.3"))
    floor.trade("Sell", "49980", "0.05")
    assert (floor.order(first)["cumExecQty"], floor.order(second)["cumExecQty"]) == ("0.05", "0.05")
    floor.venue.amend_order(floor.body(orderId=second, price="49970"))
    floor.trade("Sell", "49980", "0.05")
    assert floor.order(first)["cumExecQty"] == "0.1"


def test_an_amended_price_may_trade_at_once(floor: Floor) -> None:
    order_id = floor.limit("Buy", "0.1", "49980")
    floor.venue.amend_order(floor.body(orderId=order_id, price="50010"))
    assert floor.order(order_id)["avgPrice"] == "50010"


def test_prints_move_last_price_tick_direction_and_bars(floor: Floor) -> None:
    floor.venue.drain_trades()
    for price in ("50010", "50010", "49990"):
        floor.trade("Buy", price, "0.1")
    directions = [row["L"] for row in floor.venue.drain_trades()]
    assert directions == ["PlusTick", "ZeroPlusTick", "MinusTick"]
    assert floor.venue.ticker("BTCUSDT")["lastPrice"] == "49990.00"
    bar = floor.venue.kline(floor.body(interval="1"))["list"][0]
    assert bar[1:] == ["50010", "50010", "49990", "49990", "0.3", "15001"]


def test_two_accounts_trade_with_each_other(floor: Floor) -> None:
    floor.limit("Sell", "0.1", "50000", account="other")
    floor.market("Buy", "0.1")
    assert floor.position()["avgPrice"] == "50000"
    theirs = floor.venue.position_list(floor.body(), "other")["list"][0]
    assert (theirs["side"], theirs["size"]) == ("Sell", "0.1")
    assert floor.venue.drain_private("other")[-1].topic == "wallet"
