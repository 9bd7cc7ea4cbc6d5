"""Where each event goes, and what is believed after the stream was broken."""

import asyncio
from dataclasses import replace

import pytest

from avigrid.exchange.bybit.orderbook import OrderBook
from avigrid.exchange.ports import StreamState
from avigrid.kernel.clock import FixedClock
from avigrid.kernel.market import BookUpdate, Kline, PublicTrade, Ticker
from marketdata.runtime.database_threads import DatabaseThreads
from marketdata.runtime.jobs import BarJob, CatchUpJob, SymbolState
from marketdata.runtime.options import PipelineOptions
from marketdata.runtime.router import Router
from marketdata.runtime.stretches import STRETCH_MS
from marketdata.runtime.tape import Tape
from tests.support.bars import T0
from tests.support.market_runtime import FakeBook, FakeFeed, FakeStorage, eventually


class FakeWorker:
    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.state = SymbolState(FakeBook(symbol))
        self.jobs = []
        self.room = asyncio.Event()
        self.room.set()

    async def put(self, job) -> None:
        await self.room.wait()
        self.jobs.append(job)


def kline(symbol="BTCUSDT", interval_min=5, confirmed=True) -> Kline:
    return Kline(symbol, interval_min, T0, 100.0, 101.0, 99.0, 100.5, 5.0, 500.0, confirmed)


def book(symbol="BTCUSDT", *, depth=50, snapshot=False, update_id=2, at_ms=T0) -> BookUpdate:
    return BookUpdate(symbol, depth, snapshot, ((99.0, 1.0),), ((101.0, 2.0),), update_id, 1, at_ms, at_ms)


def trade(number: int, symbol="BTCUSDT") -> PublicTrade:
    return PublicTrade(symbol, f"t{number}", T0 + number, 100.0, 1.0, True)


