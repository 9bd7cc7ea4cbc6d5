"""Private answers: positions, executions of an order, wallet, key, dead-man's cancel, amended protection, tiers."""

from decimal import Decimal

import pytest

from avigrid.exchange.simulator.feed import BookTarget, MarkTick
from avigrid.exchange.simulator.refusals import Refusal
from avigrid.exchange.simulator.venue import Venue, VenueConfig
from tests.support.simulated_venue import BTC, SOL, START_MS, Floor

D = Decimal
LINEAR = {"category": "linear"}


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_positions_by_settle_coin_show_only_what_is_open(floor: Floor) -> None:
    assert floor.venue.position_list(LINEAR | {"settleCoin": "USDT"})["list"] == []
    floor.market("Buy", "0.01")
    rows = floor.venue.position_list(LINEAR | {"settleCoin": "USDT"})["list"]
    assert [(row["symbol"], row["size"]) for row in rows] == [("BTCUSDT", "0.01")]
    assert floor.venue.position_list(LINEAR | {"settleCoin": "USDC"})["list"] == []
    with pytest.raises(Refusal):
        floor.venue.position_list(LINEAR)


def test_a_flat_symbol_has_a_row_all_the_same(floor: Floor) -> None:
    row = floor.position()
    assert (row["side"], row["size"], row["avgPrice"], row["positionIM"], row["seq"]) == ("", "0", "0", "", -1)


def test_executions_of_one_order_by_either_id_ignore_the_window(floor: Floor) -> None:
    floor.book({"49990": "1"}, {"50010": "0.01", "50020": "1"})
    order_id = floor.market("Buy", "0.02", orderLinkId="mine")
    floor.market("Buy", "0.01")
    floor.venue.advance(START_MS + 30 * 86_400_000)
    for name, value in (("orderId", order_id), ("orderLinkId", "mine")):
        rows = floor.venue.execution_list(LINEAR | {name: value})["list"]
        assert [row["execPrice"] for row in rows] == ["50020", "50010"]
        assert [row["leavesQty"] for row in rows] == ["0", "0.01"]
    assert floor.venue.execution_list(LINEAR | {"orderLinkId": "nobody"})["list"] == []


def test_lists_by_base_coin(floor: Floor) -> None:
    floor.limit("Buy", "0.01", "49000")
    assert len(floor.venue.realtime_orders(LINEAR | {"baseCoin": "BTC"})["list"]) == 1
    assert floor.venue.realtime_orders(LINEAR | {"baseCoin": "SOL"})["list"] == []
    assert floor.venue.cancel_all(LINEAR | {"baseCoin": "SOL"})["list"] == []
    assert len(floor.venue.cancel_all(LINEAR | {"baseCoin": "BTC"})["list"]) == 1
    with pytest.raises(Refusal):
        floor.venue.realtime_orders(LINEAR | {"symbol": "NOPE"})


def test_leverage_and_mode_without_a_position(floor: Floor) -> None:
    floor.venue.set_leverage(floor.body(buyLeverage="12.5", sellLeverage="12.5"))
    row = floor.venue.symbol_info(floor.body())["list"][0]
    assert (row["buyLeverage"], row["sellLeverage"], row["positionMode"]) == ("12.5", "12.5", 0)
    for bad in (("0.5", "0.5"), ("10.001", "10.001"), ("10", "20"), ("x", "x"), ("10", "")):
        assert floor.refusal("set_leverage", buyLeverage=bad[0], sellLeverage=bad[1]).code == 10001
    assert floor.position()["leverage"] == "12.5"


def test_less_leverage_needs_free_margin() -> None:
    floor = Floor(balance_usdt=D(600))
    floor.market("Buy", "0.1")
    assert floor.refusal("set_leverage", buyLeverage="5", sellLeverage="5").code == 110044
    assert floor.position()["leverage"] == "10"
    floor.venue.set_leverage(floor.body(buyLeverage="20", sellLeverage="20"))
    # 250 and the fee to close 5 000.01 x 0.95 x 0.00055
    assert floor.position()["positionIM"] == "252.61250522"


def test_the_wallet_of_another_coin_or_kind(floor: Floor) -> None:
    assert floor.venue.wallet_balance({"accountType": "UNIFIED", "coin": "BTC"})["list"][0]["coin"] == []
    both = floor.venue.wallet_balance({"accountType": "UNIFIED", "coin": "BTC,USDT"})["list"][0]["coin"]
    assert [row["coin"] for row in both] == ["USDT"]
    for kind in ("", "SPOT"):
        with pytest.raises(Refusal):
            floor.venue.wallet_balance({"accountType": kind})


def test_account_totals_are_in_dollars_and_coins_in_coins() -> None:
    wallet = Floor(usdt_index=D("1.001")).wallet()
    assert (wallet["totalEquity"], wallet["totalAvailableBalance"]) == ("10010", "10010")
    assert (wallet["coin"][0]["walletBalance"], wallet["coin"][0]["usdValue"]) == ("10000", "10010")


