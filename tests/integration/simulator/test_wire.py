"""The port itself: bytes of every kind get an answer of Bybit's or are cut off; never a 500, never a crash."""

import asyncio
import json
import re
import socket
import struct
import time

import orjson
import pytest
import websockets

from avigrid.exchange.simulator.auth import Credentials, sign_request, sign_socket
from tests.integration.simulator.conftest import quiet_market
from tests.support.simulator_server import Running, eventually, running_simulator

CREDENTIALS = Credentials("key", "secret")


def signed(payload: str, *, at_ms: int | None = None) -> dict[str, str]:
    stamp_ms = at_ms if at_ms is not None else time.time_ns() // 1_000_000
    sign = sign_request(CREDENTIALS, timestamp_ms=stamp_ms, recv_window="5000", payload=payload)
    return {
        "X-BAPI-API-KEY": "key",
        "X-BAPI-TIMESTAMP": str(stamp_ms),
        "X-BAPI-RECV-WINDOW": "5000",
        "X-BAPI-SIGN": sign,
    }


def post(simulator: Running, path: str, body: str) -> tuple[int, dict]:
    return simulator.raw("POST", path, body.encode(), signed(body) | {"Content-Type": "application/json"})


def no_internal_errors(simulator: Running) -> bool:
    return "internal_errors" not in simulator.sim("GET", "/sim/state")["wire"]


# -- HTTP -----------------------------------------------------------------------------------------------------

ORDER = '{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001","price":"50000"}'


def test_compact_and_spaced_bodies_are_signed_as_sent(simulator: Running) -> None:
    spaced = json.dumps(json.loads(ORDER), indent=3)
    for body in (ORDER, spaced):
        status, answer = post(simulator, "/v5/order/create", body)
        assert (status, answer["retCode"]) == (200, 0)


def test_header_names_may_be_in_any_case_and_query_in_any_order(simulator: Running) -> None:
    query = "symbol=BTCUSDT&limit=5&category=linear"
    headers = {name.lower(): value for name, value in signed(query).items()}
    status, answer = simulator.raw("GET", f"/v5/order/realtime?{query}", headers=headers)
    assert (status, answer["retCode"]) == (200, 0)
    assert set(answer) == {"retCode", "retMsg", "result", "retExtInfo", "time"}


def test_limit_headers_come_with_private_answers(simulator: Running) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=5)
    connection.request("GET", "/v5/account/info", headers=signed(""))
    answer = connection.getresponse()
    answer.read()
    assert answer.headers["X-Bapi-Limit"] == "50"
    assert answer.headers["X-Bapi-Limit-Status"] == "49"
    assert answer.headers["X-Bapi-Limit-Reset-Timestamp"].isdigit()
    connection.request("GET", "/v5/market/time")
    market = connection.getresponse()
    market.read()
    assert market.headers["X-Bapi-Limit"] is None
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v5/nonsense", 404),
        ("POST", "/v5/market/time", 404),
        ("GET", "/v5/order/create", 404),
        ("DELETE", "/v5/order/create", 404),
        ("GET", "/v5/private", 400),
        ("GET", "/sim/nonsense", 404),
        ("PUT", "/sim/clock", 404),
    ],
)
def test_wrong_paths_and_methods(simulator: Running, method: str, path: str, status: int) -> None:
    assert simulator.raw(method, path)[0] == status


def test_a_get_with_a_body_is_forbidden(simulator: Running) -> None:
    assert simulator.raw("GET", "/v5/market/time", b"{}")[0] == 403


def test_missing_auth_headers_are_401(simulator: Running) -> None:
    status, answer = simulator.raw("GET", "/v5/account/info")
    assert status == 401
    assert answer["retCode"] == 10003


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        '"text"',
        "{",
        "{}",
        '{"category":1}',
        '{"category":"linear","symbol":[]}',
        "[" * 50_000,
        "\x00\xff",
    ],
)
def test_bodies_that_are_no_order_get_a_parameter_error(simulator: Running, body: str) -> None:
    data = body.encode("latin-1")
    stamp_ms = time.time_ns() // 1_000_000
    text = data.decode("utf-8", "surrogateescape")
    status, answer = simulator.raw("POST", "/v5/order/create", data, signed(text, at_ms=stamp_ms))
    assert (status, answer["retCode"]) == (200, 10001)
    assert no_internal_errors(simulator)


