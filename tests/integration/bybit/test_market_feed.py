"""The public feed against a socket that behaves, misbehaves, falls silent and vanishes."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from avigrid.exchange.bybit.feed import BybitMarketFeed, topics_of
from avigrid.exchange.bybit.policy import StreamPolicy, StreamTools
from avigrid.exchange.ports import MarketEvent, StreamState
from avigrid.kernel.market import BookUpdate, Kline, Ticker
from tests.integration.bybit.local_stream import LocalStream, Visitor, acknowledge, book, kline, local_stream
from tests.support.market_runtime import eventually

BOOK = "orderbook.50.BTCUSDT"
QUICK = StreamPolicy(backoff_first_s=0.001, backoff_max_s=0.01, check_every_s=0.01, open_timeout_s=2.0)


@pytest.fixture
async def stream() -> AsyncIterator[LocalStream]:
    async with local_stream() as running:
        yield running


class Listener:
    """Reads a feed with a deadline on every event."""

    def __init__(self, feed: BybitMarketFeed) -> None:
        self.feed = feed
        self._events = feed.events()
        self.seen: list[MarketEvent] = []

    async def next(self) -> MarketEvent:
        event = await asyncio.wait_for(anext(self._events), 5)
        self.seen.append(event)
        return event

    async def until(self, is_it: Callable[[Any], bool]) -> Any:
        while not is_it(event := await self.next()):
            pass
        return event

    async def state(self, kind: str, topic: str) -> StreamState:
        return await self.until(lambda e: isinstance(e, StreamState) and (e.kind, e.topic) == (kind, topic))

    async def close(self) -> None:
        await self.feed.aclose()


def feed_of(stream: LocalStream, topics: list[str], policy: StreamPolicy = QUICK) -> Listener:
    tools = StreamTools(rng=random.Random(1))
    url = f"{stream.url}/v5/public/linear"
    return Listener(BybitMarketFeed(url, topics, now_ms=lambda: 1_700_000_000_123, policy=policy, tools=tools))


async def test_states_and_events_come_in_order(stream: LocalStream) -> None:
    def snapshot_before_ack(visitor: Visitor, request: dict[str, Any]) -> None:
        if request["op"] == "subscribe":
            visitor.say(**book("snapshot", 5))
            visitor.say(**book("delta", 6))
        acknowledge(visitor, request)

    stream.on_request = snapshot_before_ack
    listener = feed_of(stream, [BOOK])
    assert await listener.next() == StreamState("up", BOOK, "", 1_700_000_000_123)
    first, second = await listener.next(), await listener.next()
    assert isinstance(first, BookUpdate)
    assert first.is_snapshot
    assert isinstance(second, BookUpdate)
    assert (second.update_id, second.bids) == (6, ((100.0, 1.0),))
    assert stream.last.path == "/v5/public/linear"
    await listener.close()


async def test_a_sequence_gap_brings_a_fresh_snapshot_and_hides_what_lies_between(stream: LocalStream) -> None:
    asked = 0

    def answer(visitor: Visitor, request: dict[str, Any]) -> None:
        nonlocal asked
        acknowledge(visitor, request)
        if request["op"] == "subscribe":
            asked += 1
            if asked == 1:
                for frame in (book("snapshot", 5), book("delta", 6), book("delta", 8), book("delta", 9)):
                    visitor.say(**frame)
            else:
                visitor.say(**book("snapshot", 20, bid="99.5"))
                visitor.say(**book("delta", 21))

    stream.on_request = answer
    listener = feed_of(stream, [BOOK])
    gap = await listener.state("gap", BOOK)
    assert gap.reason == "sequence"
    await listener.until(lambda e: isinstance(e, BookUpdate) and e.update_id == 21)
    ids = [event.update_id for event in listener.seen if isinstance(event, BookUpdate)]
    assert ids == [5, 6, 20, 21]
    assert [request["op"] for request in stream.last.requests] == ["subscribe", "unsubscribe", "subscribe"]
    assert listener.feed.counters()["gap_sequence"] == 1
    await listener.close()


async def test_a_restart_of_the_service_is_a_gap_of_its_own_name(stream: LocalStream) -> None:
    def answer(visitor: Visitor, request: dict[str, Any]) -> None:
        acknowledge(visitor, request)
        if request["op"] == "subscribe" and len(visitor.requests) == 1:
            visitor.say(**book("snapshot", 5))
            visitor.say(**book("delta", 1))

    stream.on_request = answer
    listener = feed_of(stream, [BOOK])
    assert (await listener.state("gap", BOOK)).reason == "restart"
    await listener.close()


async def test_comes_back_after_the_line_broke_and_subscribes_again(stream: LocalStream) -> None:
    listener = feed_of(stream, [BOOK, "kline.5.BTCUSDT"])
    await listener.state("up", BOOK)
    stream.last.say(**book("snapshot", 5))
    await listener.until(lambda e: isinstance(e, BookUpdate))
    stream.last.hang_up()
    down = await listener.state("down", BOOK)
    assert down.reason == "ConnectionClosedError"
    await listener.state("up", BOOK)
    assert len(stream.visitors) == 2
    assert stream.subscribed() == [BOOK, "kline.5.BTCUSDT"] * 2
    stream.last.say(**book("delta", 6))  # belongs to a snapshot of the lost connection
    stream.last.say(**book("snapshot", 7))
    after = await listener.until(lambda e: isinstance(e, BookUpdate))
    assert after.update_id == 7
    await listener.close()


async def test_an_unlisted_symbol_is_reported_and_the_others_live(stream: LocalStream) -> None:
    def answer(visitor: Visitor, request: dict[str, Any]) -> None:
        bad = [topic for topic in request.get("args", ()) if topic.endswith("NOPEUSDT")]
        if bad:
            text = f"error:handler not found,topic:{bad[0]}"
            visitor.say(success=False, ret_msg=text, conn_id="c", req_id=request["req_id"], op="subscribe")
        else:
            acknowledge(visitor, request)

    stream.on_request = answer
    listener = feed_of(stream, ["kline.5.BTCUSDT", "kline.5.NOPEUSDT", "kline.5.ETHUSDT"])
    await listener.state("down", "kline.5.NOPEUSDT")
    up = {event.topic for event in listener.seen if isinstance(event, StreamState) and event.kind == "up"}
    up.add((await listener.until(lambda e: isinstance(e, StreamState) and e.kind == "up")).topic) if len(
        up
    ) < 2 else None
    assert up == {"kline.5.BTCUSDT", "kline.5.ETHUSDT"}
    assert listener.feed.refused == {"kline.5.NOPEUSDT": "error:handler not found,topic:kline.5.NOPEUSDT"}
    assert listener.feed.topics == ["kline.5.BTCUSDT", "kline.5.ETHUSDT"]
    await listener.close()


async def test_a_silent_topic_is_named_and_asked_for_again(stream: LocalStream) -> None:
    policy = StreamPolicy(check_every_s=0.01, silence_s={"orderbook": 0.05}, backoff_first_s=0.001)
    listener = feed_of(stream, [BOOK, "publicTrade.BTCUSDT"], policy)
    stale = await listener.state("stale", BOOK)
    assert stale.reason == "silent for 0.05 s"

    def answer(visitor: Visitor, request: dict[str, Any]) -> None:
        acknowledge(visitor, request)
        if request["op"] == "subscribe":
            visitor.say(**book("snapshot", 5))

    stream.on_request = answer
    await listener.state("up", BOOK)
    assert not any(isinstance(e, StreamState) and e.kind == "stale" and "Trade" in e.topic for e in listener.seen)
    await listener.close()


async def test_a_dead_tape_is_noticed_by_the_bars_that_grow_without_it(stream: LocalStream) -> None:
    tape = "publicTrade.BTCUSDT"
    policy = replace(QUICK, tape_silence_s=0.02)
    listener = feed_of(stream, ["kline.5.BTCUSDT", tape], policy)
    up = {(await listener.next()).topic, (await listener.next()).topic}
    assert up == {tape, "kline.5.BTCUSDT"}
    talking = asyncio.create_task(_grow(stream))
    assert (await listener.state("stale", tape)).reason == "silent for 0.02 s"
    talking.cancel()

    def asked() -> list[list[str]]:
        return [request["args"] for request in stream.last.requests if request["op"] == "subscribe"]

    await eventually(lambda: asked()[-1] == [tape])
    await listener.close()


async def _grow(stream: LocalStream) -> None:
    for volume in itertools.count(1):
        frame = kline("BTCUSDT", 300_000, confirm=False)
        frame["data"][0]["volume"] = str(volume)
        stream.last.say(**frame)
        await asyncio.sleep(0.005)


async def test_a_socket_that_stops_answering_pings_is_replaced(stream: LocalStream) -> None:
    policy = StreamPolicy(ping_every_s=0.02, pong_within_s=0.05, check_every_s=0.01, backoff_first_s=0.001)
    listener = feed_of(stream, ["publicTrade.BTCUSDT"], policy)
    await listener.state("up", "publicTrade.BTCUSDT")
    stream.is_mute = True
    assert (await listener.state("down", "publicTrade.BTCUSDT")).reason == "no pong"
    stream.is_mute = False
    await listener.state("up", "publicTrade.BTCUSDT")
    await listener.close()


async def test_many_topics_are_spread_over_sockets_and_symbols_stay_together(stream: LocalStream) -> None:
    policy = StreamPolicy(max_topics=12, topics_per_request=10, check_every_s=0.01)
    topics = topics_of(["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "BNBUSDT"])
    listener = feed_of(stream, topics, policy)
    for _ in topics:
        await listener.until(lambda e: isinstance(e, StreamState) and e.kind == "up")
    sockets = [[topic for request in visitor.requests for topic in request["args"]] for visitor in stream.visitors]
    assert sorted(len(carried) for carried in sockets) == [6, 12, 12]
    assert sorted(topic for carried in sockets for topic in carried) == sorted(topics)
    homes = {topic.rpartition(".")[2]: {i for i, c in enumerate(sockets) if topic in c} for topic in topics}
    assert all(len(home) == 1 for home in homes.values())
    assert all(len(request["args"]) <= 10 for visitor in stream.visitors for request in visitor.requests)
    await listener.close()


async def test_symbols_can_join_and_leave_while_running(stream: LocalStream) -> None:
    listener = feed_of(stream, ["tickers.BTCUSDT"])
    await listener.state("up", "tickers.BTCUSDT")
    listener.feed.add(["kline.5.ETHUSDT"])
    await listener.state("up", "kline.5.ETHUSDT")
    listener.feed.remove(["tickers.BTCUSDT"])
    stream.last.say(topic="tickers.BTCUSDT", type="snapshot", ts=1, data={"symbol": "BTCUSDT", "lastPrice": "1"})
    stream.last.say(**kline("ETHUSDT", 1_700_000_100_000, confirm=False))
    event = await listener.next()
    assert isinstance(event, Kline)
    assert event.symbol == "ETHUSDT"
    await listener.close()


async def test_a_full_queue_drops_book_deltas_but_never_a_confirmed_bar(stream: LocalStream) -> None:
    def flood(visitor: Visitor, request: dict[str, Any]) -> None:
        acknowledge(visitor, request)
        if request["op"] == "subscribe" and len(visitor.requests) == 1:
            visitor.say(**book("snapshot", 1))
            for update_id in range(2, 60):
                visitor.say(**book("delta", update_id))
            for n in range(30):
                visitor.say(**kline("BTCUSDT", 1_700_000_100_000 + 300_000 * n, confirm=True))
            visitor.say(**kline("BTCUSDT", 1_700_000_100_000 + 300_000 * 30, confirm=False))
        elif request["op"] == "subscribe":
            visitor.say(**book("snapshot", 1000))

    stream.on_request = flood
    policy = StreamPolicy(queue_size=10, check_every_s=0.01)
    listener = feed_of(stream, ["kline.5.BTCUSDT", BOOK], policy)
    await listener.next()
    while listener.feed.counters().get("dropped_Kline", 0) == 0:  # noqa: ASYNC110 - a consumer that is elsewhere
        await asyncio.sleep(0)  # lets the reader run while the consumer does not
    assert listener.feed.counters()["dropped_BookUpdate"] > 0
    await listener.until(lambda e: isinstance(e, BookUpdate) and e.update_id == 1000)
    bars = [event for event in listener.seen if isinstance(event, Kline) and event.confirmed]
    assert len(bars) == 30
    assert any(isinstance(e, StreamState) and (e.kind, e.reason) == ("gap", "overflow") for e in listener.seen)
    await listener.close()


async def test_an_unreadable_frame_is_counted_and_survived(stream: LocalStream) -> None:
    listener = feed_of(stream, ["tickers.BTCUSDT"])
    await listener.state("up", "tickers.BTCUSDT")
    stream.last.say_text("<html>busy</html>")
    stream.last.say(topic="kline.5.BTCUSDT", data=[{"start": 1}], ts=1, type="snapshot")
    stream.last.say(topic="tickers.BTCUSDT", type="snapshot", ts=9, data={"symbol": "BTCUSDT", "lastPrice": "65000"})
    event = await listener.next()
    assert isinstance(event, Ticker)
    assert event.last_price == 65000.0
    counters = listener.feed.counters()
    assert (counters["malformed"], counters["fault_frame"], counters["fault_kline"]) == (2, 1, 1)
    await listener.close()


async def test_closing_ends_the_iterator_and_the_tasks(stream: LocalStream) -> None:
    before = len(asyncio.all_tasks())
    listener = feed_of(stream, ["tickers.BTCUSDT"])
    await listener.state("up", "tickers.BTCUSDT")
    await listener.close()
    with pytest.raises(StopAsyncIteration):
        await listener.next()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "public0" not in names
    assert len(asyncio.all_tasks()) <= before + 2  # the server's own handler may still be closing
