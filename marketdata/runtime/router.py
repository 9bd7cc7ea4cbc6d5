"""Every public event to where it belongs: books at once, confirmed bars with their features to the symbol's worker."""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog

from avigrid.exchange.ports import StreamState
from avigrid.kernel.clock import Clock
from avigrid.kernel.market import BookUpdate, Kline, PublicTrade, Ticker
from marketdata.runtime.jobs import BarJob, CatchUpJob
from marketdata.runtime.options import PipelineOptions
from marketdata.runtime.ports import Feed
from marketdata.runtime.symbol_worker import SymbolWorker
from marketdata.runtime.tape import Tape
from marketdata.services import metrics

BOOK_DEPTH = 50
"""The depth that features are computed from."""
TOP_DEPTH = 1
"""Where this is subscribed too, it is the second witness of the best prices; other depths pass by."""
OnTicker = Callable[[Ticker], None]

log = structlog.get_logger(__name__)


class Router:
    """One per feed. `workers` is the caller's own mapping: symbols may come and go while events flow."""

    def __init__(
        self,
        feed: Feed,
        workers: Mapping[str, SymbolWorker],
        tape: Tape,
        clock: Clock,
        options: PipelineOptions,
        *,
        tape_symbols: frozenset[str] = frozenset(),
        book_log_symbols: frozenset[str] = frozenset(),
        on_ticker: OnTicker | None = None,
    ) -> None:
        self.tape_symbols = tape_symbols
        self.book_log_symbols = book_log_symbols
        self._feed = feed
        self._workers = workers
        self._tape = tape
        self._clock = clock
        self._options = options
        self._on_ticker = on_ticker
        self._tops: dict[str, BookUpdate] = {}
        self._waiting: set[asyncio.Task[None]] = set()
        self._counts = {
            kind: metrics.EVENTS.labels(kind=kind) for kind in ("kline", "trade", "book", "ticker", "state")
        }

    async def run(self) -> None:
        """Until the feed ends or the task is cancelled; a bar that was being queued then still gets there."""
        async for event in self._feed.events():
            if isinstance(event, BookUpdate):
                self._book(event)
            elif isinstance(event, Kline):
                await self._kline(event)
            elif isinstance(event, PublicTrade):
                self._counts["trade"].inc()
                if event.symbol in self.tape_symbols:
                    self._tape.trade(event)
            elif isinstance(event, Ticker):
                self._ticker(event)
            else:
                await self._stream_state(event)

    async def settle(self) -> None:
        """After `run` was cancelled: wait for bars that were still being queued."""
        if self._waiting:
            await asyncio.gather(*self._waiting, return_exceptions=True)

    def _book(self, update: BookUpdate) -> None:
        self._counts["book"].inc()
        worker = self._workers.get(update.symbol)
        if worker is None or update.depth not in (BOOK_DEPTH, TOP_DEPTH):
            return
        fault = None
        if update.depth == TOP_DEPTH:
            self._tops[update.symbol] = update
        else:
            fault = worker.state.book.apply(update)
        if fault is None and (top := self._tops.get(update.symbol)) is not None:
            fault = worker.state.book.check_top(top)
        if fault is not None:
            metrics.BOOK_FAULTS.labels(symbol=update.symbol, reason=str(fault)).inc()
            log.warning("book_fault", symbol=update.symbol, reason=str(fault), update_id=update.update_id)
            self._feed.resync(f"orderbook.{BOOK_DEPTH}.{update.symbol}", str(fault))
        if update.depth == BOOK_DEPTH and update.symbol in self.book_log_symbols:
            self._tape.book(update, worker.state)

    async def _kline(self, bar: Kline) -> None:
        self._counts["kline"].inc()
        worker = self._workers.get(bar.symbol)
        if worker is None or bar.interval_min not in self._options.intervals_min:
            return
        if not bar.confirmed:
            worker.state.forming[bar.interval_min] = bar
            return
        now_ms = self._clock.now_ms()
        features = None
        if bar.interval_min == self._options.decision_interval_min:
            features = worker.state.book.features(now_ms)
        await self._put(worker, BarJob(bar, features, now_ms, time.monotonic()))

    def _ticker(self, ticker: Ticker) -> None:
        self._counts["ticker"].inc()
        worker = self._workers.get(ticker.symbol)
        if worker is None:
            return
        worker.state.ticker = ticker
        if self._on_ticker is not None:
            self._on_ticker(ticker)

    async def _stream_state(self, state: StreamState) -> None:
        """Bars: whatever happened, look for missed ones once the topic is back. Books: trust nothing old."""
        self._counts["state"].inc()
        metrics.STREAM_STATES.labels(state=state.kind).inc()
        log.info("stream_state", state=state.kind, topic=state.topic, reason=state.reason)
        name, _, symbol = state.topic.rpartition(".")
        for worker in [self._workers[symbol]] if symbol in self._workers else list(self._workers.values()):
            if (not name or name == f"orderbook.{BOOK_DEPTH}") and state.kind != "up":
                worker.state.book.invalidate()
            if (not name or name.startswith("kline") or self._is_taped(name, worker)) and state.kind in ("up", "gap"):
                await self._put(worker, CatchUpJob(f"stream_{state.kind}"))

    def _is_taped(self, name: str, worker: SymbolWorker) -> bool:
        return name == "publicTrade" and worker.symbol in self.tape_symbols

    async def _put(self, worker: SymbolWorker, job: BarJob | CatchUpJob) -> None:
        task = asyncio.ensure_future(worker.put(job))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        await asyncio.shield(task)
