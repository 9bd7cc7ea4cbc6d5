"""Every fault, and what a client sees of it."""

from decimal import Decimal
from pathlib import Path

import pytest

from avigrid.exchange.simulator.faults import FAULTS, BadFault, FaultBoard
from avigrid.exchange.simulator.inprocess import LocalExchange, LocalSocket, NoAnswer
from tests.support.local_exchange import BTC, limit_buy, local_exchange, market

CREATE, CANCEL = "/v5/order/create", "/v5/order/cancel"
REALTIME, HISTORY = "/v5/order/realtime", "/v5/order/history"


@pytest.fixture
def venue() -> LocalExchange:
    return local_exchange()


def struck(venue: LocalExchange) -> dict[str, int]:
    return venue.exchange.house.faults.struck


def open_ids(venue: LocalExchange) -> list[str]:
    return [row["orderLinkId"] for row in venue.get(REALTIME, **BTC)["result"]["list"]]


# -- requests -------------------------------------------------------------------------------------------------


def test_latency_delays_the_answer_but_not_the_order(venue: LocalExchange) -> None:
    venue.exchange.add_fault("latency", params={"ms": 800}, count=1, match={"path": CREATE})
    before_ms = venue.now_ms
    answer = venue.post(CREATE, **limit_buy("a"))
    assert (answer["retCode"], venue.now_ms - before_ms) == (0, 800)
    assert answer["time"] == before_ms
    venue.post(CREATE, **limit_buy("b"))
    assert venue.now_ms - before_ms == 800


def test_random_latency_stays_within_its_bounds(venue: LocalExchange) -> None:
    venue.exchange.add_fault("latency", params={"min_ms": 100, "max_ms": 300}, match={"path": "/v5/order/*"})
    waits = []
    for number in range(8):
        before_ms = venue.now_ms
        venue.post(CREATE, **limit_buy(f"o{number}"))
        waits.append(venue.now_ms - before_ms)
    assert all(100 <= wait <= 300 for wait in waits)
    assert len(set(waits)) > 1


@pytest.mark.parametrize("mode", ["close", "hang"])
def test_a_lost_acknowledgement_leaves_a_live_order(venue: LocalExchange, mode: str) -> None:
    venue.exchange.add_fault("lost_ack", params={"mode": mode}, count=1, match={"path": CREATE})
    with pytest.raises(NoAnswer):
        venue.post(CREATE, **limit_buy("lost"))
    assert open_ids(venue) == ["lost"]
    again = venue.post(CREATE, **limit_buy("lost"))
    assert again["retCode"] == 110072
    assert struck(venue) == {"lost_ack": 1}


@pytest.mark.parametrize(("executed", "orders"), [(False, []), (True, ["a"])])
def test_an_http_error_says_nothing_about_the_order(venue: LocalExchange, executed: bool, orders: list[str]) -> None:
    venue.exchange.add_fault("http_error", params={"status": 502, "executed": executed}, count=1)
    assert venue.post(CREATE, **limit_buy("a"))["http"] == 502
    assert open_ids(venue) == orders


def test_a_storm_of_10006_names_the_reset_time(venue: LocalExchange) -> None:
    venue.exchange.add_fault("rate_limit", params={"reset_ms": 700}, count=2, match={"path": CREATE})
    for _ in range(2):
        reply = venue.raw("POST", CREATE, limit_buy("a"))
        assert reply.json()["retCode"] == 10006
        assert reply.headers["X-Bapi-Limit-Reset-Timestamp"] == str(venue.now_ms + 700)
    assert venue.post(CREATE, **limit_buy("a"))["retCode"] == 0


def test_10006_can_come_without_headers(venue: LocalExchange) -> None:
    venue.exchange.add_fault("rate_limit", params={"headers": False}, count=1, match={"path": "/v5/market/kline"})
    reply = venue.raw("GET", "/v5/market/kline", {**BTC, "interval": "5"})
    assert reply.json()["retCode"] == 10006
    assert not [name for name in reply.headers if name.lower().startswith("x-bapi")]


