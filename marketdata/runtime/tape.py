"""Trades and order-book messages on their way to the database: best effort, bounded, losses counted."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from avigrid.kernel.market import BookUpdate, PublicTrade
from marketdata.runtime.database_threads import DatabaseThreads
from marketdata.runtime.jobs import SymbolState
from marketdata.runtime.ports import Storage
from marketdata.runtime.stretches import StretchCutter
from marketdata.services import metrics

MAX_TRADES = 20_000
MAX_STRETCHES = 200

log = structlog.get_logger(__name__)


class Tape:
    def __init__(self, storage: Storage, threads: DatabaseThreads, *, flush_s: float = 1.0) -> None:
        self._storage = storage
        self._threads = threads
        self._flush_s = flush_s
        self._trades: deque[PublicTrade] = deque()
        self._cutters: dict[str, StretchCutter] = {}
        self._ready: deque[list[BookUpdate]] = deque()

    def trade(self, trade: PublicTrade) -> None:
        if len(self._trades) >= MAX_TRADES:
            self._trades.popleft()
            metrics.TAPE_DROPPED.labels(what="trades").inc()
        self._trades.append(trade)

    def book(self, update: BookUpdate, state: SymbolState) -> None:
        """After the book took `update`."""
        cutter = self._cutters.setdefault(update.symbol, StretchCutter())
        self._keep(cutter.take(update, state.book))

    async def run(self) -> None:
        """Until cancelled; then call `flush(finish=True)`."""
        while True:
            await asyncio.sleep(self._flush_s)
            await self.flush()

    async def flush(self, *, finish: bool = False) -> None:
        if finish:
            for cutter in self._cutters.values():
                self._keep(cutter.finish())
        while self._trades:
            batch = [self._trades.popleft() for _ in range(min(len(self._trades), 1_000))]
            if not await self._try(self._storage.trades, batch):
                self._trades.extendleft(reversed(batch))
                return
        while self._ready:
            stretch = self._ready.popleft()
            if not await self._try(self._storage.book_log, stretch):
                self._ready.appendleft(stretch)
                return

    def _keep(self, stretch: list[BookUpdate] | None) -> None:
        if not stretch:
            return
        if len(self._ready) >= MAX_STRETCHES:
            metrics.TAPE_DROPPED.labels(what="book").inc(len(self._ready.popleft()))
        self._ready.append(stretch)

    async def _try[T](self, store: Callable[[Sequence[T]], None], batch: Sequence[T]) -> bool:
        try:
            await self._threads.run(store, batch)
        except Exception as error:
            log.warning("tape_store_failed", rows=len(batch), error=str(error))
            return False
        return True
