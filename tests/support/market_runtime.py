"""Hand-made parts for the market-data pipeline: storage in memory, a feed to push into, a book that is told."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable

from avigrid.common.leases import LeaseLost
from avigrid.kernel.market import BookFeatures, Kline
from marketdata.runtime.recovery import Recovery


async def eventually(condition, *, within_s: float = 5.0) -> None:
    """Returns as soon as `condition()` holds."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class FakeStorage:
    """A venue (`venue`) and a table (`table`) of bars; failures are queued and raised once each."""

    def __init__(self) -> None:
        self.table: dict[tuple[str, int, int], tuple[Kline, BookFeatures | None]] = {}
        self.venue: dict[tuple[str, int, int], Kline] = {}
        self.order: list[tuple[int, int]] = []
        self.recoveries: list[str] = []
        self.bar_failures: list[Exception] = []
        self.recover_failures: list[Exception] = []
        self.stored_trades: list[object] = []
        self.stored_stretches: list[list[object]] = []
        self.tape_recovered: list[str] = []
        self.lease_is_lost = False
        self.gate = threading.Event()
        self.gate.set()

    def bar(self, bar, features, *, now_ms, lease):
        assert self.gate.wait(10)
        if self.lease_is_lost:
            raise LeaseLost("taken")
        if self.bar_failures:
            raise self.bar_failures.pop(0)
        key = (bar.symbol, bar.interval_min, bar.start_ms)
        if key not in self.table:
            self.table[key] = (bar, features)
            self.order.append((bar.interval_min, bar.start_ms))

    def recover(self, symbol, since_ms, *, now_ms, features, reason, lease):
        self.recoveries.append(reason)
        if self.recover_failures:
            raise self.recover_failures.pop(0)
        until, fetched, late = {}, 0, False
        for interval_min, start_ms in since_ms.items():
            step_ms = interval_min * 60_000
            end_ms = now_ms - now_ms % step_ms
            for at in range(start_ms, end_ms, step_ms):
                key = (symbol, interval_min, at)
                if key in self.table:
                    continue
                if key in self.venue:
                    self.table[key] = (self.venue[key], None)
                    fetched += 1
                elif at + step_ms == end_ms:
                    late = True
                    end_ms = at
            until[interval_min] = end_ms
        decisions = [
            self.table[symbol, 5, at] for at in range(since_ms[5], until[5], 300_000) if (symbol, 5, at) in self.table
        ]
        return Recovery(until, fetched, late, tuple(decisions))

    def recover_tape(self, symbol, *, now_ms):
        self.tape_recovered.append(symbol)

    def trades(self, trades):
        self.stored_trades += trades

    def book_log(self, updates):
        self.stored_stretches.append(list(updates))


class FakeBook:
    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.is_ready = True
        self.imbalance = 0.5
        self.next_fault: str | None = None
        self.applied = 0

    def apply(self, update):
        self.applied += 1
        if update.is_snapshot:
            self.is_ready = True
        fault, self.next_fault = self.next_fault, None
        if fault:
            self.is_ready = False
        return fault

    def check_top(self, top):
        return None

    def invalidate(self):
        self.is_ready = False

    def features(self, time_ms):
        if not self.is_ready:
            return None
        return BookFeatures(self.symbol, time_ms, 100.0, self.imbalance, 100.0, 1.0, 1e5)

    def bids(self):
        return [(99.0, 1.0)]

    def asks(self):
        return [(101.0, 2.0)]


class FakeFeed:
    def __init__(self) -> None:
        self.topics: set[str] = set()
        self.resyncs: list[tuple[str, str]] = []
        self.is_closed = False
        self._queue: asyncio.Queue[object] = asyncio.Queue()

    def push(self, *events: object) -> None:
        for event in events:
            self._queue.put_nowait(event)

    async def events(self) -> AsyncIterator[object]:
        while True:
            yield await self._queue.get()

    def add(self, topics: Iterable[str]) -> None:
        self.topics |= set(topics)

    def remove(self, topics: Iterable[str]) -> None:
        self.topics -= set(topics)

    def resync(self, topic: str, reason: str) -> None:
        self.resyncs.append((topic, reason))

    async def aclose(self) -> None:
        self.is_closed = True