def test_any_ret_code_can_be_answered(venue: LocalExchange) -> None:
    venue.post(CREATE, **limit_buy("a"))
    params = {"code": 110001, "msg": "order not exists or too late to cancel"}
    venue.exchange.add_fault("ret_code", params=params, count=3, match={"path": CANCEL})
    codes = [venue.post(CANCEL, **BTC, orderLinkId="a")["retCode"] for _ in range(4)]
    assert codes == [110001, 110001, 110001, 0]


def test_reply_fields_come_and_go(venue: LocalExchange) -> None:
    venue.post(CREATE, **limit_buy("a"))
    params = {"remove": "avgPrice,stopLoss", "add": '{"brandNew":{"x":1}}'}
    venue.exchange.add_fault("reply_fields", params=params, count=1, match={"path": REALTIME})
    row = venue.get(REALTIME, **BTC)["result"]["list"][0]
    assert "avgPrice" not in row
    assert "stopLoss" not in row
    assert row["brandNew"] == {"x": 1}
    assert "avgPrice" in venue.get(REALTIME, **BTC)["result"]["list"][0]


def test_clock_skew_refuses_honest_stamps_until_the_client_resyncs(venue: LocalExchange) -> None:
    venue.exchange.add_fault("clock_skew", params={"skew_ms": 6_000})
    assert venue.get("/v5/account/info")["retCode"] == 10002
    told_ms = int(venue.get("/v5/market/time")["result"]["timeNano"]) // 1_000_000
    assert told_ms == venue.now_ms + 6_000
    assert venue.call("GET", "/v5/account/info", {}, timestamp_ms=told_ms)["retCode"] == 0
    venue.exchange.house.faults.remove(name="clock_skew")
    assert venue.get("/v5/account/info")["retCode"] == 0


# -- queries --------------------------------------------------------------------------------------------------


def test_an_invisible_order_is_found_after_its_time(venue: LocalExchange) -> None:
    socket = venue.private("order", "execution")
    venue.exchange.add_fault("order_invisible", params={"seconds": 30, "executions": True}, count=1)
    venue.post(CREATE, **market(link_id="ghost"))
    venue.step(1_000)
    for path in (REALTIME, HISTORY, "/v5/execution/list"):
        assert venue.get(path, **BTC, orderLinkId="ghost")["result"]["list"] == []
    assert [row["orderStatus"] for row in socket.rows("order")][-1] == "Filled"
    venue.step(29_000)
    assert venue.get(HISTORY, **BTC, orderLinkId="ghost")["result"]["list"][0]["orderStatus"] == "Filled"
    assert venue.get("/v5/execution/list", **BTC, orderLinkId="ghost")["result"]["list"]


def test_only_matching_orders_are_invisible(venue: LocalExchange) -> None:
    venue.exchange.add_fault("order_invisible", match={"orderLinkId": "g-*"})
    venue.post(CREATE, **limit_buy("g-1"))
    venue.post(CREATE, **limit_buy("h-1"))
    assert open_ids(venue) == ["h-1"]


def test_a_short_history_forgets_the_old_fills(venue: LocalExchange) -> None:
    venue.post(CREATE, **market())
    venue.step(3_000_000)
    venue.exchange.add_fault("history_truncated", params={"days": 0.02})
    assert venue.get("/v5/execution/list", **BTC)["result"]["list"] == []
    assert venue.get("/v5/position/list", **BTC)["result"]["list"][0]["size"] == "0.01"
    venue.exchange.house.faults.remove()
    assert len(venue.get("/v5/execution/list", **BTC)["result"]["list"]) >= 1


# -- private messages -----------------------------------------------------------------------------------------


def private(venue: LocalExchange) -> LocalSocket:
    return venue.private("order", "execution", "position", "wallet")


