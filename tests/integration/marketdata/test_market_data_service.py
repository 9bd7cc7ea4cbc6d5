"""The whole process on a real database: two of them, one dies, no bar is lost or decided twice by one holder."""

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections

from avigrid.common.models import Lease
from avigrid.kernel.clock import FixedClock
from avigrid.kernel.market import Kline
from marketdata.models import DataGap
from marketdata.runtime.database_storage import DatabaseStorage
from marketdata.runtime.options import PipelineOptions
from marketdata.runtime.service import MarketDataService, Wishes
from marketdata.runtime.shards import SYMBOL, ShardKeeper
from marketdata.selectors.book_features import book_feature
from marketdata.selectors.coverage import coverage
from marketdata.services import metrics
from tests.support.bars import T0, saw_table
from tests.support.market_reader import FakeMarketReader
from tests.support.market_runtime import FakeBook, FakeFeed, eventually

pytestmark = pytest.mark.django_db(transaction=True)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
MIN_MS = 60_000
OPTIONS = PipelineOptions(
    intervals_min=(5, 15), tick_s=0.01, late_s=3600.0, companion_wait_s=2.0, warm_up_bars=((5, 12), (15, 4))
)
db = sync_to_async(thread_sensitive=True)


class World:
    """One venue: what it knows over REST, and the processes that listen to it."""

    def __init__(self) -> None:
        self.clock = FixedClock(T0 + 60 * MIN_MS)
        self.reader = FakeMarketReader()
        self.processes: list[Process] = []
        for symbol in SYMBOLS:
            for interval_min in (5, 15):
                self._know(saw_table(60 // interval_min, symbol=symbol, interval_min=interval_min).klines())

    def _know(self, bars) -> None:
        for bar in bars:
            self.reader.bars[bar.symbol, bar.interval_min, bar.start_ms] = bar

    def close(self, minutes: int, interval_min: int = 5, *, streamed: bool = True) -> None:
        """The bar that opens so many minutes after T0 closes: REST knows it, and every live feed tells it."""
        for symbol in SYMBOLS:
            bar = Kline(symbol, interval_min, T0 + minutes * MIN_MS, 100.0, 101.0, 99.0, 100.5, 5.0, 500.0, True)
            self._know([bar])
            self.clock._now_ms = max(self.clock.now_ms(), bar.end_ms + 100)
            for process in self.processes:
                if streamed and f"kline.{symbol}" in process.feed.topics:
                    process.feed.push(bar)


class Process:
    def __init__(self, world: World, name: str, *, options: PipelineOptions = OPTIONS) -> None:
        self.world = world
        self.feed = FakeFeed()
        self.decided: list[tuple[str, int, bool]] = []
        self.reasons: list[str] = []
        self.stop = asyncio.Event()
        self.service = MarketDataService(
            feed=self.feed,
            topics_of=lambda symbol: [f"kline.{symbol}"],
            book_factory=FakeBook,
            storage=DatabaseStorage(world.reader, OPTIONS),
            keeper=ShardKeeper(holder=name),
            wishes=lambda: Wishes(SYMBOLS),
            clock=world.clock,
            on_bar=self._on_bar,
            options=options,
            tick_s=0.02,
        )
        self.task = asyncio.create_task(self.service.run(self.stop))
        world.processes.append(self)

    async def _on_bar(self, event) -> None:
        self.decided.append((event.symbol, (event.bar.start_ms - T0) // MIN_MS, event.is_recovered))
        self.reasons.append(event.interruption)

    def minutes(self, symbol: str) -> list[int]:
        return [minutes for name, minutes, _ in self.decided if name == symbol]

    async def end(self) -> None:
        self.stop.set()
        await asyncio.wait_for(self.task, 20)
        self.world.processes.remove(self)

    async def die(self) -> None:
        """Nothing is drained, nothing given back; its time runs out."""
        self.world.processes.remove(self)
        self.service._keeper.leave = lambda: None
        self.service._storage.bar = None  # it may not write any more
        for running in self.service._running.values():
            running.task.cancel()
        self.stop.set()
        await asyncio.wait_for(self.task, 20)
        await db(_expire)(self.service._keeper.holder)


@contextmanager
def bars_locked():
    """Another client holds the table of bars: it can be read, but every insert waits."""
    settings = connection.get_connection_params() | {"cursor_factory": None}
    names = ("dbname", "host", "port", "user", "password")
    with psycopg.connect(**{name: settings[name] for name in names if settings.get(name)}) as other:
        other.execute("LOCK TABLE marketdata_kline IN EXCLUSIVE MODE")
        yield
        other.rollback()


def _lease_ends() -> list[datetime]:
    return list(Lease.objects.filter(name__startswith=SYMBOL).order_by("name").values_list("expires_at", flat=True))


def _expire(holder: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE common_lease SET expires_at = clock_timestamp() - interval '1 second' WHERE holder = %s", [holder]
        )


@asynccontextmanager
async def world():
    made = World()
    try:
        yield made
    finally:
        for process in list(made.processes):
            await process.end()
        await db(connections.close_all)()


async def test_history_first_then_each_bar_once_and_a_clean_end():
    async with world() as w:
        one = Process(w, "one")
        await eventually(lambda: one.minutes("BTCUSDT") == [55] and one.minutes("ETHUSDT") == [55])
        w.close(60)
        await eventually(lambda: one.minutes("BTCUSDT") == [55, 60] and one.minutes("ETHUSDT") == [55, 60])
        w.close(65)
        await one.end()
        # what was streamed before the end was asked for is stored and decided
        assert one.minutes("BTCUSDT")[:2] == [55, 60]
        report = await db(coverage)("BTCUSDT", 5)
        assert (report.first_ms, report.holes) == (T0, ())
        feature = await db(book_feature)("BTCUSDT", T0 + 60 * MIN_MS)
        assert feature.time_ms == T0 + 65 * MIN_MS + 100
        assert one.feed.is_closed
        assert one.feed.topics == set()


async def test_bars_lost_on_the_way_are_fetched_and_recorded_as_a_gap():
    async with world() as w:
        one = Process(w, "one")
        await eventually(lambda: one.minutes("BTCUSDT") == [55] and one.minutes("ETHUSDT") == [55])
        w.close(60, streamed=False)
        w.close(65, streamed=False)
        w.close(60, 15, streamed=False)
        w.close(70)
        await eventually(lambda: one.minutes("BTCUSDT") == [55, 60, 65, 70])
        assert [recovered for name, _, recovered in one.decided if name == "BTCUSDT"] == [True, True, True, False]
        gaps = await db(lambda: list(DataGap.objects.filter(symbol="BTCUSDT", interval_min=5)))()
        assert [(gap.bars_filled, gap.filled_at is not None, gap.reason) for gap in gaps] == [(2, True, "missed_bar")]


async def test_two_processes_share_and_the_survivor_takes_over_without_a_lost_bar():
    async with world() as w:
        one = Process(w, "one")
        await eventually(lambda: len(one.service.symbols) == 2)
        two = Process(w, "two")
        await eventually(lambda: len(one.service.symbols) == 1 and len(two.service.symbols) == 1)
        (moved,) = two.service.symbols
        await eventually(lambda: set(two.minutes(moved)) == {55})
        w.close(60)
        await eventually(lambda: set(two.minutes(moved)) == {55, 60})
        await two.die()
        w.close(65)
        await eventually(lambda: len(one.service.symbols) == 2, within_s=15)
        await eventually(lambda: one.minutes(moved)[-1] == 65)
        w.close(70)
        w.close(60, 15)
        await eventually(lambda: one.minutes(moved)[-1] == 70)
        report = await db(coverage)(moved, 5)
        assert (report.bars, report.last_ms, report.holes) == (15, T0 + 70 * MIN_MS, ())
        # who holds a symbol anew, after a late lease say, repeats its newest bar; evaluated twice it changes nothing
        assert set(two.minutes(moved)) == {55, 60}
        assert sorted(set(two.minutes(moved) + one.minutes(moved))) == [55, 60, 65, 70]


async def test_a_held_database_delays_every_bar_and_loses_none():
    counted = [metrics.BARS_DELAYED.labels(symbol=symbol)._value for symbol in SYMBOLS]
    before = [count.get() for count in counted]
    async with world() as w:
        one = Process(w, "one", options=replace(OPTIONS, slow_store_s=0.05))
        await eventually(lambda: one.minutes("BTCUSDT") == [55] and one.minutes("ETHUSDT") == [55])
        leases_end = await db(_lease_ends)()
        with bars_locked():
            w.close(60)
            w.close(65)
            w.close(70)
            w.close(60, 15)
            await eventually(lambda: all(now.get() > then for now, then in zip(counted, before, strict=True)))
            assert [one.minutes(symbol) for symbol in SYMBOLS] == [[55], [55]]
            assert (await db(coverage)("BTCUSDT", 5)).bars == 12
            # the process keeps its symbols meanwhile
            await renewed_since(leases_end)
            assert sorted(one.service.symbols) == sorted(SYMBOLS)
        await eventually(lambda: all(one.minutes(symbol) == [55, 60, 65, 70] for symbol in SYMBOLS))
        assert one.reasons == ["start"] * 2 + ["database_slow"] * 6
        assert not any(recovered for _, minutes, recovered in one.decided if minutes > 55)
        for symbol in SYMBOLS:
            report = await db(coverage)(symbol, 5)
            assert (report.bars, report.holes) == (15, ())
            assert (await db(coverage)(symbol, 15)).bars == 5
        assert await db(DataGap.objects.count)() == 0


async def renewed_since(before: list[datetime]) -> None:
    async with asyncio.timeout(10):
        while not all(now > then for now, then in zip(await db(_lease_ends)(), before, strict=True)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