def test_the_key_may_trade_and_not_withdraw(floor: Floor) -> None:
    key = floor.venue.query_api({})
    assert (key["readOnly"], key["permissions"]["ContractTrade"]) == (0, ["Order", "Position"])
    assert "Withdraw" not in key["permissions"]["Wallet"]
    assert [row["coin"] for row in floor.venue.coin_info({"coin": "USDT"})["rows"]] == ["USDT"]


def test_disconnected_cancel_takes_every_open_order(floor: Floor) -> None:
    assert floor.refusal("set_dcp", timeWindow=2).code == 10001
    floor.venue.set_dcp({"timeWindow": 30})
    assert floor.venue.query_dcp({})["dcpInfos"][0]["timeWindow"] == "30"
    resting, waiting = floor.limit("Buy", "0.01", "49000"), floor.stop("Buy", "0.01", "51000", 1)
    assert floor.venue.fire_dcp() == 2
    shown = [(floor.order(each)["orderStatus"], floor.order(each)["cancelType"]) for each in (resting, waiting)]
    assert shown == [("Cancelled", "CancelByDCP"), ("Deactivated", "CancelByDCP")]


def test_amending_a_child_order_moves_the_stop_of_the_position(floor: Floor) -> None:
    floor.market("Buy", "0.01", stopLoss="49000", takeProfit="51000")
    kids = {row["stopOrderType"]: row["orderId"] for row in floor.opens()}
    floor.venue.amend_order(floor.body(orderId=kids["StopLoss"], triggerPrice="49500", qty="0.5"))
    floor.venue.amend_order(floor.body(orderId=kids["TakeProfit"], triggerPrice="52000"))
    assert (floor.position()["stopLoss"], floor.position()["takeProfit"]) == ("49500", "52000")
    assert floor.order(kids["StopLoss"])["qty"] == "0.01"


def test_amending_what_rides_on_an_order(floor: Floor) -> None:
    order_id = floor.limit("Buy", "0.01", "49000", stopLoss="48000")
    floor.venue.amend_order(floor.body(orderId=order_id, stopLoss="0", takeProfit="51000"))
    order = floor.order(order_id)
    assert (order["stopLoss"], order["takeProfit"], order["tpslMode"]) == ("", "51000", "Full")
    floor.move("48990")
    assert (floor.position()["stopLoss"], floor.position()["takeProfit"]) == ("", "51000")


def test_a_batch_does_not_amend_conditional_orders(floor: Floor) -> None:
    order_id = floor.stop("Buy", "0.01", "51000", 1)
    item = {"symbol": "BTCUSDT", "orderId": order_id, "triggerPrice": "52000"}
    _, notes = floor.venue.amend_batch(LINEAR | {"request": [item]})
    assert notes["list"][0]["code"] == 10001
    assert floor.order(order_id)["triggerPrice"] == "51000"


def test_tiers_as_the_table_shows_them(floor: Floor) -> None:
    rows = floor.venue.risk_limit(LINEAR | {"symbol": "BTCUSDT"})["list"]
    assert [row["riskLimitValue"] for row in rows] == ["2000000", "2600000", "3200000"]
    assert [row["initialMargin"] for row in rows] == ["0.01", "0.0111", "0.0125"]
    assert [row["mmDeduction"] for row in rows] == ["", "1200", "3020"]
    assert [row["isLowestRisk"] for row in rows] == [1, 0, 0]
    assert {row["symbol"] for row in floor.venue.risk_limit(LINEAR)["list"]} == {"BTCUSDT", "SOLUSDT"}


def test_nothing_can_be_ordered_before_there_is_a_price() -> None:
    venue = Venue([BTC, SOL], config=VenueConfig(), start_ms=START_MS, seed=1)
    body = LINEAR | {"symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01"}
    with pytest.raises(Refusal) as caught:
        venue.create_order(body)
    assert caught.value.code == 110118
    venue.apply(BookTarget("BTCUSDT", START_MS, ((D(49990), D(1)),), ((D(50010), D(1)),)))
    assert venue.ticker("BTCUSDT")["markPrice"] == "50000.00"
    venue.create_order(body)


def test_a_crossed_source_is_cut_and_time_never_runs_back(floor: Floor) -> None:
    floor.book({"50030": "1", "50005": "1", "49990": "1"}, {"50010": "1"})
    book = floor.venue.orderbook(floor.body())
    assert (book["b"][0][0], book["a"][0][0]) == ("50005.00", "50010.00")
    now = floor.venue.now_ms
    floor.venue.apply(MarkTick("BTCUSDT", now - 5_000, D(50100), D(50100), D(0)))
    floor.venue.advance(now - 60_000)
    assert floor.venue.now_ms == now
    assert floor.venue.ticker("BTCUSDT")["markPrice"] == "50100.00"


def test_state_tells_everything(floor: Floor) -> None:
    floor.market("Buy", "0.01", stopLoss="49000")
    floor.limit("Sell", "0.01", "51000")
    state = floor.venue.state()
    assert state["clock"] == floor.venue.now_ms
    assert [len(state["orders"]["open"]), len(state["orders"]["closed"]), len(state["executions"])] == [2, 1, 1]
    assert [row["size"] for row in state["positions"]] == ["0.01"]
    assert state["wallet"]["coin"][0]["coin"] == "USDT"
    assert state["counters"]["orders_created"] == 2