def test_one_kind_of_message_can_go_missing(venue: LocalExchange) -> None:
    socket = private(venue)
    venue.exchange.add_fault("drop_message", count=1, match={"topic": "execution"})
    venue.post(CREATE, **market())
    venue.step(200)
    assert socket.of_topic("execution") == []
    assert socket.of_topic("order")
    venue.post(CREATE, **market())
    venue.step(200)
    assert socket.of_topic("execution")


def test_every_nth_message_can_go_missing(venue: LocalExchange) -> None:
    socket = private(venue)
    venue.exchange.add_fault("drop_message", params={"nth": 3}, match={"topic": "order"})
    for number in range(6):
        venue.post(CREATE, **limit_buy(f"o{number}"))
    venue.step(200)
    assert [row["orderLinkId"] for row in socket.rows("order")] == ["o0", "o1", "o3", "o4"]


def test_skip_lets_the_first_matches_pass(venue: LocalExchange) -> None:
    socket = private(venue)
    venue.exchange.add_fault("drop_message", count=1, skip=1, match={"topic": "order", "orderStatus": "New"})
    for number in range(3):
        venue.post(CREATE, **limit_buy(f"o{number}"))
    venue.step(200)
    assert [row["orderLinkId"] for row in socket.rows("order")] == ["o0", "o2"]


def test_a_message_can_come_twice(venue: LocalExchange) -> None:
    socket = private(venue)
    venue.exchange.add_fault("duplicate_message", count=1, match={"topic": "execution"})
    venue.post(CREATE, **market())
    venue.step(200)
    rows = socket.rows("execution")
    assert len(rows) == 2 * len({row["execId"] for row in rows})


def test_a_message_can_come_late(venue: LocalExchange) -> None:
    socket = private(venue)
    venue.exchange.add_fault("delay_message", params={"ms": 5_000}, count=1, match={"topic": "order"})
    venue.post(CREATE, **limit_buy("slow"))
    venue.post(CREATE, **limit_buy("fast"))
    venue.step(1_000)
    assert [row["orderLinkId"] for row in socket.rows("order")] == ["fast"]
    venue.step(5_000)
    assert [row["orderLinkId"] for row in socket.rows("order")] == ["fast", "slow"]


def test_messages_can_come_last_to_first(venue: LocalExchange) -> None:
    socket = private(venue)
    venue.exchange.add_fault("reorder_messages", params={"window": 3}, count=3, match={"topic": "order"})
    for name in ("a", "b", "c", "d"):
        venue.post(CREATE, **limit_buy(name))
    venue.step(200)
    assert [row["orderLinkId"] for row in socket.rows("order")] == ["c", "b", "a", "d"]


def test_held_messages_are_released_when_the_fault_ends(venue: LocalExchange) -> None:
    socket = private(venue)
    fault = venue.exchange.add_fault("reorder_messages", params={"window": 9}, match={"topic": "order"})
    venue.post(CREATE, **limit_buy("a"))
    venue.step(200)
    assert socket.rows("order") == []
    venue.exchange.house.faults.remove(fault_id=fault.fault_id)
    venue.step(200)
    assert [row["orderLinkId"] for row in socket.rows("order")] == ["a"]


def test_a_fill_can_be_told_as_a_lost_cancel_too(venue: LocalExchange) -> None:
    socket = private(venue)
    venue.exchange.add_fault("double_filled", count=1)
    venue.post(CREATE, **market(link_id="a"))
    venue.step(200)
    filled = [row for row in socket.rows("order") if row["orderStatus"] == "Filled"]
    assert [row["cancelType"] for row in filled] == ["UNKNOWN", "CancelByUser"]
    assert filled[1]["rejectReason"] == "EC_OrigClOrdIDDoesNotExist"
    assert filled[0]["cumExecQty"] == filled[1]["cumExecQty"] == "0.01"


# -- public feed ----------------------------------------------------------------------------------------------

BOOK = "orderbook.50.BTCUSDT"


