"""The exchange object: cadence at speed, silence, disconnect protection, pages, refused other categories."""

import json
from urllib.parse import quote

import pytest

from avigrid.exchange.simulator.auth import sign_request
from avigrid.exchange.simulator.clock import SimulatedClock
from avigrid.exchange.simulator.exchange import ExchangeConfig, SimulatedExchange
from avigrid.exchange.simulator.inprocess import LocalExchange
from avigrid.exchange.simulator.messages import Reply, Request
from avigrid.exchange.simulator.sources.path import Line, PathSource
from tests.support.local_exchange import BTC, START_MS, limit_buy, local_exchange, market


@pytest.fixture
def venue() -> LocalExchange:
    return local_exchange()


def test_at_30x_books_are_merged_and_their_numbers_do_not_skip() -> None:
    wall = [0.0]
    source = PathSource({"BTCUSDT": Line(((0.0, 60_000.0),), noise_bps=2)}, start_ms=START_MS, seed=1)
    clock = SimulatedClock(start_ms=source.start_ms, speed=30, wall_s=lambda: wall[0])
    exchange = SimulatedExchange(source, ExchangeConfig(), clock=clock, wire_s=lambda: wall[0], wall_ms=lambda: 0)
    session = exchange.connect("/v5/public/linear")
    assert not isinstance(session, Reply)
    exchange.receive(session, '{"op":"subscribe","args":["orderbook.50.BTCUSDT","publicTrade.BTCUSDT"]}')
    frames = []
    for _ in range(600):
        wall[0] += 0.01
        exchange.pump()
        frames += [json.loads(text) for text in session.take_due()]
    books = [frame for frame in frames if frame.get("topic") == "orderbook.50.BTCUSDT"]
    numbers = [frame["data"]["u"] for frame in books]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert 45 <= len(books) <= 62
    assert exchange.venue.now_ms - START_MS == pytest.approx(180_000, abs=1_000)
    trades = [item for frame in frames if frame.get("topic") == "publicTrade.BTCUSDT" for item in frame["data"]]
    assert [item["T"] for item in trades] == sorted(item["T"] for item in trades)
    assert len({item["i"] for item in trades}) == len(trades)


def test_a_clock_that_is_held_back_never_skips() -> None:
    wall = [0.0]
    clock = SimulatedClock(start_ms=1_000, speed=10, wall_s=lambda: wall[0])
    wall[0] = 2.0
    assert clock.now_ms() == 21_000
    clock.hold_back_to(15_000)
    assert clock.now_ms() == 15_000
    wall[0] = 2.1
    assert clock.now_ms() == 16_000
    clock.set_speed(0)
    wall[0] = 9.0
    assert clock.now_ms() == 16_000
    clock.step(5)
    assert clock.now_ms() == 16_005
    with pytest.raises(ValueError, match="cannot go back"):
        clock.step(-1)


@pytest.mark.parametrize("speed", [-1.0, 1_001.0, float("nan"), float("inf")])
def test_an_impossible_speed_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed must be within"):
        SimulatedClock(start_ms=0, speed=speed, wall_s=lambda: 0.0)


def test_ten_minutes_of_silence_end_a_connection(venue: LocalExchange) -> None:
    silent, talking = venue.public("tickers.BTCUSDT"), venue.public("tickers.BTCUSDT")
    venue.step(400_000)
    talking.send({"op": "ping"})
    venue.step(201_000)
    venue.exchange.cut_the_silent()
    venue.collect()
    assert silent.closed is not None
    assert talking.closed is None


def test_disconnect_protection_cancels_after_its_window(venue: LocalExchange) -> None:
    venue.post("/v5/order/create", **limit_buy("a"))
    venue.post("/v5/order/disconnected-cancel-all", product="DERIVATIVES", timeWindow=5)
    venue.private("order", "dcp.future")
    venue.step(20_000)
    venue.exchange.add_fault("disconnect")
    venue.collect()
    venue.step(4_000)
    assert len(venue.get("/v5/order/realtime", **BTC)["result"]["list"]) == 1
    venue.step(2_000)
    assert venue.get("/v5/order/realtime", **BTC)["result"]["list"] == []
    assert venue.get("/v5/order/history", **BTC)["result"]["list"][0]["cancelType"] == "CancelByDCP"


def test_a_cursor_works_as_received_and_escaped_once_more(venue: LocalExchange) -> None:
    for number in range(25):
        venue.post("/v5/order/create", **limit_buy(f"o{number}"))
        venue.step(1)

    def page(query: str) -> tuple[list[str], str]:
        headers = {
            "x-bapi-api-key": "key",
            "x-bapi-timestamp": str(venue.now_ms),
            "x-bapi-sign": sign_request(venue.credentials, timestamp_ms=venue.now_ms, recv_window="", payload=query),
        }
        answer = venue.exchange.request(Request("GET", "/v5/order/realtime", query, "", headers)).json()["result"]
        return [row["orderLinkId"] for row in answer["list"]], answer["nextPageCursor"]

    query = "category=linear&symbol=BTCUSDT&limit=20"
    first, cursor = page(query)
    assert first == [f"o{number}" for number in range(24, 4, -1)]
    for text in (cursor, quote(cursor)):
        assert page(f"{query}&cursor={text}") == (["o4", "o3", "o2", "o1", "o0"], "")


def test_other_categories_list_nothing_and_trade_nothing(venue: LocalExchange) -> None:
    for category in ("spot", "inverse", "option"):
        assert venue.get("/v5/market/tickers", category=category)["result"]["list"] == []
        assert venue.get("/v5/order/realtime", category=category)["result"]["list"] == []
        assert venue.post("/v5/order/create", **(market() | {"category": category}))["retCode"] == 10001
    assert venue.get("/v5/market/tickers", category="futures")["retCode"] == 10001
    assert venue.get("/v5/market/tickers")["retCode"] == 10001


def test_a_read_only_key_may_look() -> None:
    venue = local_exchange(read_only=True)
    assert venue.get("/v5/position/list", **BTC)["retCode"] == 0
    for path in ("/v5/order/create", "/v5/order/cancel-all", "/v5/position/set-leverage"):
        assert venue.post(path, **limit_buy("a"))["retCode"] == 10005
    assert venue.get("/v5/user/query-api")["result"]["readOnly"] == 1
