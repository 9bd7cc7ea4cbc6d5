"""The live source against a stand-in: another simulated exchange plays the real one."""

import asyncio
import contextlib
import time
from decimal import Decimal

from avigrid.exchange.simulator.feed import BookTarget, MarkTick, TapeTrade
from avigrid.exchange.simulator.sources.live import LiveSource
from tests.support.simulator_server import Running


def live(simulator: Running) -> LiveSource:
    return LiveSource(
        ("BTCUSDT", "SOLUSDT"),
        url=f"{simulator.ws_url}/v5/public/linear",
        rest_url=simulator.url,
        now_ms=simulator.exchange.venue.now_ms,
    )


async def until(source: LiveSource, frames: int) -> None:
    end = time.monotonic() + 15
    while source.frames < frames:
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_what_the_exchange_says_becomes_the_market(simulator: Running) -> None:
    source = await asyncio.to_thread(live, simulator)
    feeding = asyncio.create_task(source.feed())
    try:
        await until(source, 40)
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await feeding
    events = list(source.events_until(simulator.exchange.venue.now_ms + 60_000))
    assert {type(event) for event in events} >= {BookTarget, MarkTick, TapeTrade}
    assert {event.symbol for event in events} == {"BTCUSDT", "SOLUSDT"}
    assert [event.time_ms for event in events] == sorted(event.time_ms for event in events)
    book = next(event for event in events if isinstance(event, BookTarget) and event.symbol == "BTCUSDT")
    assert len(book.bids) == 200
    assert Decimal(90_000) < book.bids[0][0] < book.asks[0][0] < Decimal(110_000)


async def test_the_history_comes_by_rest(simulator: Running) -> None:
    source = await asyncio.to_thread(live, simulator)
    interval_min, bars = await asyncio.to_thread(source.history, "BTCUSDT")
    assert interval_min == 5
    assert len(bars) >= 290
    assert all(after.start_ms - before.start_ms == 300_000 for before, after in zip(bars, bars[1:], strict=False))


async def test_a_cut_connection_is_opened_again(simulator: Running) -> None:
    source = await asyncio.to_thread(live, simulator)
    feeding = asyncio.create_task(source.feed())
    try:
        await until(source, 10)
        await asyncio.to_thread(simulator.sim, "POST", "/sim/faults", {"name": "disconnect"})
        await until(source, source.frames + 10)
    finally:
        feeding.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await feeding
    assert source.connections == 2


def test_an_unreachable_history_is_empty() -> None:
    source = LiveSource(("BTCUSDT",), url="ws://127.0.0.1:9/x", rest_url="http://127.0.0.1:9", now_ms=0)
    assert source.history("BTCUSDT") == (5, [])
    assert source.fundings("BTCUSDT") == []
