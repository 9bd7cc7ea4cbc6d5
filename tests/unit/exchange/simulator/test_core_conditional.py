"""Orders that wait: triggers, position TP/SL in both modes, trailing stops, and what becomes of them when flat."""

from decimal import Decimal
from typing import Any

import pytest

from tests.support.simulated_venue import Floor

D = Decimal


@pytest.fixture
def floor() -> Floor:
    return Floor()


def statuses(floor: Floor, order_id: str) -> list[str]:
    """As the private stream told them."""
    return [
        row["orderStatus"]
        for event in floor.venue.drain_private()
        if event.topic == "order"
        for row in event.rows
        if row["orderId"] == order_id
    ]


def children(floor: Floor) -> dict[str, dict[str, Any]]:
    return {row["stopOrderType"]: row for row in floor.opens() if row["orderStatus"] == "Untriggered"}


# -- plain conditional orders --------------------------------------------------------------------------------
def test_a_stop_sleeps_wakes_and_fills_under_one_id(floor: Floor) -> None:
    order_id = floor.stop("Buy", "0.01", "50100", 1, orderLinkId="s1")
    assert floor.wallet()["totalInitialMargin"] == "0"
    order = floor.order(order_id)
    assert (order["orderStatus"], order["stopOrderType"], order["triggerBy"]) == ("Untriggered", "Stop", "LastPrice")
    floor.mark("50200")
    assert floor.status(order_id) == "Untriggered"
    floor.quote("50100")
    floor.trade("Buy", "50100.1", "0.001")
    assert floor.status(order_id) == "Filled"
    assert statuses(floor, order_id) == ["Untriggered", "Triggered", "Filled"]
    assert floor.position()["size"] == "0.01"


@pytest.mark.parametrize(("by", "moves"), [("MarkPrice", ("mark", "50100")), ("LastPrice", ("trade", "50100"))])
def test_each_stop_watches_its_own_price(floor: Floor, by: str, moves: tuple[str, str]) -> None:
    order_id = floor.stop("Buy", "0.01", "50100", 1, triggerBy=by)
    if moves[0] == "trade":
        floor.mark("50500")
        floor.mark("50000")
        assert floor.status(order_id) == "Untriggered"
        floor.trade("Buy", moves[1], "0.001")
    else:
        floor.trade("Buy", "50500", "0.001")
        assert floor.status(order_id) == "Untriggered"
        floor.mark(moves[1])
    assert floor.status(order_id) == "Filled"


def test_index_triggers(floor: Floor) -> None:
    order_id = floor.stop("Sell", "0.01", "49900", 2, triggerBy="IndexPrice")
    floor.mark("49000", index="49901")
    assert floor.status(order_id) == "Untriggered"
    floor.mark("50000", index="49900")
    assert floor.status(order_id) == "Filled"


def test_a_spike_inside_one_event_triggers(floor: Floor) -> None:
    """Last price touches the trigger and comes back before anybody looks."""
    order_id = floor.stop("Sell", "0.01", "49990", 2)
    floor.book({"49999": "0.001", "49989": "10"}, {"50001": "10"})
    floor.market("Sell", "0.002")
    assert floor.status(order_id) == "Filled"


def test_a_conditional_limit_rests_when_it_wakes(floor: Floor) -> None:
    order_id = floor.limit("Buy", "0.01", "49950", triggerPrice="49960", triggerDirection=2)
    floor.trade("Sell", "49960", "0.001")
    order = floor.order(order_id)
    assert (order["orderStatus"], order["price"]) == ("New", "49950")
    assert floor.venue.realtime_orders(floor.body(orderFilter="Order"))["list"][0]["orderId"] == order_id


def test_without_margin_a_stop_is_cancelled_when_it_wakes() -> None:
    floor = Floor(balance_usdt=D(100))
    order_id = floor.stop("Buy", "0.1", "50100", 1)
    floor.trade("Buy", "50100", "0.001")
    assert floor.status(order_id) == "Cancelled"
    assert floor.position()["size"] == "0"


def test_a_reduce_only_stop_without_a_position_goes(floor: Floor) -> None:
    order_id = floor.stop("Sell", "0.01", "49900", 2, reduceOnly=True)
    floor.trade("Sell", "49900", "0.001")
    order = floor.order(order_id)
    assert (order["orderStatus"], order["cancelType"]) == ("Cancelled", "CancelByReduceOnly")


def test_amending_a_trigger(floor: Floor) -> None:
    order_id = floor.stop("Buy", "0.01", "50100", 1)
    assert floor.refusal("amend_order", orderId=order_id, triggerPrice="49900").code == 110092
    floor.venue.amend_order(floor.body(orderId=order_id, triggerPrice="50300", qty="0.02"))
    order = floor.order(order_id)
    assert (order["triggerPrice"], order["qty"], order["leavesQty"]) == ("50300", "0.02", "0.02")


