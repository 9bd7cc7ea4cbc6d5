"""The private feed: login first, one state for the whole stream, every row of the account."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from avigrid.exchange.bybit.account_feed import BybitAccountFeed
from avigrid.exchange.bybit.policy import StreamPolicy
from avigrid.exchange.ports import AccountEvent, StreamState
from avigrid.kernel.orders import Execution, VenueOrder
from avigrid.kernel.portfolio import VenuePosition
from tests.integration.bybit.local_stream import LocalStream, Visitor, acknowledge, local_stream

NOW_MS = 1_700_000_000_000
QUICK = StreamPolicy(
    backoff_first_s=0.001, backoff_max_s=0.01, check_every_s=0.01, backoff_after_refusal_s=0.001, login_within_s=0.2
)
ORDER = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "orderId": "o1",
    "orderLinkId": "av-1-e0-0-0",
    "side": "Buy",
    "orderType": "Limit",
    "orderStatus": "New",
    "qty": "0.010",
    "price": "30000",
    "createdTime": "1700000000000",
    "updatedTime": "1700000000001",
}
EXECUTION = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "execId": "e1",
    "orderId": "o1",
    "orderLinkId": "av-1-e0-0-0",
    "side": "Buy",
    "execPrice": "30000",
    "execQty": "0.004",
    "execFee": "0.066",
    "execTime": "1700000000005",
    "execType": "Trade",
    "isMaker": False,
    "extraFees": "",
}


@pytest.fixture
async def stream() -> AsyncIterator[LocalStream]:
    async with local_stream() as running:
        yield running


def feed_of(stream: LocalStream) -> BybitAccountFeed:
    return BybitAccountFeed(
        f"{stream.url}/v5/private", api_key="key", api_secret="secret", now_ms=lambda: NOW_MS, policy=QUICK
    )


async def following(events: AsyncIterator[AccountEvent]) -> AccountEvent:
    return await asyncio.wait_for(anext(events), 5)


async def test_logs_in_then_subscribes_then_is_up_once(stream: LocalStream) -> None:
    feed = feed_of(stream)
    events = feed.events()
    assert await following(events) == StreamState("up", "private", "", NOW_MS)
    login, subscribe = stream.last.requests
    key, expires_ms, signature = login["args"]
    assert (login["op"], key, expires_ms) == ("auth", "key", NOW_MS + 10_000)
    assert signature == hmac.new(b"secret", b"GET/realtime1700000010000", hashlib.sha256).hexdigest()
    assert (subscribe["op"], subscribe["args"]) == ("subscribe", ["order", "execution", "position", "wallet"])
    assert stream.last.path == "/v5/private"
    await feed.aclose()


async def test_rows_of_a_frame_become_events_and_other_categories_do_not(stream: LocalStream) -> None:
    feed = feed_of(stream)
    events = feed.events()
    await following(events)
    spot = {**ORDER, "category": "spot", "orderId": "s1"}
    stream.last.say(topic="order", id="x", creationTime=1, data=[spot, ORDER])
    stream.last.say(topic="execution", id="x", creationTime=1, data=[EXECUTION])
    flat = {"positionIdx": 2, "symbol": "BTCUSDT", "side": "", "size": "0", "entryPrice": "0", "liqPrice": ""}
    held = {**flat, "positionIdx": 1, "side": "Buy", "size": "0.004", "entryPrice": "30000", "stopLoss": "29000"}
    stream.last.say(topic="position", id="x", creationTime=1, data=[held, flat])
    order, fill, long_side, short_side = [await following(events) for _ in range(4)]
    assert isinstance(order, VenueOrder)
    assert (order.order_id, order.is_open, order.price) == ("o1", True, Decimal("30000"))
    assert isinstance(fill, Execution)
    assert (fill.exec_id, fill.quantity, fill.fee_usd) == ("e1", Decimal("0.004"), Decimal("0.066"))
    assert isinstance(long_side, VenuePosition)
    assert (long_side.signed_size, long_side.stop_loss) == (Decimal("0.004"), Decimal("29000"))
    assert isinstance(short_side, VenuePosition)
    assert (short_side.side, short_side.avg_price, short_side.position_idx) == (None, None, 2)
    await feed.aclose()


async def test_every_reconnect_says_down_then_up(stream: LocalStream) -> None:
    feed = feed_of(stream)
    events = feed.events()
    await following(events)
    stream.last.hang_up()
    down, up = await following(events), await following(events)
    assert isinstance(down, StreamState)
    assert (down.kind, down.topic, down.reason) == ("down", "private", "ConnectionClosedError")
    assert up == StreamState("up", "private", "", NOW_MS)
    assert feed.counters()["connects"] == 2
    await feed.aclose()


async def test_a_refused_login_is_told_and_tried_again(stream: LocalStream) -> None:
    def refuse_once(visitor: Visitor, request: dict[str, Any]) -> None:
        if request["op"] == "auth" and len(stream.visitors) == 1:
            visitor.say(op="auth", success=False, ret_msg="Params Error: expires", conn_id="c")
        else:
            acknowledge(visitor, request)

    stream.on_request = refuse_once
    feed = feed_of(stream)
    events = feed.events()
    assert await following(events) == StreamState("down", "private", "login refused: Params Error: expires", NOW_MS)
    assert (await following(events)) == StreamState("up", "private", "", NOW_MS)
    assert stream.subscribed() == ["order", "execution", "position", "wallet"]
    await feed.aclose()


async def test_an_unreadable_row_asks_for_reconciliation(stream: LocalStream) -> None:
    feed = feed_of(stream)
    events = feed.events()
    await following(events)
    without_id = {name: value for name, value in EXECUTION.items() if name != "execId"}
    stream.last.say(topic="execution", id="x", creationTime=1, data=[without_id])
    gap = await following(events)
    assert isinstance(gap, StreamState)
    assert (gap.kind, gap.reason) == ("gap", "unreadable message: private_frame")
    assert feed.counters()["fault_private_frame"] == 1
    await feed.aclose()