WRONG_VALUES = [
    None,
    True,
    -1,
    0,
    1e308,
    "",
    "NaN",
    "-Infinity",
    "1e999",
    "0.0.1",
    "x" * 10_000,
    [],
    {},
    ["a"],
    {"a": 1},
    "١",
]


@pytest.mark.parametrize(
    "field", ["category", "symbol", "side", "orderType", "qty", "price", "timeInForce", "positionIdx"]
)
def test_every_field_of_an_order_may_be_rubbish(simulator: Running, field: str) -> None:
    for value in WRONG_VALUES:
        status, answer = post(simulator, "/v5/order/create", json.dumps(json.loads(ORDER) | {field: value}))
        assert status == 200
        assert isinstance(answer["retCode"], int)
    assert no_internal_errors(simulator)


def test_a_huge_body_is_refused(simulator: Running) -> None:
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=10) as wire:
        wire.sendall(b"POST /v5/order/create HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n")
        answer = b""
        chunk = b"x" * 65_536
        try:
            for _ in range(64):
                wire.sendall(chunk)
        except OSError:
            answer = b""
        try:
            answer = wire.recv(65_536)
        except OSError:
            answer = b"HTTP/1.1 413"
    assert answer.startswith(b"HTTP/1.1 413")
    assert simulator.raw("GET", "/v5/market/time")[0] == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"POST /v5/order/create HTTP/1.1\r\nHost: x\r\nContent-Length: minus\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000,
        b"GET /" + b"a" * 100_000,
        b"\r\n" * 1_000,
    ],
)
def test_bytes_that_are_no_http_are_cut_off(simulator: Running, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=10) as wire:
        try:
            wire.sendall(data)
            wire.shutdown(socket.SHUT_WR)
            answer = wire.recv(1_000)
        except OSError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert simulator.raw("GET", "/v5/market/time")[0] == 200


def test_keep_alive_and_pipelined_requests_are_answered_in_order(simulator: Running) -> None:
    one = b"GET /v5/market/time HTTP/1.1\r\nHost: x\r\n\r\n"
    two = b"GET /v5/nonsense HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=10) as wire:
        wire.sendall(one + two + one)
        data = b""
        while data.count(b"HTTP/1.1 ") < 3 or not data.endswith(b"}"):
            data += wire.recv(65_536)
    assert re.findall(rb"HTTP/1.1 (\d+)", data) == [b"200", b"404", b"200"]


def test_a_client_that_waits_for_100_continue_is_told_to_go_on(simulator: Running) -> None:
    head = b"POST /v5/order/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=10) as wire:
        wire.sendall(head)
        assert wire.recv(1_000).startswith(b"HTTP/1.1 100")
        wire.sendall(b"{}")
        assert wire.recv(10_000).startswith(b"HTTP/1.1 401")


def test_requests_sent_byte_by_byte_and_abandoned_ones(simulator: Running) -> None:
    request = b"GET /v5/market/time HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=10) as wire:
        for position in range(len(request)):
            wire.sendall(request[position : position + 1])
        assert wire.recv(1_000).startswith(b"HTTP/1.1 200")
    for length in range(1, len(request), 7):
        wire = socket.create_connection(("127.0.0.1", simulator.port), timeout=10)
        wire.sendall(request[:length])
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()
    assert simulator.raw("GET", "/v5/market/time")[0] == 200


def test_too_many_requests_from_one_address_are_forbidden(simulator: Running) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=10)
    seen = set()
    for _ in range(640):
        connection.request("GET", "/v5/market/time")
        answer = connection.getresponse()
        answer.read()
        seen.add(answer.status)
    connection.close()
    assert seen == {200, 403}