# -- full mode -----------------------------------------------------------------------------------------------
def test_stops_on_an_order_come_to_stand_on_the_position(floor: Floor) -> None:
    floor.market("Buy", "0.01", takeProfit="51000", stopLoss="49000", slTriggerBy="MarkPrice", orderLinkId="entry")
    row = floor.position()
    assert (row["takeProfit"], row["stopLoss"]) == ("51000", "49000")
    kids = children(floor)
    assert set(kids) == {"TakeProfit", "StopLoss"}
    stop = kids["StopLoss"]
    assert (stop["side"], stop["qty"], stop["triggerPrice"], stop["triggerBy"], stop["triggerDirection"]) == (
        "Sell",
        "0.01",
        "49000",
        "MarkPrice",
        2,
    )
    assert (stop["reduceOnly"], stop["closeOnTrigger"], stop["createType"], stop["orderType"]) == (
        True,
        True,
        "CreateByStopLoss",
        "Market",
    )
    assert kids["TakeProfit"]["triggerDirection"] == 1
    assert stop["parentOrderLinkId"] == "entry"


def test_the_stop_closes_the_position_and_takes_the_other_leg_along(floor: Floor) -> None:
    floor.market("Buy", "0.01", takeProfit="51000", stopLoss="49000")
    kids = children(floor)
    floor.move("48990")
    assert floor.position()["size"] == "0"
    assert floor.order(kids["StopLoss"]["orderId"])["orderStatus"] == "Filled"
    gone = floor.order(kids["TakeProfit"]["orderId"])
    assert (gone["orderStatus"], gone["cancelType"]) == ("Deactivated", "CancelByTpSlTsClear")
    assert floor.opens() == []
    closed = floor.venue.closed_pnl(floor.body())["list"][0]
    assert (closed["side"], closed["closedSize"]) == ("Sell", "0.01")


def test_a_short_is_guarded_the_other_way_round(floor: Floor) -> None:
    floor.market("Sell", "0.01")
    assert floor.refusal("trading_stop", positionIdx=0, stopLoss="49000").code == 10001
    floor.venue.trading_stop(floor.body(positionIdx=0, tpslMode="Full", stopLoss="51000"))
    floor.move("51000")
    assert floor.position()["size"] == "0"


def test_guards_grow_and_shrink_with_the_position(floor: Floor) -> None:
    floor.market("Buy", "0.02", stopLoss="49000")
    floor.market("Buy", "0.03")
    assert children(floor)["StopLoss"]["qty"] == "0.05"
    floor.market("Sell", "0.04")
    assert children(floor)["StopLoss"]["qty"] == "0.01"


def test_closing_by_hand_clears_the_guards(floor: Floor) -> None:
    floor.market("Buy", "0.01", stopLoss="49000")
    child = children(floor)["StopLoss"]["orderId"]
    floor.market("Sell", "0.01", reduceOnly=True)
    assert floor.order(child)["cancelType"] == "CancelByTpSlTsClear"
    assert floor.position()["stopLoss"] == ""


def test_trading_stop_sets_moves_and_removes(floor: Floor) -> None:
    assert floor.refusal("trading_stop", positionIdx=0, stopLoss="49000").message.startswith("can not set tp/sl/ts")
    floor.market("Buy", "0.01")
    floor.venue.trading_stop(floor.body(positionIdx=0, tpslMode="Full", stopLoss="49000", slTriggerBy="MarkPrice"))
    same = {"positionIdx": 0, "tpslMode": "Full", "stopLoss": "49000", "slTriggerBy": "MarkPrice"}
    assert floor.refusal("trading_stop", **same).code == 34040
    first = children(floor)["StopLoss"]["orderId"]
    floor.venue.trading_stop(floor.body(positionIdx=0, stopLoss="49500", slTriggerBy="MarkPrice"))
    assert (children(floor)["StopLoss"]["orderId"], floor.position()["stopLoss"]) == (first, "49500")
    floor.venue.trading_stop(floor.body(positionIdx=0, stopLoss="0"))
    assert (children(floor), floor.position()["stopLoss"]) == ({}, "")
    assert floor.refusal("trading_stop", positionIdx=0, stopLoss="0").code == 34040
    assert floor.refusal("trading_stop", positionIdx=0, stopLoss="50500").code == 10001
    assert floor.refusal("trading_stop", positionIdx=1, stopLoss="49000").code == 10001


