"""pybit, as it is installed, against the simulated exchange: it must not notice the difference."""

from decimal import Decimal

import pytest
from pybit.exceptions import InvalidRequestError
from pybit.unified_trading import HTTP

from tests.support.simulator_server import Running, eventually

LINEAR = {"category": "linear"}


def _far_below(session: HTTP, symbol: str) -> str:
    """Three per cent under the market: rests for as long as a test lasts."""
    best = Decimal(session.get_orderbook(**LINEAR, symbol=symbol)["result"]["b"][0][0])
    return str(int(best * Decimal("0.97")))


def test_market_calls_answer(simulator: Running) -> None:
    session = simulator.http()
    assert session.get_server_time()["retCode"] == 0
    bars = session.get_kline(**LINEAR, symbol="BTCUSDT", interval="15", limit=60)["result"]["list"]
    assert len(bars) == 60
    assert [int(row[0]) for row in bars] == sorted((int(row[0]) for row in bars), reverse=True)
    five = session.get_kline(**LINEAR, symbol="SOLUSDT", interval="5", limit=300)["result"]["list"]
    assert len(five) == 300
    rows = session.get_instruments_info(**LINEAR)["result"]["list"]
    assert {row["symbol"] for row in rows} == {"BTCUSDT", "SOLUSDT"}
    book = session.get_orderbook(**LINEAR, symbol="BTCUSDT", limit=50)["result"]
    assert len(book["b"]) == 50
    assert Decimal(book["b"][0][0]) < Decimal(book["a"][0][0])
    assert len(session.get_tickers(**LINEAR)["result"]["list"]) == 2
    assert session.get_risk_limit(**LINEAR, symbol="BTCUSDT")["result"]["list"]
    assert session.get_funding_rate_history(**LINEAR, symbol="BTCUSDT")["retCode"] == 0
    assert session.get_open_interest(**LINEAR, symbol="BTCUSDT", intervalTime="5min")["retCode"] == 0
    assert session.get_public_trade_history(**LINEAR, symbol="BTCUSDT")["retCode"] == 0


def test_other_categories_list_nothing(simulator: Running) -> None:
    for category in ("spot", "inverse", "option"):
        answer = simulator.http().get_instruments_info(category=category)
        assert answer["result"]["list"] == []


def test_account_calls_answer(simulator: Running) -> None:
    session = simulator.http()
    wallet = session.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]
    assert wallet["totalWalletBalance"] == "10000"
    assert session.get_account_info()["result"]["marginMode"] == "REGULAR_MARGIN"
    fees = session.get_fee_rates(**LINEAR, symbol="BTCUSDT")["result"]["list"][0]
    assert (fees["takerFeeRate"], fees["makerFeeRate"]) == ("0.00055", "0.0002")
    assert session.get_api_key_information()["result"]["readOnly"] == 0
    assert session.get_transaction_log()["result"]["list"] == []
    assert session.get_positions(**LINEAR, symbol="BTCUSDT")["result"]["list"][0]["size"] == "0"
    assert session.get_coin_info()["retCode"] == 0


def test_an_order_lives_and_dies(simulator: Running) -> None:
    session = simulator.http()
    price = _far_below(session, "BTCUSDT")
    made = session.place_order(
        **LINEAR, symbol="BTCUSDT", side="Buy", orderType="Limit", qty="0.010", price=price, orderLinkId="a-1"
    )["result"]
    rows = session.get_open_orders(**LINEAR, symbol="BTCUSDT")["result"]["list"]
    assert [(row["orderId"], row["orderStatus"]) for row in rows] == [(made["orderId"], "New")]
    session.amend_order(**LINEAR, symbol="BTCUSDT", orderLinkId="a-1", qty="0.020")
    assert session.get_open_orders(**LINEAR, symbol="BTCUSDT")["result"]["list"][0]["qty"] == "0.02"
    session.cancel_order(**LINEAR, symbol="BTCUSDT", orderLinkId="a-1")
    done = session.get_order_history(**LINEAR, orderLinkId="a-1")["result"]["list"]
    assert [row["orderStatus"] for row in done] == ["Cancelled"]
    with pytest.raises(InvalidRequestError) as refused:
        session.cancel_order(**LINEAR, symbol="BTCUSDT", orderLinkId="a-1")
    assert refused.value.status_code == 110001