def test_a_spent_budget_is_10006_with_a_reset_time() -> None:
    from avigrid.exchange.simulator.exchange import ExchangeConfig

    with running_simulator(source=quiet_market(), config=ExchangeConfig(orders_per_s=10)) as simulator:
        codes = [post(simulator, "/v5/order/create", ORDER)[1]["retCode"] for _ in range(12)]
        assert codes[:10] == [0] * 10
        assert 10006 in codes[10:]
        batch = json.dumps({"category": "linear", "request": [json.loads(ORDER) for _ in range(13)]})
        status, answer = post(simulator, "/v5/order/create-batch", batch)
        assert (status, answer["retCode"]) == (200, 0)
        assert [row["code"] for row in answer["retExtInfo"]["list"]] == [0] * 10 + [10006] * 3
        assert [bool(row["orderId"]) for row in answer["result"]["list"]] == [True] * 10 + [False] * 3


# -- sockets --------------------------------------------------------------------------------------------------


async def talk(url: str, *messages: object, count: int = 1, wait_s: float = 3.0) -> list[dict]:
    async with websockets.connect(url, max_size=None) as wire:
        for message in messages:
            await wire.send(message if isinstance(message, str | bytes) else json.dumps(message))
        out = []
        async with asyncio.timeout(wait_s):
            while len(out) < count:
                out.append(orjson.loads(await wire.recv()))
        return out


