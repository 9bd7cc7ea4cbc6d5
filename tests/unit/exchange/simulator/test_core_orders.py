"""Orders as a client sees them: checks and codes, ids, lists, batches, reduce-only, hedge mode, frames."""

from decimal import Decimal
from typing import Any

import pytest

from avigrid.exchange.simulator.refusals import Refusal
from avigrid.kernel.orders import Side
from tests.support.simulated_venue import Floor

D = Decimal


@pytest.fixture
def floor() -> Floor:
    return Floor()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"side": "Long"}, 10001, "side invalid"),
        ({"orderType": "Stop"}, 10001, "orderType invalid"),
        ({"qty": "0.0015"}, 10001, "Qty invalid"),
        ({"qty": "0"}, 10001, "Qty invalid"),
        ({"qty": "-1"}, 10001, "Qty invalid"),
        ({"qty": "abc"}, 10001, "qty invalid"),
        ({"qty": None}, 10001, "qty is required"),
        ({"qty": ["1"]}, 10001, "qty invalid"),
        ({"qty": "NaN"}, 10001, "qty invalid"),
        ({"qty": "1e999"}, 10001, "qty invalid"),
        ({"qty": "2000"}, 10001, "exceeds maximum limit"),
        ({"price": "49000.05"}, 10001, "price invalid"),
        ({"price": "0"}, 10001, "price invalid"),
        ({"price": None}, 10001, "price is required"),
        ({"price": "9999999"}, 10001, "price invalid"),
        ({"symbol": "NOUSDT"}, 10001, "symbol invalid"),
        ({"symbol": None}, 10001, "symbol is required"),
        ({"category": None}, 10001, "category is required"),
        ({"category": "banana"}, 10001, "Illegal category"),
        ({"timeInForce": "DAY"}, 10001, "timeInForce invalid"),
        ({"positionIdx": 1}, 10001, "position idx not match position mode"),
        ({"orderLinkId": "x" * 37}, 10001, "orderLinkId invalid"),
        ({"orderLinkId": "a b"}, 10001, "orderLinkId invalid"),
        ({"reduceOnly": "maybe"}, 10001, "reduceOnly invalid"),
        ({"reduceOnly": True}, 110017, "current position is zero"),
        ({"takeProfit": "48000"}, 10001, "should be higher than base_price"),
        ({"stopLoss": "49500"}, 10001, "should be lower than base_price"),
        ({"tpslMode": "Full", "takeProfit": "51000", "tpOrderType": "Limit"}, 110057, "Partial"),
        ({"triggerPrice": "49000", "triggerDirection": 1}, 110092, "expect Rising"),
        ({"triggerPrice": "51000", "triggerDirection": 2}, 110093, "expect Falling"),
        ({"triggerPrice": "51000"}, 10001, "triggerDirection invalid"),
        ({"qty": "0.001", "price": "4900"}, 110094, "minimum order value 5USDT"),
    ],
)
def test_refusals_carry_bybits_code_and_change_nothing(
    floor: Floor, change: dict[str, Any], code: int, words: str
) -> None:
    params = floor.body(side="Buy", orderType="Limit", qty="0.01", price="49000") | change
    with pytest.raises(Refusal) as caught:
        floor.venue.create_order(params)
    assert caught.value.code == code
    assert words in caught.value.message
    assert floor.opens() == []
    assert floor.venue.drain_private() == []


def test_trigger_refusal_prints_prices_times_ten_thousand(floor: Floor) -> None:
    refusal = floor.refusal(
        "create_order", side="Buy", orderType="Market", qty="0.01", triggerPrice="49000.5", triggerDirection=1
    )
    assert refusal.message == "expect Rising, but trigger_price[490005000] <= current[500000000]??LastPrice"


def test_numbers_may_come_as_numbers(floor: Floor) -> None:
    params = floor.body(side="Buy", orderType="Limit", qty=0.01, price=49000, positionIdx="0", unknown={"x": 1})
    order = floor.order(floor.venue.create_order(params)["orderId"])
    assert (order["qty"], order["price"]) == ("0.01", "49000")