def test_a_batch_succeeds_in_part(simulator: Running) -> None:
    session = simulator.http()
    price = _far_below(session, "SOLUSDT")
    good = {"symbol": "SOLUSDT", "side": "Buy", "orderType": "Limit", "qty": "1", "price": price}
    answer = session.place_batch_order(**LINEAR, request=[good, good | {"qty": "0.05"}])
    assert answer["retCode"] == 0
    first, second = answer["result"]["list"]
    assert first["orderId"]
    assert second["orderId"] == ""
    assert [row["code"] for row in answer["retExtInfo"]["list"]][0] == 0
    assert [row["code"] for row in answer["retExtInfo"]["list"]][1] != 0


def test_a_taker_fill_is_told_on_every_private_topic(simulator: Running) -> None:
    frames: dict[str, list[dict]] = {"order": [], "execution": [], "position": [], "wallet": [], "fast": []}
    socket = simulator.private()
    socket.order_stream(frames["order"].append)
    socket.execution_stream(frames["execution"].append)
    socket.position_stream(frames["position"].append)
    socket.wallet_stream(frames["wallet"].append)
    socket.fast_execution_stream(frames["fast"].append)
    eventually(lambda: simulator.sim("GET", "/sim/state")["sockets"][0]["topics"].__len__() == 5)
    simulator.http().place_order(**LINEAR, symbol="BTCUSDT", side="Buy", orderType="Market", qty="0.010")
    eventually(lambda: all(frames.values()))
    filled = eventually(lambda: [f for f in frames["order"] if f["data"][0]["orderStatus"] == "Filled"])[0]["data"][0]
    assert filled["cumExecQty"] == "0.01"
    executed = [row for frame in frames["execution"] for row in frame["data"]]
    assert sum(Decimal(row["execQty"]) for row in executed) == Decimal("0.010")
    assert frames["order"][0]["id"].startswith("100000001_BTCUSDT_")
    assert "id" not in frames["fast"][0]
    assert set(frames["fast"][0]["data"][0]) == {
        "category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "orderLinkId", "side", "execTime",
        "seq",
    }  # fmt: skip
    socket.exit()


def test_public_streams_reach_pybit(simulator: Running) -> None:
    got: dict[str, list[dict]] = {"book": [], "trade": [], "ticker": [], "kline": [], "best": []}
    socket = simulator.socket("linear")
    socket.orderbook_stream(50, "BTCUSDT", got["book"].append)
    socket.orderbook_stream(1, "BTCUSDT", got["best"].append)
    socket.trade_stream("BTCUSDT", got["trade"].append)
    socket.ticker_stream("BTCUSDT", got["ticker"].append)
    socket.kline_stream(1, "BTCUSDT", got["kline"].append)
    eventually(lambda: all(got.values()) and len(got["book"]) > 3, timeout_s=15)
    last = got["book"][-1]["data"]
    assert len(last["b"]) == 50
    assert max(Decimal(p) for p, _ in last["b"]) < min(Decimal(p) for p, _ in last["a"])
    assert got["kline"][0]["data"][0]["interval"] == "1"
    socket.exit()


def test_the_trade_socket_places_and_cancels(simulator: Running) -> None:
    answers: list[dict] = []
    trading = simulator.trading()
    price = _far_below(simulator.http(), "BTCUSDT")
    trading.place_order(
        answers.append,
        **LINEAR,
        symbol="BTCUSDT",
        side="Buy",
        orderType="Limit",
        qty="0.010",
        price=price,
        orderLinkId="t-1",
    )
    eventually(lambda: answers)
    assert answers[0]["retCode"] == 0
    assert answers[0]["data"]["orderLinkId"] == "t-1"
    assert "X-Bapi-Limit" in answers[0]["header"]
    trading.cancel_order(answers.append, **LINEAR, symbol="BTCUSDT", orderLinkId="t-1")
    eventually(lambda: len(answers) == 2)
    assert answers[1]["retCode"] == 0
    trading.exit()


def test_a_wrong_secret_is_refused(simulator: Running) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        simulator.http(secret="wrong").get_wallet_balance(accountType="UNIFIED")
    assert refused.value.status_code == 10004