@pytest.fixture
async def desk():
    class Desk:
        def __init__(self):
            self.feed = FakeFeed()
            self.workers = {name: FakeWorker(name) for name in ("BTCUSDT", "ETHUSDT")}
            self.storage = FakeStorage()
            self.threads = DatabaseThreads(1)
            self.tape = Tape(self.storage, self.threads)
            self.tickers = []
            self.router = Router(
                self.feed,
                self.workers,
                self.tape,
                FixedClock(T0 + 300_150),
                PipelineOptions(),
                tape_symbols=frozenset({"BTCUSDT"}),
                book_log_symbols=frozenset({"BTCUSDT"}),
                on_ticker=self.tickers.append,
            )

        async def route(self, *events):
            """Returns when all of them were routed."""
            last = Ticker("BTCUSDT", 1, 1, 1, 1, 1, 0.0, 0, len(self.tickers))
            self.feed.push(*events, last)
            await eventually(lambda: self.workers["BTCUSDT"].state.ticker == last)

    made = Desk()
    task = asyncio.create_task(made.router.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await made.router.settle()
    await made.threads.close()


async def test_a_confirmed_5m_bar_carries_the_book_of_that_moment(desk):
    await desk.route(kline(), kline("ETHUSDT", 15), kline("ETHUSDT", 3), kline("XRPUSDT"))
    (job,) = desk.workers["BTCUSDT"].jobs
    assert job == BarJob(
        kline(), desk.workers["BTCUSDT"].state.book.features(T0 + 300_150), T0 + 300_150, job.received_s
    )
    (other,) = desk.workers["ETHUSDT"].jobs
    assert (other.bar.interval_min, other.features) == (15, None)


async def test_an_untrusted_book_gives_no_features(desk):
    desk.workers["BTCUSDT"].state.book.is_ready = False
    await desk.route(kline())
    assert desk.workers["BTCUSDT"].jobs[0].features is None


async def test_an_unclosed_bar_is_only_looked_at(desk):
    await desk.route(kline(confirmed=False))
    assert desk.workers["BTCUSDT"].jobs == []
    assert desk.workers["BTCUSDT"].state.forming == {5: kline(confirmed=False)}


async def test_a_book_fault_asks_for_a_snapshot(desk):
    desk.workers["BTCUSDT"].state.book.next_fault = "crossed"
    await desk.route(book(), book("ETHUSDT"), book("ETHUSDT", depth=1))
    assert desk.feed.resyncs == [("orderbook.50.BTCUSDT", "crossed")]
    assert desk.workers["ETHUSDT"].state.book.applied == 1


@pytest.mark.parametrize("order", ["top first", "deep first"])
async def test_the_shallow_book_is_a_second_witness_of_the_best_prices(desk, order):
    desk.workers["BTCUSDT"].state.book = OrderBook("BTCUSDT")
    top = replace(book(depth=1, snapshot=True), bids=((98.0, 1.0),))
    pair = [top, book(snapshot=True)]
    await desk.route(*(pair if order == "top first" else reversed(pair)))
    assert desk.feed.resyncs == [("orderbook.50.BTCUSDT", "top_differs")]
    assert not desk.workers["BTCUSDT"].state.book.is_ready


@pytest.mark.parametrize("kind", ["down", "stale", "gap"])
async def test_a_broken_book_topic_ends_trust_in_that_book_only(desk, kind):
    await desk.route(StreamState(kind, "orderbook.50.BTCUSDT", "why", T0))
    assert [worker.state.book.is_ready for worker in desk.workers.values()] == [False, True]
    assert desk.workers["BTCUSDT"].jobs == []


async def test_bars_are_looked_for_when_their_topic_is_back(desk):
    await desk.route(StreamState("down", "kline.5.BTCUSDT", "closed", T0))
    assert desk.workers["BTCUSDT"].jobs == []
    await desk.route(StreamState("up", "kline.5.BTCUSDT", "", T0))
    assert desk.workers["BTCUSDT"].jobs == [CatchUpJob("stream_up")]
    assert desk.workers["ETHUSDT"].jobs == []


async def test_a_state_without_a_topic_is_everybodys(desk):
    await desk.route(StreamState("down", "", "closed", T0), StreamState("up", "", "", T0))
    for worker in desk.workers.values():
        assert not worker.state.book.is_ready
        assert worker.jobs == [CatchUpJob("stream_up")]


async def test_a_bar_waits_for_room_even_when_routing_is_cancelled(desk):
    desk.workers["BTCUSDT"].room.clear()
    desk.feed.push(kline(), kline("ETHUSDT"))
    await eventually(lambda: len(desk.router._waiting) == 1)
    assert desk.workers["ETHUSDT"].jobs == []
    for task in asyncio.all_tasks():
        if task.get_coro().__qualname__ == "Router.run":
            task.cancel()
    desk.workers["BTCUSDT"].room.set()
    await desk.router.settle()
    assert [job.bar for job in desk.workers["BTCUSDT"].jobs] == [kline()]


async def test_trades_and_book_are_taped_for_chosen_symbols_only(desk):
    await desk.route(
        trade(1),
        trade(2, "ETHUSDT"),
        book(snapshot=True, update_id=1),
        book(update_id=2, at_ms=T0 + 20),
        book("ETHUSDT", snapshot=True),
        book(update_id=3, at_ms=T0 + STRETCH_MS),
    )
    await desk.tape.flush(finish=True)
    assert desk.storage.stored_trades == [trade(1)]
    first, second = desk.storage.stored_stretches
    assert [(update.is_snapshot, update.update_id) for update in first] == [(True, 1), (False, 2)]
    # a stretch that begins between snapshots begins with the whole book as it stood
    assert [(update.is_snapshot, update.update_id, update.bids) for update in second] == [(True, 3, ((99.0, 1.0),))]


async def test_a_failing_tape_keeps_what_it_could_not_store(desk):
    async def failing(call, *args):
        raise ConnectionError("gone")

    real, desk.threads.run = desk.threads.run, failing
    await desk.route(trade(1), trade(2))
    await desk.tape.flush()
    assert desk.storage.stored_trades == []
    desk.threads.run = real
    await desk.tape.flush()
    assert desk.storage.stored_trades == [trade(1), trade(2)]