def updates(socket: LocalSocket) -> list[tuple[str, int]]:
    return [(frame["type"], frame["data"]["u"]) for frame in socket.of_topic(BOOK)]


def test_book_frames_go_missing_without_a_word(venue: LocalExchange) -> None:
    socket = venue.public(BOOK)
    venue.step(3_000)
    venue.exchange.add_fault("book_gap", params={"frames": 2}, count=1, match={"symbol": "BTCUSDT"})
    venue.step(8_000)
    numbers = [number for _, number in updates(socket)]
    gaps = [after - before for before, after in zip(numbers, numbers[1:], strict=False)]
    assert sorted(set(gaps)) == [1, 3]
    assert gaps.count(3) == 1


def test_a_service_restart_sends_a_snapshot_with_u_one(venue: LocalExchange) -> None:
    socket = venue.public(BOOK)
    venue.step(3_000)
    venue.exchange.add_fault("service_restart", count=1)
    venue.step(3_000)
    place = next(i for i, (_, number) in enumerate(updates(socket)) if number == 1)
    assert updates(socket)[place : place + 2] == [("snapshot", 1), ("delta", 2)]


def test_a_subscription_can_stop_silently(venue: LocalExchange) -> None:
    socket = venue.public(BOOK, "tickers.BTCUSDT")
    venue.exchange.add_fault("subscription_dropped", count=1, match={"topic": BOOK})
    venue.step(2_000)
    books, tickers = len(socket.of_topic(BOOK)), len(socket.of_topic("tickers.BTCUSDT"))
    venue.step(5_000)
    assert len(socket.of_topic(BOOK)) == books
    assert len(socket.of_topic("tickers.BTCUSDT")) > tickers
    assert socket.closed is None


# -- sockets --------------------------------------------------------------------------------------------------


def test_a_half_open_socket_says_nothing_not_even_pong(venue: LocalExchange) -> None:
    deaf, other = venue.public(BOOK), venue.private("order")
    venue.exchange.add_fault("half_open", match={"kind": "public"})
    before = len(deaf.frames)
    deaf.send({"op": "ping"})
    other.send({"op": "ping"})
    venue.step(5_000)
    assert len(deaf.frames) == before
    assert deaf.closed is None
    assert other.answers("pong")
    assert venue.public(BOOK).of_topic(BOOK)


def test_half_open_for_a_while_takes_new_sockets_too(venue: LocalExchange) -> None:
    venue.exchange.add_fault("half_open", for_s=10, match={"kind": "private"})
    assert venue.private("order").frames == []
    venue.step(10_000)
    assert venue.private("order").answers("auth")


def test_a_disconnect_cuts_and_refuses_for_a_while(venue: LocalExchange) -> None:
    first, second = venue.public(BOOK), venue.private("order")
    venue.exchange.add_fault("disconnect", params={"refuse_s": 5}, match={"kind": "public"})
    venue.collect()
    assert (first.closed, second.closed) == (1006, None)
    with pytest.raises(NoAnswer):
        venue.connect("/v5/public/linear")
    venue.step(5_000)
    assert venue.public(BOOK).of_topic(BOOK)


# -- market and exchange --------------------------------------------------------------------------------------


def last_price(venue: LocalExchange) -> Decimal:
    return Decimal(venue.get("/v5/market/tickers", **BTC)["result"]["list"][0]["lastPrice"])


def test_a_price_jump_stays(venue: LocalExchange) -> None:
    venue.step(60_000)
    venue.exchange.add_fault("price_jump", params={"bps": -1_000}, match={"symbol": "BTCUSDT"})
    assert abs(last_price(venue) - 54_000) < 30
    venue.step(120_000)
    assert abs(last_price(venue) - 54_000) < 30
    ticker = venue.get("/v5/market/tickers", **BTC)["result"]["list"][0]
    assert abs(Decimal(ticker["markPrice"]) - 54_000) < 30
    assert Decimal(ticker["bid1Price"]) < Decimal(ticker["ask1Price"])


