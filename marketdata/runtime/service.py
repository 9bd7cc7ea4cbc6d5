"""The market-data process: takes symbols by lease, runs one worker each behind one feed, drains on the way out."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db import DatabaseError, InterfaceError

from avigrid.common.leases import HeldLease
from avigrid.kernel.clock import Clock
from marketdata.runtime.confirmed_bar import OnBar
from marketdata.runtime.database_threads import DatabaseThreads
from marketdata.runtime.jobs import StopJob, SymbolHealth, SymbolState
from marketdata.runtime.options import PipelineOptions
from marketdata.runtime.ports import BookFactory, Feed, Storage, TopicsOf
from marketdata.runtime.router import OnTicker, Router
from marketdata.runtime.shards import ShardKeeper, symbol_of
from marketdata.runtime.symbol_worker import SymbolWorker
from marketdata.runtime.tape import Tape
from marketdata.services import metrics

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator wants; read again at every tick."""

    symbols: tuple[str, ...]
    tape_symbols: frozenset[str] = frozenset()
    book_log_symbols: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Running:
    worker: SymbolWorker
    task: asyncio.Task[None]


class MarketDataService:
    """`await run(stop)` until `stop` is set; then every queued bar is stored and decided on, and leases are given back.

    `wishes` is synchronous and called in a database thread. One instance per event loop.
    """

    def __init__(
        self,
        *,
        feed: Feed,
        topics_of: TopicsOf,
        book_factory: BookFactory,
        storage: Storage,
        keeper: ShardKeeper,
        wishes: Callable[[], Wishes],
        clock: Clock,
        on_bar: OnBar,
        on_ticker: OnTicker | None = None,
        options: PipelineOptions | None = None,
        threads: DatabaseThreads | None = None,
        tick_s: float = 2.0,
    ) -> None:
        self._feed = feed
        self._topics_of = topics_of
        self._book_factory = book_factory
        self._storage = storage
        self._keeper = keeper
        self._wishes = wishes
        self._clock = clock
        self._on_bar = on_bar
        self._options = options or PipelineOptions()
        self._threads = threads or DatabaseThreads()
        # of their own: leases are renewed also while every other thread waits for a slow database
        self._lease_threads = DatabaseThreads(1)
        self._tick_s = tick_s
        self._wished = Wishes(())
        self._running: dict[str, _Running] = {}
        self._workers: dict[str, SymbolWorker] = {}
        self._tape = Tape(storage, self._threads)
        self._router = Router(feed, self._workers, self._tape, clock, self._options, on_ticker=on_ticker)

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self._workers)

    def state(self, symbol: str) -> SymbolState | None:
        """Book, ticker and forming bars of a symbol that is ours."""
        worker = self._workers.get(symbol)
        return None if worker is None else worker.state

    def health(self) -> list[SymbolHealth]:
        """By symbol; a held-back or delayed one is worth an alert."""
        return [self._workers[symbol].health() for symbol in sorted(self._workers)]

    async def run(self, stop: asyncio.Event) -> None:
        routing = asyncio.create_task(self._router.run(), name="marketdata-router")
        taping = asyncio.create_task(self._tape.run(), name="marketdata-tape")
        try:
            while not stop.is_set():
                await self._tick()
                if routing.done():
                    routing.result()  # a feed never ends by itself: let its error end the process
                    raise RuntimeError("the market feed ended")
                await _wait(stop, self._tick_s)
        finally:
            await self._shut_down(routing, taping)

    async def _tick(self) -> None:
        await self._read_wishes()
        for symbol in [name for name, running in self._running.items() if running.task.done()]:
            await self._stop(symbol, drain=False)
            # Whoever takes it next, we or another, begins with a fresh worker.
            await self._lease_threads.run(self._keeper.give_back, symbol)
        change = await self._lease_threads.run(self._keeper.tick, self._wished.symbols)
        for symbol in change.lost:
            log.warning("symbol_lost", symbol=symbol)
            await self._stop(symbol, drain=False)
        for symbol in change.surplus:
            await self._stop(symbol, drain=True)
            await self._lease_threads.run(self._keeper.give_back, symbol)
        for lease in change.gained:
            self._start(lease)
        if change.gained or change.lost or change.surplus:
            log.info("symbols_held", symbols=sorted(self._workers))
        metrics.SYMBOLS_HELD.set(len(self._workers))

    async def _read_wishes(self) -> None:
        try:
            self._wished = await self._lease_threads.run(self._wishes)
        except (DatabaseError, InterfaceError) as error:
            log.error("wishes_unreadable", error=str(error))
        self._router.tape_symbols = self._wished.tape_symbols
        self._router.book_log_symbols = self._wished.book_log_symbols

    def _start(self, lease: HeldLease) -> None:
        symbol = symbol_of(lease)
        worker = SymbolWorker(
            symbol,
            SymbolState(self._book_factory(symbol)),
            storage=self._storage,
            threads=self._threads,
            clock=self._clock,
            on_bar=self._on_bar,
            lease=lease,
            options=self._options,
            keeps_tape=symbol in self._router.tape_symbols,
        )
        self._workers[symbol] = worker
        self._running[symbol] = _Running(worker, asyncio.create_task(worker.run(), name=f"marketdata-{symbol}"))
        self._feed.add(self._topics_of(symbol))

    async def _stop(self, symbol: str, *, drain: bool) -> None:
        running = self._running.pop(symbol, None)
        if running is None:
            return
        self._feed.remove(self._topics_of(symbol))
        self._workers.pop(symbol, None)
        if drain and not running.task.done():
            try:
                async with asyncio.timeout(self._options.drain_s):
                    await running.worker.put(StopJob())
                    await running.task
            except TimeoutError:
                log.error("symbol_not_drained", symbol=symbol)
        running.task.cancel()
        (result,) = await asyncio.gather(running.task, return_exceptions=True)
        if isinstance(result, Exception):
            log.error("symbol_worker_failed", symbol=symbol, error=repr(result))

    async def _shut_down(self, routing: asyncio.Task[None], taping: asyncio.Task[None]) -> None:
        routing.cancel()
        taping.cancel()
        await asyncio.gather(routing, taping, return_exceptions=True)
        await self._router.settle()
        await self._feed.aclose()
        await asyncio.gather(*(self._stop(symbol, drain=True) for symbol in list(self._running)))
        await self._tape.flush(finish=True)
        try:
            await self._lease_threads.run(self._keeper.leave)
        except Exception as error:
            log.warning("leases_not_given_back", error=str(error))
        await self._lease_threads.close()
        await self._threads.close()


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