def test_cancelling_the_child_order_removes_the_stop(floor: Floor) -> None:
    floor.market("Buy", "0.01", stopLoss="49000")
    floor.venue.cancel_order(floor.body(orderId=children(floor)["StopLoss"]["orderId"]))
    assert floor.position()["stopLoss"] == ""


def test_a_flip_leaves_no_guard_of_the_old_side(floor: Floor) -> None:
    floor.market("Buy", "0.01", stopLoss="49000")
    floor.market("Sell", "0.03")
    assert floor.signed_size() == D("-0.02")
    assert children(floor) == {}


# -- partial mode --------------------------------------------------------------------------------------------
def test_partial_legs_have_their_own_size_and_one_cancels_the_other(floor: Floor) -> None:
    floor.market("Buy", "0.03")
    for profit, stop in (("51000", "49000"), ("51500", "48500")):
        floor.venue.trading_stop(
            floor.body(
                positionIdx=0, tpslMode="Partial", takeProfit=profit, stopLoss=stop, tpSize="0.01", slSize="0.01"
            )
        )
    rows = [row for row in floor.opens() if row["stopOrderType"].startswith("Partial")]
    assert [(row["qty"], row["triggerPrice"]) for row in rows] == [
        ("0.01", "48500"),
        ("0.01", "51500"),
        ("0.01", "49000"),
        ("0.01", "51000"),
    ]
    floor.move("51000")
    assert floor.position()["size"] == "0.02"
    left = [row["triggerPrice"] for row in floor.opens()]
    assert left == ["48500", "51500"]
    floor.market("Sell", "0.02", reduceOnly=True)
    assert floor.opens() == []


def test_a_partial_take_profit_may_be_a_limit(floor: Floor) -> None:
    floor.market("Buy", "0.02")
    floor.venue.trading_stop(
        floor.body(
            positionIdx=0,
            tpslMode="Partial",
            takeProfit="50500",
            tpSize="0.01",
            tpLimitPrice="50600",
            tpOrderType="Limit",
        )
    )
    child = children(floor)["PartialTakeProfit"]
    assert (child["orderType"], child["price"]) == ("Limit", "50600")
    floor.trade("Buy", "50500", "0.001")
    assert floor.status(child["orderId"]) == "New"
    floor.trade("Buy", "50600", "1")
    assert floor.position()["size"] == "0.01"


def test_partial_stops_on_an_order_grow_with_its_fills(floor: Floor) -> None:
    floor.book({"49990": "1"}, {"50010": "0.01"})
    floor.limit("Buy", "0.03", "50010", stopLoss="49000", tpslMode="Partial", orderLinkId="entry")
    assert children(floor)["PartialStopLoss"]["qty"] == "0.01"
    floor.trade("Sell", "50010", "0.02")
    child = children(floor)["PartialStopLoss"]
    assert (child["qty"], child["parentOrderLinkId"]) == ("0.03", "entry")


def test_at_most_twenty_partial_orders(floor: Floor) -> None:
    floor.market("Buy", "0.1")
    for n in range(20):
        floor.venue.trading_stop(floor.body(positionIdx=0, tpslMode="Partial", stopLoss=str(49000 - n), slSize="0.001"))
    refusal = floor.refusal("trading_stop", positionIdx=0, tpslMode="Partial", stopLoss="48000", slSize="0.001")
    assert refusal.code == 110061


# -- trailing ------------------------------------------------------------------------------------------------
def test_a_trailing_stop_follows_and_does_not_turn_back(floor: Floor) -> None:
    floor.market("Buy", "0.01")
    floor.venue.trading_stop(floor.body(positionIdx=0, tpslMode="Full", trailingStop="100"))
    assert floor.position()["trailingStop"] == "100"
    floor.quote("50300")
    floor.trade("Buy", "50300", "0.001")
    assert children(floor)["TrailingStop"]["triggerPrice"] == "50200"
    floor.quote("50250")
    floor.trade("Sell", "50250", "0.001")
    assert children(floor)["TrailingStop"]["triggerPrice"] == "50200"
    floor.quote("50200")
    floor.trade("Sell", "50200", "0.001")
    assert floor.position()["size"] == "0"
    assert floor.position()["trailingStop"] == "0"


def test_a_trailing_stop_sleeps_until_its_active_price(floor: Floor) -> None:
    floor.market("Buy", "0.01")
    floor.venue.trading_stop(floor.body(positionIdx=0, tpslMode="Full", trailingStop="100", activePrice="50500"))
    floor.trade("Buy", "50400", "0.001")
    floor.trade("Sell", "50000", "0.001")
    assert children(floor)["TrailingStop"]["triggerPrice"] == ""
    floor.trade("Buy", "50500", "0.001")
    assert children(floor)["TrailingStop"]["triggerPrice"] == "50400"