async def test_public_ping_and_acknowledgement_shapes(simulator: Running) -> None:
    url = f"{simulator.ws_url}/v5/public/linear"
    (pong,) = await talk(url, {"op": "ping", "req_id": 7})
    assert pong == {"success": True, "ret_msg": "pong", "conn_id": pong["conn_id"], "req_id": 7, "op": "ping"}
    first, ack = await talk(url, {"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]}, count=2)
    assert (first["type"], first["topic"]) == ("snapshot", "orderbook.50.BTCUSDT")
    assert ack == {"success": True, "ret_msg": "", "conn_id": ack["conn_id"], "req_id": "", "op": "subscribe"}


@pytest.mark.parametrize(
    "message",
    [
        "not json", "[]", "{}", b"\xff\xfe\x00", '{"op":"dance"}', '{"op":"subscribe"}', '{"op":"subscribe","args":[]}',
        '{"op":"subscribe","args":[1]}', '{"op":"subscribe","args":["orderbook.500.BTCUSDT"]}',
        '{"op":"subscribe","args":["orderbook.50.FOOUSDT"]}', '{"op":"subscribe","args":["kline.7.BTCUSDT"]}',
        '{"op":"subscribe","args":"publicTrade.BTCUSDT"}',
    ],
)  # fmt: skip
async def test_public_refusals(simulator: Running, message: str | bytes) -> None:
    (answer,) = await talk(f"{simulator.ws_url}/v5/public/linear", message)
    assert answer["success"] is False
    assert answer["ret_msg"]
    assert no_internal_errors(simulator)


async def test_the_limit_on_topics_is_21000_characters(simulator: Running) -> None:
    message = {"op": "subscribe", "args": ["orderbook.50.BTCUSDT"] * 1_051}
    (answer,) = await talk(f"{simulator.ws_url}/v5/public/linear", message)
    assert answer["success"] is False
    assert "21000" in answer["ret_msg"]


async def test_level_one_repeats_itself_and_deltas_make_the_book(simulator: Running) -> None:
    simulator.sim("POST", "/sim/clock", {"speed": 0})
    topics = ["orderbook.1.BTCUSDT", "orderbook.200.BTCUSDT"]
    async with websockets.connect(f"{simulator.ws_url}/v5/public/linear", max_size=None) as wire:
        await wire.send(json.dumps({"op": "subscribe", "args": topics}))
        frames: list[dict] = []
        async with asyncio.timeout(8):
            while sum(frame.get("topic") == topics[0] for frame in frames) < 2:
                frames.append(orjson.loads(await wire.recv()))
        best = [frame for frame in frames if frame.get("topic") == topics[0]]
        assert best[0]["data"]["u"] == best[1]["data"]["u"]
        assert {frame["type"] for frame in best} == {"snapshot"}
        book = next(frame for frame in frames if frame.get("topic") == topics[1])["data"]
        bids, asks = dict(book["b"]), dict(book["a"])
        number = book["u"]
        for _ in range(30):
            await asyncio.to_thread(simulator.sim, "POST", "/sim/clock", {"step_ms": 1_000})
            async with asyncio.timeout(5):
                while True:
                    frame = orjson.loads(await wire.recv())
                    if frame.get("topic") == topics[1]:
                        break
            data = frame["data"]
            assert (frame["type"], data["u"]) == ("delta", number + 1)
            number += 1
            for side, changes in ((bids, data["b"]), (asks, data["a"])):
                for price, size in changes:
                    if size == "0":
                        assert price in side
                        del side[price]
                    else:
                        side[price] = size
            assert (len(bids), len(asks)) == (200, 200)
            assert max(map(float, bids)) < min(map(float, asks))
            await asyncio.sleep(0.12)


async def test_kline_rollover_is_one_frame_with_two_items(simulator: Running) -> None:
    simulator.sim("POST", "/sim/clock", {"speed": 0})
    async with websockets.connect(f"{simulator.ws_url}/v5/public/linear") as wire:
        await wire.send(json.dumps({"op": "subscribe", "args": ["kline.1.BTCUSDT"]}))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(simulator.sim, "POST", "/sim/clock", {"step_ms": 61_000})
        async with asyncio.timeout(5):
            while True:
                frame = orjson.loads(await wire.recv())
                if len(frame.get("data", [])) == 2:
                    break
    closed, opened = frame["data"]
    assert (closed["confirm"], opened["confirm"]) == (True, False)
    assert opened["open"] == closed["close"]
    assert closed["end"] + 1 == opened["start"]
    assert set(closed) == {
        "start", "end", "interval", "open", "close", "high", "low", "volume", "turnover", "confirm", "timestamp",
    }  # fmt: skip


def auth_args(expires_ms: object) -> list[object]:
    return ["key", expires_ms, sign_socket(CREDENTIALS, str(expires_ms))]


async def test_private_refusals_and_shapes(simulator: Running) -> None:
    url = f"{simulator.ws_url}/v5/private?max_active_time=1m"
    (refused,) = await talk(url, {"op": "subscribe", "args": ["order"]})
    assert refused["success"] is False
    (failed,) = await talk(url, {"op": "auth", "args": ["key", 1, "x"]})
    assert failed["success"] is False
    later = time.time_ns() // 1_000_000 + 10_000
    messages = [
        {"req_id": "1", "op": "auth", "args": auth_args(str(later))},
        {"req_id": "2", "op": "subscribe", "args": ["order", "order.linear"]},
        {"req_id": "3", "op": "subscribe", "args": ["order.linear", "wallet"]},
        {"req_id": "4", "op": "subscribe", "args": ["gossip"]},
        {"req_id": "5", "op": "ping"},
    ]
    answers = {answer["req_id"]: answer for answer in await talk(url, *messages, count=5)}
    assert answers["1"] == {
        "success": True, "ret_msg": "", "op": "auth", "conn_id": answers["1"]["conn_id"], "req_id": "1",
    }  # fmt: skip
    assert [answers[number]["success"] for number in "1234"] == [True, False, True, False]
    assert answers["5"]["op"] == "pong"
    assert answers["5"]["args"][0].isdigit()


async def test_trade_socket_refusals(simulator: Running) -> None:
    url = f"{simulator.ws_url}/v5/trade"
    now = str(time.time_ns() // 1_000_000)
    order = {"op": "order.create", "header": {"X-BAPI-TIMESTAMP": now}, "args": [json.loads(ORDER)]}
    (refused,) = await talk(url, order | {"reqId": "0"})
    assert refused["retCode"] == 10003
    later = time.time_ns() // 1_000_000 + 10_000
    messages = [
        {"reqId": "a", "op": "auth", "args": auth_args(later)},
        {"reqId": "b", "op": "auth", "args": auth_args(later)},
        order | {"reqId": "c"},
        order | {"reqId": "c"},
        order | {"reqId": "d", "op": "order.dance"},
        order | {"reqId": "e", "args": []},
        order | {"reqId": "f", "header": {"X-BAPI-TIMESTAMP": "1"}},
        order | {"reqId": "g", "args": [{"category": "linear"}]},
    ]
    answers = await talk(url, *messages, count=len(messages))
    codes = [(answer["reqId"], answer["retCode"]) for answer in answers]
    assert codes[:7] == [("a", 0), ("b", 20001), ("c", 0), ("c", 20006), ("d", 10404), ("e", 10001), ("f", 10002)]
    assert codes[7][1] == 10001
    assert set(answers[2]) == {"reqId", "retCode", "retMsg", "op", "data", "retExtInfo", "header", "connId"}
    assert answers[3]["data"] == {}


async def test_oversized_and_broken_frames_end_only_their_connection(simulator: Running) -> None:
    url = f"{simulator.ws_url}/v5/public/linear"
    async with websockets.connect(url) as wire:
        await wire.send("x" * 2_000_000)
        with pytest.raises(websockets.ConnectionClosed):
            await wire.recv()
    async with websockets.connect(url) as wire:
        wire.transport.write(b"\xff\xff\xff\xff")
        with pytest.raises(websockets.ConnectionClosed):
            await wire.recv()
    (pong,) = await talk(url, {"op": "ping"})
    assert pong["ret_msg"] == "pong"


async def test_a_flood_of_messages_is_survived(simulator: Running) -> None:
    async with websockets.connect(f"{simulator.ws_url}/v5/public/linear") as wire:
        for number in range(3_000):
            await wire.send(f'{{"op":"ping","req_id":"{number}"}}')
        async with asyncio.timeout(20):
            last = ""
            while last != "2999":
                last = orjson.loads(await wire.recv()).get("req_id", "")
    assert no_internal_errors(simulator)


async def test_fragments_and_protocol_pings(simulator: Running) -> None:
    async with websockets.connect(f"{simulator.ws_url}/v5/public/linear") as wire:
        await wire.send(['{"op":', '"ping"', "}"])
        async with asyncio.timeout(3):
            assert orjson.loads(await wire.recv())["op"] == "ping"
            await (await wire.ping())


def test_an_unknown_socket_path_is_404(simulator: Running) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        asyncio.run(talk(f"{simulator.ws_url}/v5/public/option", {"op": "ping"}))
    assert refused.value.response.status_code == 404


# -- faults that need a wire ----------------------------------------------------------------------------------


def test_a_lost_acknowledgement_closes_the_connection(simulator: Running) -> None:
    simulator.sim("POST", "/sim/faults", {"name": "lost_ack", "count": 1, "match": {"path": "/v5/order/create"}})
    import http.client

    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        post(simulator, "/v5/order/create", ORDER)
    state = simulator.sim("GET", "/sim/state")
    assert len(state["orders"]["open"]) == 1
    assert state["faults_struck"] == {"lost_ack": 1}


async def test_a_half_open_socket_hangs_and_a_disconnect_cuts(simulator: Running) -> None:
    async with websockets.connect(f"{simulator.ws_url}/v5/public/linear", ping_interval=None) as wire:
        await wire.send('{"op":"subscribe","args":["tickers.BTCUSDT"]}')
        await wire.recv()
        await asyncio.to_thread(simulator.sim, "POST", "/sim/faults", {"name": "half_open"})
        while True:
            try:
                async with asyncio.timeout(0.4):
                    await wire.recv()
            except TimeoutError:
                break
        pong = await wire.ping()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await pong
        await asyncio.to_thread(simulator.sim, "POST", "/sim/faults", {"name": "disconnect"})
        with pytest.raises(websockets.ConnectionClosed):
            async with asyncio.timeout(3):
                await wire.recv()


# -- control --------------------------------------------------------------------------------------------------


def test_the_clock_steps_and_runs(stepped: Running) -> None:
    before = stepped.sim("GET", "/sim/clock")
    assert before["stepped"] is True
    assert stepped.sim("POST", "/sim/clock", {"step_ms": 90_000})["now_ms"] == before["now_ms"] + 90_000
    told = stepped.raw("GET", "/v5/market/time")[1]
    assert told["result"]["timeSecond"] == str((before["now_ms"] + 90_000) // 1_000)
    stepped.sim("POST", "/sim/clock", {"speed": 50})
    eventually(lambda: stepped.sim("GET", "/sim/clock")["now_ms"] > before["now_ms"] + 100_000)


@pytest.mark.parametrize(
    "body", [{}, {"step_ms": -1}, {"step_ms": "x"}, {"speed": 1e9}, {"step_ms": 1, "speed": 1}, {"to_ms": 0}]
)
def test_a_clock_change_that_makes_no_sense_is_refused(stepped: Running, body: dict) -> None:
    before = stepped.sim("GET", "/sim/clock")
    status, answer = stepped.raw("POST", "/sim/clock", orjson.dumps(body))
    assert status == 400
    assert answer["error"]
    assert stepped.sim("GET", "/sim/clock") == before


def test_market_acts_faults_and_metrics(stepped: Running) -> None:
    stepped.sim(
        "POST", "/sim/market", {"action": "foreign_position", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.01"}
    )
    stepped.sim("POST", "/sim/market", {"action": "price_jump", "symbol": "BTCUSDT", "pct": 1.5})
    state = stepped.sim("GET", "/sim/state")
    assert [row["size"] for row in state["positions"] if row["size"] != "0"] == ["0.01"]
    added = stepped.sim("POST", "/sim/faults", {"name": "latency", "params": {"ms": 5}})
    listed = stepped.sim("GET", "/sim/faults")
    assert [row["name"] for row in listed["active"]] == ["latency"]
    assert "drop_message" in listed["known"]
    assert stepped.sim("DELETE", f"/sim/faults/{added['id']}") == {"removed": 1}
    assert stepped.sim("DELETE", "/sim/faults") == {"removed": 0}
    status, text = stepped.raw("GET", "/metrics")
    assert status == 200
    assert b"simulator_clock_ms " in text
    for body in (b"", b"[]", b'{"name":"gremlin"}', b'{"name":"latency","params":[1]}', b'{"name":"latency","typo":1}'):
        assert stepped.raw("POST", "/sim/faults", body)[0] == 400
    for body in (
        b"{}",
        b'{"action":"price_jump","symbol":"FOO","pct":1}',
        b'{"action":"price_jump","symbol":"BTCUSDT"}',
    ):
        assert stepped.raw("POST", "/sim/market", body)[0] == 400


def test_two_runs_with_one_seed_are_byte_equal() -> None:
    def played() -> list[bytes]:
        with running_simulator(speed=0) as simulator:
            out = []
            for number in range(5):
                simulator.sim("POST", "/sim/clock", {"step_ms": 7_000})
                body = json.dumps(json.loads(ORDER) | {"price": "96000", "orderLinkId": f"o{number}"})
                at_ms = simulator.exchange.venue.now_ms
                simulator.raw("POST", "/v5/order/create", body.encode(), signed(body, at_ms=at_ms))
                out.append(orjson.dumps(simulator.raw("GET", "/v5/market/orderbook?category=linear&symbol=BTCUSDT")[1]))
            state = simulator.sim("GET", "/sim/state")
            return [*out, orjson.dumps([state["orders"], state["executions"], state["wallet"], state["positions"]])]

    assert played() == played()
