"""Order, completeness and patience of one symbol's worker, with storage in memory and a clock moved by hand."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from django.db import OperationalError

from avigrid.kernel.clock import FixedClock
from avigrid.kernel.errors import InvalidCandle, Retryable
from avigrid.kernel.market import Kline
from marketdata.runtime.database_threads import DatabaseThreads
from marketdata.runtime.jobs import BarJob, CatchUpJob, StopJob, SymbolState
from marketdata.runtime.options import PipelineOptions
from marketdata.runtime.symbol_worker import SymbolWorker
from marketdata.services import metrics
from tests.support.bars import T0
from tests.support.market_runtime import FakeBook, FakeStorage, eventually

MIN_MS = 60_000
OPTIONS = PipelineOptions(
    intervals_min=(5, 15),
    tick_s=0.001,
    retry_first_s=0.001,
    retry_max_s=0.002,
    late_s=0.0,
    companion_wait_s=0.02,
    warm_up_bars=((5, 3), (15, 1)),
    queue_size=4,
)


def bar_at(minutes: int, interval_min: int = 5) -> Kline:
    """The bar that opens so many minutes after T0."""
    return Kline("BTCUSDT", interval_min, T0 + minutes * MIN_MS, 100.0, 101.0, 99.0, 100.5, 5.0, 500.0, True)


class Desk:
    def __init__(self, *, options: PipelineOptions = OPTIONS, on_bar=None) -> None:
        self.storage = FakeStorage()
        self.clock = FixedClock(T0)
        self.book = FakeBook("BTCUSDT")
        self.events = []
        self.threads = DatabaseThreads(2)
        self.worker = SymbolWorker(
            "BTCUSDT",
            SymbolState(self.book),
            storage=self.storage,
            threads=self.threads,
            clock=self.clock,
            on_bar=on_bar or self._on_bar,
            lease=None,
            options=options,
        )
        for minutes in range(-60, 0, 5):
            self.know(bar_at(minutes))
        for minutes in range(-60, 0, 15):
            self.know(bar_at(minutes, 15))

    async def _on_bar(self, event) -> None:
        self.events.append(event)

    def know(self, bar: Kline) -> None:
        """The venue can be asked for it over REST."""
        self.storage.venue[bar.symbol, bar.interval_min, bar.start_ms] = bar

    async def stream(self, minutes: int, interval_min: int = 5, *, settle: bool = True, **changes) -> None:
        """The stream confirms the bar 200 ms after its end; REST knows it from then on."""
        bar = replace(bar_at(minutes, interval_min), **changes)
        self.know(bar_at(minutes, interval_min))
        self.clock._now_ms = max(self.clock.now_ms(), bar.end_ms + 200)
        features = self.book.features(self.clock.now_ms())
        await self.worker.put(BarJob(bar, features, self.clock.now_ms(), time.monotonic()))
        if settle:
            await eventually(lambda: (bar.symbol, bar.interval_min, bar.start_ms) in self.storage.table)

    def decided(self) -> list[int]:
        """Minutes after T0 at which the decided bars opened."""
        return [(event.bar.start_ms - T0) // MIN_MS for event in self.events]


@asynccontextmanager
async def running(desk: Desk, *, started: bool = True):
    task = asyncio.create_task(desk.worker.run())
    try:
        if started:
            await eventually(lambda: desk.decided() == [-5])
        yield desk
        await desk.worker.put(StopJob())
        await asyncio.wait_for(task, 5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await desk.threads.close()


async def test_the_start_fetches_history_and_repeats_only_the_newest_bar():
    async with running(Desk()) as desk:
        assert sorted(desk.storage.table) == [
            ("BTCUSDT", 5, T0 - 15 * MIN_MS),
            ("BTCUSDT", 5, T0 - 10 * MIN_MS),
            ("BTCUSDT", 5, T0 - 5 * MIN_MS),
            ("BTCUSDT", 15, T0 - 15 * MIN_MS),
        ]
        (event,) = desk.events
        assert (event.is_recovered, event.features) == (True, None)


async def test_a_confirmed_bar_is_stored_with_its_features_and_then_decided():
    async with running(Desk()) as desk:
        await desk.stream(0)
        await eventually(lambda: desk.decided() == [-5, 0])
        event = desk.events[-1]
        assert event.features == desk.storage.table["BTCUSDT", 5, T0][1]
        assert event.features.time_ms == T0 + 5 * MIN_MS + 200
        assert (event.is_recovered, event.interruption, event.is_complete) == (False, "", True)
        assert event.received_ms == T0 + 5 * MIN_MS + 200


async def test_a_late_duplicate_is_not_decided_again():
    async with running(Desk()) as desk:
        await desk.stream(0)
        await desk.stream(0, close=99.5)
        await desk.stream(5)
        await eventually(lambda: desk.decided() == [-5, 0, 5])
        assert desk.storage.table["BTCUSDT", 5, T0][0].close == 100.5


async def test_a_bar_that_closes_a_15m_bar_waits_for_it():
    async with running(Desk(options=replace(OPTIONS, companion_wait_s=5.0))) as desk:
        await desk.stream(0)
        await desk.stream(5)
        await desk.stream(10)
        assert desk.decided() == [-5, 0, 5]
        await desk.stream(0, 15)
        await eventually(lambda: desk.decided() == [-5, 0, 5, 10])
        assert desk.events[-1].is_complete
        assert desk.storage.order[-2:] == [(5, T0 + 10 * MIN_MS), (15, T0)]


async def test_a_15m_bar_that_does_not_come_is_fetched():
    async with running(Desk()) as desk:
        await desk.stream(0)
        await desk.stream(5)
        desk.know(bar_at(0, 15))
        await desk.stream(10)
        await eventually(lambda: desk.decided() == [-5, 0, 5, 10])
        assert "late_companion" in desk.storage.recoveries
        assert ("BTCUSDT", 15, T0) in desk.storage.table
        event = desk.events[-1]
        assert (event.is_complete, event.is_recovered, event.interruption) == (True, False, "late_companion")


async def test_missed_bars_are_there_before_the_next_decision_and_it_says_so():
    async with running(Desk()) as desk:
        desk.know(bar_at(0))
        desk.know(bar_at(5))
        desk.know(bar_at(0, 15))
        await desk.stream(10)
        await eventually(lambda: desk.decided() == [-5, 0, 5, 10])
        await desk.stream(15)
        await eventually(lambda: desk.decided() == [-5, 0, 5, 10, 15])
        assert [(event.is_recovered, event.interruption) for event in desk.events[1:]] == [
            (True, "missed_bar"),
            (True, "missed_bar"),
            (False, "missed_bar"),
            (False, ""),
        ]
        assert desk.events[1].bars_recovered == 3
        assert desk.events[3].features is not None


async def test_while_the_venue_does_not_answer_bars_are_stored_but_not_decided():
    async with running(Desk()) as desk:
        desk.storage.recover_failures = [Retryable("busy")] * 10_000
        await desk.worker.put(CatchUpJob("stream_up"))
        await desk.stream(0)
        await desk.stream(5)
        assert desk.decided() == [-5]
        assert desk.worker.health().catching_up == "stream_up"
        desk.storage.recover_failures.clear()
        await eventually(lambda: desk.decided() == [-5, 0, 5])
        assert [event.interruption for event in desk.events[1:]] == ["stream_up", "stream_up"]
        health = desk.worker.health()
        assert (health.catching_up, health.queued, health.decided_ms) == ("", 0, T0 + 5 * MIN_MS)


async def test_an_interruption_without_a_loss_leaves_no_trace_in_decisions():
    async with running(Desk()) as desk:
        await desk.worker.put(CatchUpJob("stream_up"))
        await eventually(lambda: desk.storage.recoveries == ["start", "stream_up"])
        await desk.stream(0)
        await eventually(lambda: desk.decided() == [-5, 0])
        assert (desk.events[-1].interruption, desk.events[-1].is_recovered) == ("", False)


async def test_bars_recovered_without_a_decision_are_told_with_the_next_one():
    async with running(Desk()) as desk:
        # the missing companion of the 10-minute bar comes with the third answer of the venue
        await desk.stream(0)
        await desk.stream(5)
        await desk.stream(10)
        await eventually(lambda: desk.decided() == [-5, 0, 5, 10])
        assert not desk.events[-1].is_complete
        asked = len(desk.storage.recoveries)
        await eventually(lambda: len(desk.storage.recoveries) >= asked + 2)
        desk.know(bar_at(0, 15))
        await eventually(lambda: ("BTCUSDT", 15, T0) in desk.storage.table)
        await desk.stream(15)
        await eventually(lambda: desk.decided() == [-5, 0, 5, 10, 15])
        assert (desk.events[-1].interruption, desk.events[-1].bars_recovered) == ("late_companion", 1)


async def test_a_bar_the_stream_never_confirms_is_asked_for():
    async with running(Desk()) as desk:
        desk.know(bar_at(0))
        desk.clock.advance(5 * MIN_MS + OPTIONS.late_ms - 1)
        await desk.worker.put(CatchUpJob("nudge"))
        await eventually(lambda: desk.decided() == [-5, 0])
        desk.know(bar_at(5))
        desk.clock.advance(5 * MIN_MS)
        await asyncio.wait_for(eventually(lambda: "late_bar" not in desk.storage.recoveries), 1)
        desk.clock.advance(1)
        await eventually(lambda: desk.decided() == [-5, 0, 5])
        assert desk.storage.recoveries[-1] == "late_bar"
        assert desk.events[-1].is_recovered


async def test_a_slow_database_delays_and_loses_nothing():
    async with running(Desk()) as desk:
        desk.storage.bar_failures = [OperationalError("gone")] * 10_000
        await desk.stream(0, settle=False)
        await eventually(lambda: desk.worker.health().store_delayed_s > 0)
        assert desk.decided() == [-5]
        desk.storage.bar_failures.clear()
        await eventually(lambda: desk.decided() == [-5, 0])
        assert desk.worker.health().store_delayed_s == 0


async def test_a_blocked_database_is_counted_while_it_blocks_and_decisions_say_so():
    counted = metrics.BARS_DELAYED.labels(symbol="BTCUSDT")._value
    before = counted.get()
    async with running(Desk(options=replace(OPTIONS, slow_store_s=0.005))) as desk:
        desk.storage.gate.clear()
        await desk.stream(0, settle=False)
        await desk.stream(5, settle=False)
        queued_s = time.monotonic()
        await eventually(lambda: counted.get() == before + 1 and time.monotonic() - queued_s > 0.01)
        assert desk.worker.health().store_delayed_s > 0
        assert desk.decided() == [-5]
        desk.storage.gate.set()
        await eventually(lambda: desk.decided() == [-5, 0, 5])
        assert [event.interruption for event in desk.events[1:]] == ["database_slow", "database_slow"]
        assert counted.get() == before + 2  # the second waited in the queue for as long
    async with running(Desk(options=replace(OPTIONS, slow_store_s=60.0))) as quick:
        await quick.stream(0)
        await eventually(lambda: quick.decided() == [-5, 0])
        assert quick.events[-1].interruption == ""


async def test_a_full_queue_holds_the_stream_back():
    async with running(Desk()) as desk:
        desk.storage.gate.clear()
        puts = [asyncio.create_task(desk.stream(minutes, settle=False)) for minutes in range(0, 40, 5)]
        await eventually(lambda: sum(put.done() for put in puts) == 5)  # one being stored, four queued
        assert not puts[5].done()
        for minutes in (0, 15):
            desk.know(bar_at(minutes, 15))
        desk.storage.gate.set()
        await eventually(lambda: desk.decided() == [-5, 0, 5, 10, 15, 20, 25, 30, 35])
        await asyncio.gather(*puts)


async def test_an_invalid_bar_is_replaced_by_the_venues_answer():
    async with running(Desk()) as desk:
        desk.storage.bar_failures = [InvalidCandle("bad")]
        await desk.stream(0, low=200.0)
        await eventually(lambda: desk.decided() == [-5, 0])
        assert desk.storage.table["BTCUSDT", 5, T0][0].low == 99.0
        assert desk.events[-1].interruption == "invalid_bar"


async def test_a_raising_decision_does_not_stop_the_next():
    seen = []

    def on_bar(event):
        seen.append(event.bar.start_ms)
        raise ValueError("boom")

    desk = Desk(on_bar=on_bar)
    async with running(desk, started=False):
        await eventually(lambda: len(seen) == 1)
        await desk.stream(0)
        await desk.stream(5)
        await eventually(lambda: seen == [T0 - 5 * MIN_MS, T0, T0 + 5 * MIN_MS])


async def test_queued_bars_are_finished_before_the_worker_stops():
    desk = Desk()
    async with running(desk):
        for minutes in (0, 5):
            await desk.stream(minutes)
    assert desk.decided() == [-5, 0, 5]


async def test_a_lost_lease_ends_the_worker_and_stores_nothing():
    desk = Desk()
    task = asyncio.create_task(desk.worker.run())
    await eventually(lambda: desk.decided() == [-5])
    desk.storage.lease_is_lost = True
    await desk.stream(0, settle=False)
    await asyncio.wait_for(task, 5)
    assert desk.worker.lease_lost
    assert desk.decided() == [-5]
    assert ("BTCUSDT", 5, T0) not in desk.storage.table
    await desk.threads.close()


@pytest.mark.parametrize("count", [1, 3])
async def test_database_threads_close_every_connection_once(count):
    threads = DatabaseThreads(count)
    assert await threads.run(sum, [1, 2]) == 3
    await asyncio.wait_for(threads.close(), 5)