def test_a_price_jump_can_take_its_time(venue: LocalExchange) -> None:
    venue.step(60_000)
    venue.exchange.add_fault("price_jump", params={"bps": -500, "over_ms": 10_000}, match={"symbol": "BTCUSDT"})
    venue.step(5_000)
    assert 57_800 < last_price(venue) < 59_200
    venue.step(6_000)
    assert abs(last_price(venue) - 57_000) < 60


def test_a_foreign_order_appears(venue: LocalExchange) -> None:
    params = {"side": "Buy", "qty": "0.02", "price": "59000"}
    venue.exchange.add_fault("foreign_order", params=params, match={"symbol": "BTCUSDT"})
    rows = venue.get(REALTIME, **BTC)["result"]["list"]
    assert [(row["qty"], row["price"], row["orderLinkId"]) for row in rows] == [("0.02", "59000", "")]


def test_a_foreign_position_appears(venue: LocalExchange) -> None:
    venue.exchange.add_fault("foreign_position", params={"side": "Sell", "qty": "0.05"}, match={"symbol": "BTCUSDT"})
    row = venue.get("/v5/position/list", **BTC)["result"]["list"][0]
    assert (row["side"], row["size"]) == ("Sell", "0.05")


def test_an_exchange_restart_keeps_orders_and_loses_caches(venue: LocalExchange) -> None:
    public, account = venue.public(BOOK), venue.private("order")
    venue.post(CREATE, **limit_buy("stays"))
    venue.post(CREATE, **market(link_id="done"))
    venue.exchange.add_fault("exchange_restart", params={"down_s": 5})
    venue.collect()
    assert (public.closed, account.closed) == (1012, 1012)
    assert venue.get(REALTIME, **BTC)["retCode"] == 10016
    with pytest.raises(NoAnswer):
        venue.connect("/v5/private")
    venue.step(5_000)
    assert open_ids(venue) == ["stays"]
    assert venue.get(REALTIME, **BTC, openOnly="1")["result"]["list"] == []
    assert venue.get(HISTORY, **BTC, orderLinkId="done")["result"]["list"]
    assert venue.get("/v5/position/list", **BTC)["result"]["list"][0]["size"] == "0.01"
    again = venue.public(BOOK)
    venue.step(1_000)
    assert ("snapshot", 1) in updates(again)


# -- the board itself -----------------------------------------------------------------------------------------


def test_every_fault_has_a_test_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in FAULTS if f'add_fault("{name}"' not in text] == []


def test_faults_are_listed_counted_and_cleared() -> None:
    board = FaultBoard()
    board.add("latency", now_ms=0, params={"ms": "250"}, count=2)
    board.add("drop_message", now_ms=0, for_s=1.5)
    assert [fault.name for fault in board.active(1_499)] == ["latency", "drop_message"]
    assert [fault.name for fault in board.active(1_500)] == ["latency"]
    for _ in range(3):
        board.take("latency", 1_500, {})
    assert board.struck == {"latency": 2}
    assert board.is_quiet
    board.add("latency", now_ms=0)
    assert board.remove() == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nonsense", {}),
        ("latency", {"params": {"seconds": 1}}),
        ("latency", {"params": {"ms": "soon"}}),
        ("latency", {"params": {"ms": float("nan")}}),
        ("latency", {"count": 0}),
        ("latency", {"for_s": 0}),
        ("lost_ack", {"skip": -1}),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(name: str, options: dict) -> None:
    board = FaultBoard()
    with pytest.raises(BadFault):
        board.add(name, now_ms=0, **options)
    assert board.is_quiet


def test_a_market_fault_without_symbol_is_refused_and_leaves_nothing(venue: LocalExchange) -> None:
    with pytest.raises(BadFault):
        venue.exchange.add_fault("price_jump", params={"bps": 100})
    assert venue.exchange.house.faults.is_quiet