def test_a_price_outside_the_band_moves_to_it(floor: Floor) -> None:
    limits = floor.venue.price_limit(floor.body())
    assert limits["sellLmt"] == "47500"
    order = floor.order(floor.limit("Sell", "0.01", "40000", timeInForce="PostOnly"))
    assert order["price"] == "47500"


def test_or_is_refused_where_the_account_wants_that() -> None:
    floor = Floor(lpa_perp=True)
    refusal = floor.refusal("create_order", side="Sell", orderType="Limit", qty="0.01", price="40000")
    assert refusal.code == 110003


def test_order_link_ids_are_unique_for_ever(floor: Floor) -> None:
    first = floor.limit("Buy", "0.01", "49000", orderLinkId="grid-1")
    again = {"side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "49000", "orderLinkId": "grid-1"}
    assert floor.refusal("create_order", **again).code == 110072
    floor.venue.cancel_order(floor.body(orderLinkId="grid-1"))
    assert floor.refusal("create_order", **again).code == 110072
    assert floor.order(first)["orderStatus"] == "Cancelled"


def test_cancel_says_not_found_for_what_is_gone_or_elsewhere(floor: Floor) -> None:
    order_id = floor.limit("Buy", "0.01", "49000", orderLinkId="one")
    for params in ({"orderId": "nope"}, {"orderLinkId": "nope"}, {"orderId": order_id, "symbol": "SOLUSDT"}):
        assert floor.refusal("cancel_order", **params).code == 110001
    assert floor.refusal("cancel_order").code == 10001
    floor.venue.cancel_order(floor.body(orderId=order_id, orderLinkId="something else"))
    assert floor.refusal("cancel_order", orderId=order_id).message == "order not exists or too late to cancel"


def test_amend_refuses_what_cannot_be(floor: Floor) -> None:
    floor.book({"49990": "1"}, {"50010": "0.02"})
    order_id = floor.limit("Buy", "0.05", "50010")  # 0.02 filled
    assert floor.refusal("amend_order", orderId=order_id, qty="0.02").code == 110064
    assert floor.refusal("amend_order", orderId=order_id, qty="0.05", price="50010").code == 10001
    assert floor.refusal("amend_order", orderId=order_id, qty="5").code == 110007
    order = floor.order(order_id)
    assert (order["qty"], order["leavesQty"], order["orderStatus"]) == ("0.05", "0.03", "PartiallyFilled")
    floor.venue.amend_order(floor.body(orderId=order_id, qty="0.03"))
    assert floor.order(order_id)["leavesQty"] == "0.01"
    assert floor.refusal("amend_order", orderId="nope", qty="1").message == "order not exists or too late to replace"


def test_an_amendment_refused_for_margin_keeps_the_place_in_the_queue(floor: Floor) -> None:
    floor.book({"49000": "1"}, {"50010": "1"})
    first, second = floor.limit("Buy", "0.01", "49980"), floor.limit("Buy", "0.01", "49980")
    assert floor.refusal("amend_order", orderId=first, qty="9").code == 110007
    floor.trade("Sell", "49980", "0.01")
    assert (floor.status(first), floor.status(second)) == ("Filled", "New")


def test_at_most_five_hundred_active_orders(floor: Floor) -> None:
    tight = Floor(max_active_orders=3)
    for _ in range(3):
        tight.limit("Buy", "0.001", "49000")
    assert tight.refusal("create_order", side="Buy", orderType="Limit", qty="0.001", price="49000").code == 110020
    assert floor.venue.config.max_active_orders == 500


def test_at_most_ten_conditional_orders(floor: Floor) -> None:
    for _ in range(10):
        floor.stop("Buy", "0.01", "51000", 1)
    params = {"side": "Buy", "orderType": "Market", "qty": "0.01", "triggerPrice": "51000", "triggerDirection": 1}
    assert floor.refusal("create_order", **params).code == 110009


# -- lists ------------------------------------------------------------------------------------------------------
def pages(floor: Floor, call: str, **params: Any) -> list[list[dict[str, Any]]]:
    found, cursor = [], ""
    while True:
        answer = getattr(floor.venue, call)(floor.body(cursor=cursor, **params))
        found.append(answer["list"])
        cursor = answer["nextPageCursor"]
        if not cursor:
            return found
        assert "%3A" in cursor
        assert "%2C" in cursor


def test_lists_are_newest_first_and_page_to_the_end(floor: Floor) -> None:
    made = []
    for _ in range(5):
        made.append(floor.limit("Buy", "0.01", "49000"))
        floor.venue.advance(floor.tick())
    shown = pages(floor, "realtime_orders", limit="2")
    assert [len(page) for page in shown] == [2, 2, 1]
    assert [row["orderId"] for page in shown for row in page] == made[::-1]
    floor.venue.cancel_all(floor.body())
    assert pages(floor, "realtime_orders") == [[]]
    history = pages(floor, "order_history", limit="3")
    assert [row["orderId"] for page in history for row in page] == made[::-1]


def test_a_cursor_survives_being_escaped_again_or_not_at_all(floor: Floor) -> None:
    for _ in range(3):
        floor.limit("Buy", "0.01", "49000")
    cursor = floor.venue.realtime_orders(floor.body(limit="2"))["nextPageCursor"]
    expected = floor.venue.realtime_orders(floor.body(limit="2", cursor=cursor))["list"]
    for form in (cursor.replace("%", "%25"), cursor.replace("%3A", ":").replace("%2C", ",")):
        assert floor.venue.realtime_orders(floor.body(limit="2", cursor=form))["list"] == expected
    assert floor.refusal("realtime_orders", cursor="nonsense").code == 10001


def test_closed_orders_leave_realtime_with_a_restart_and_stay_in_history(floor: Floor) -> None:
    order_id = floor.market("Buy", "0.01")
    assert floor.venue.realtime_orders(floor.body(openOnly="1"))["list"][0]["orderId"] == order_id
    floor.venue.restart()
    assert floor.venue.realtime_orders(floor.body(openOnly="1"))["list"] == []
    assert floor.venue.realtime_orders(floor.body(orderId=order_id))["list"] == []
    assert floor.venue.order_history(floor.body(orderId=order_id))["list"][0]["orderStatus"] == "Filled"


def test_history_forgets_unfilled_orders_after_a_day(floor: Floor) -> None:
    floor.market("Buy", "0.01")
    floor.venue.cancel_order(floor.body(orderId=floor.limit("Buy", "0.01", "49000")))
    assert len(floor.venue.order_history(floor.body())["list"]) == 2
    floor.venue.advance(floor.venue.now_ms + 25 * 3_600_000)
    assert [row["orderStatus"] for row in floor.venue.order_history(floor.body())["list"]] == ["Filled"]


def test_windows_of_time(floor: Floor) -> None:
    floor.market("Buy", "0.01")
    filled_ms = int(floor.executions()[0]["execTime"])
    floor.venue.advance(filled_ms + 8 * 86_400_000)
    assert [row for row in floor.executions() if row["execType"] == "Trade"] == []
    only_start = floor.venue.execution_list(floor.body(startTime=filled_ms, execType="Trade"))["list"]
    assert len(only_start) == 1
    span = {"startTime": str(filled_ms), "endTime": str(filled_ms + 7 * 86_400_000 + 1)}
    assert floor.refusal("execution_list", **span).code == 10001
    assert floor.refusal("order_history", orderStatus="New").code == 181017


def test_lists_of_other_categories_are_empty_not_refused(floor: Floor) -> None:
    floor.limit("Buy", "0.01", "49000")
    for category in ("spot", "inverse", "option"):
        params = {"category": category}
        assert floor.venue.realtime_orders(params)["list"] == []
        assert floor.venue.instruments_info(params)["list"] == []
        assert floor.venue.position_list(params)["list"] == []
        assert floor.venue.tickers(params)["list"] == []
    assert len(floor.venue.realtime_orders({"category": "linear", "settleCoin": "USDT"})["list"]) == 1
    assert floor.venue.realtime_orders({"category": "linear", "settleCoin": "USDC"})["list"] == []


def test_filters_of_realtime(floor: Floor) -> None:
    plain, stop = floor.limit("Buy", "0.01", "49000"), floor.stop("Buy", "0.01", "51000", 1)
    for wanted, expected in (("Order", [plain]), ("StopOrder", [stop]), ("", [stop, plain])):
        rows = floor.venue.realtime_orders(floor.body(orderFilter=wanted))["list"]
        assert [row["orderId"] for row in rows] == expected


# -- batches ------------------------------------------------------------------------------------------------------
def test_a_batch_succeeds_in_part(floor: Floor) -> None:
    good = {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.01", "price": "49000"}
    items = [good | {"orderLinkId": "a"}, good | {"qty": "0", "orderLinkId": "b"}, good | {"orderLinkId": "a"}, "x"]
    result, notes = floor.venue.create_batch({"category": "linear", "request": items})
    assert [note["code"] for note in notes["list"]] == [0, 10001, 110072, 10001]
    assert [bool(row["orderId"]) for row in result["list"]] == [True, False, False, False]
    assert result["list"][0]["createAt"] == floor.opens()[0]["createdTime"]
    assert result["list"][1]["createAt"] == ""
    changed, notes = floor.venue.amend_batch(
        {"category": "linear", "request": [{"symbol": "BTCUSDT", "orderLinkId": "a", "qty": "0.02"}]}
    )
    assert (notes["list"], floor.opens()[0]["qty"]) == ([{"code": 0, "msg": "OK"}], "0.02")
    assert "createAt" not in changed["list"][0]
    gone, notes = floor.venue.cancel_batch(
        {"category": "linear", "request": [{"symbol": "BTCUSDT", "orderLinkId": name} for name in ("a", "z")]}
    )
    assert [note["code"] for note in notes["list"]] == [0, 110001]
    assert gone["list"][1]["orderId"] == ""
    assert floor.opens() == []


@pytest.mark.parametrize("request_value", [None, [], "x", [{}] * 21])
def test_a_batch_that_is_none_is_refused_whole(floor: Floor, request_value: object) -> None:
    with pytest.raises(Refusal) as caught:
        floor.venue.create_batch({"category": "linear", "request": request_value})
    assert caught.value.code == 10001


def test_cancel_all_by_filter(floor: Floor) -> None:
    plain, stop = floor.limit("Buy", "0.01", "49000"), floor.stop("Buy", "0.01", "51000", 1)
    answer = floor.venue.cancel_all({"category": "linear", "settleCoin": "USDT", "orderFilter": "StopOrder"})
    assert ([row["orderId"] for row in answer["list"]], answer["success"]) == ([stop], "1")
    assert floor.status(stop) == "Deactivated"
    assert [row["orderId"] for row in floor.venue.cancel_all(floor.body())["list"]] == [plain]
    assert floor.refusal("cancel_all", symbol=None).code == 10001


def test_pre_check_places_nothing(floor: Floor) -> None:
    answer = floor.venue.pre_check(floor.body(side="Buy", orderType="Limit", qty="0.1", price="50000"))
    # 505.225 of 10 000
    assert (answer["preImrE4"], answer["postImrE4"]) == (0, 505)
    assert floor.opens() == []


# -- reduce-only ----------------------------------------------------------------------------------------------------
def test_reduce_only_never_turns_a_position(floor: Floor) -> None:
    floor.market("Buy", "0.05")
    assert (
        floor.refusal("create_order", side="Buy", orderType="Market", qty="0.01", reduceOnly=True).message
        == "reduce-only order has same side with current position"
    )
    order = floor.order(floor.market("Sell", "0.08", reduceOnly=True))
    assert (order["orderStatus"], order["cumExecQty"]) == ("Filled", "0.05")
    assert floor.position()["size"] == "0"


def test_zero_quantity_with_both_flags_closes_everything(floor: Floor) -> None:
    floor.market("Buy", "0.05")
    floor.market("Sell", "0", reduceOnly=True, closeOnTrigger=True)
    assert floor.position()["size"] == "0"
    params = {"side": "Sell", "orderType": "Market", "qty": "0", "reduceOnly": True, "closeOnTrigger": True}
    assert floor.refusal("create_order", **params).code == 110017


def test_resting_reduce_only_orders_shrink_with_the_position_farthest_first(floor: Floor) -> None:
    floor.market("Buy", "0.1")
    near, far = (floor.limit("Sell", "0.05", price, reduceOnly=True) for price in ("51000", "52000"))
    floor.market("Sell", "0.03")
    assert (floor.order(near)["qty"], floor.order(far)["qty"]) == ("0.05", "0.02")
    floor.market("Sell", "0.02")
    assert floor.order(near)["orderStatus"] == "New"
    assert (floor.order(far)["orderStatus"], floor.order(far)["cancelType"]) == ("Cancelled", "CancelByReduceOnly")
    floor.market("Sell", "0.05")
    assert floor.order(near)["cancelType"] == "CancelByReduceOnly"


def test_a_plain_order_turns_the_position_and_its_closed_size_says_how_far(floor: Floor) -> None:
    floor.market("Buy", "0.05")
    floor.market("Sell", "0.08")
    assert floor.signed_size() == D("-0.03")
    last = floor.executions()[-1]
    assert (last["execQty"], last["closedSize"]) == ("0.08", "0.05")
    # the rest opened at the fill price, 49 999.9
    assert floor.position()["avgPrice"] == "49999.9"
    assert floor.position()["positionValue"] == "1499.997"


# -- modes ----------------------------------------------------------------------------------------------------------
def test_hedge_mode_keeps_two_positions() -> None:
    floor = Floor(hedge=True)
    floor.market("Buy", "0.05", positionIdx=1)
    floor.market("Sell", "0.03", positionIdx=2)
    assert (floor.signed_size(1), floor.signed_size(2)) == (D("0.05"), D("-0.03"))
    floor.market("Sell", "0.08", positionIdx=1)
    assert (floor.signed_size(1), floor.signed_size(2)) == (D(0), D("-0.03"))
    params = {"side": "Sell", "orderType": "Market", "qty": "0.01"}
    assert floor.refusal("create_order", positionIdx=1, **params).code == 110017
    assert floor.refusal("create_order", **params).code == 10001


def test_switching_the_mode(floor: Floor) -> None:
    order_id = floor.limit("Buy", "0.01", "49000")
    assert floor.refusal("switch_mode", mode=3).code == 110028
    floor.venue.cancel_order(floor.body(orderId=order_id))
    floor.market("Buy", "0.01")
    assert floor.refusal("switch_mode", mode=3).code == 110024
    floor.market("Sell", "0.01")
    floor.venue.switch_mode(floor.body(mode=3))
    assert len(floor.venue.position_list(floor.body())["list"]) == 2
    assert floor.refusal("switch_mode", mode=3).code == 110025
    floor.venue.switch_mode({"category": "linear", "coin": "USDT", "mode": 0})
    assert len(floor.venue.position_list(floor.body())["list"]) == 1


# -- frames ---------------------------------------------------------------------------------------------------------
def test_a_fill_is_told_as_order_execution_position_wallet(floor: Floor) -> None:
    floor.market("Buy", "0.01")
    events = floor.venue.drain_private()
    assert [event.topic for event in events] == ["order", "execution", "position", "wallet"]
    assert events[0].seq == events[1].seq == events[1].rows[0]["seq"]
    assert floor.venue.drain_private() == []


def test_every_order_event_pushes_a_position_frame_and_marks_do_not(floor: Floor) -> None:
    order_id = floor.limit("Buy", "0.01", "49000")
    assert [event.topic for event in floor.venue.drain_private()][:2] == ["order", "position"]
    floor.venue.cancel_order(floor.body(orderId=order_id))
    assert [event.topic for event in floor.venue.drain_private()][:2] == ["order", "position"]
    floor.market("Buy", "0.01")
    floor.venue.drain_private()
    floor.mark("50100")
    assert floor.venue.drain_private() == []


def test_somebody_elses_order_and_position_appear(floor: Floor) -> None:
    params = floor.body(side="Buy", orderType="Limit", qty="0.01", price="49000")
    floor.venue.foreign_order(params)
    floor.venue.foreign_position("BTCUSDT", Side.SELL, D("0.02"))
    assert floor.signed_size() == D("-0.02")
    assert floor.opens()[0]["orderLinkId"] == ""
    assert floor.position()["avgPrice"] == "50000"
    assert floor.venue.state()["counters"]["foreign_positions"] == 1
