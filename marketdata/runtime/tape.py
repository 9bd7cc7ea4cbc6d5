"""Trades and order-book messages on their way to the database: best effort, bounded, losses counted."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import structlog

from avigrid.kernel.market import BookUpdate, PublicTrade
from marketdata.runtime.database_threads import DatabaseThreads
from marketdata.runtime.jobs import SymbolState
from marketdata.runtime.ports import Storage
from marketdata.services import metrics

MAX_TRADES = 20_000
MAX_STRETCHES = 200
STRETCH_MESSAGES = 1_500
STRETCH_MS = 30_000

log = structlog.get_logger(__name__)


class Tape:
    def __init__(self, storage: Storage, threads: DatabaseThreads, *, flush_s: float = 1.0) -> None:
        self._storage = storage
        self._threads = threads
        self._flush_s = flush_s
        self._trades: deque[PublicTrade] = deque()
        self._stretches: dict[str, list[BookUpdate]] = {}
        """Per symbol the stretch that is being filled; it begins with a snapshot."""
        self._ready: deque[list[BookUpdate]] = deque()

    def trade(self, trade: PublicTrade) -> None:
        if len(self._trades) >= MAX_TRADES:
            self._trades.popleft()
            metrics.TAPE_DROPPED.labels(what="trades").inc()
        self._trades.append(trade)

    def book(self, update: BookUpdate, state: SymbolState) -> None:
        """After the book took `update`. A book nobody may trust ends the stretch; the next begins with its state."""
        stretch = self._stretches.get(update.symbol)
        if not state.book.is_ready:
            self._finish(update.symbol)
            return
        if stretch is not None and (
            update.is_snapshot
            or len(stretch) >= STRETCH_MESSAGES
            or update.matched_ms - stretch[0].matched_ms >= STRETCH_MS
        ):
            self._finish(update.symbol)
            stretch = None
        if stretch is None:
            self._stretches[update.symbol] = [update if update.is_snapshot else _snapshot(update, state)]
        else:
            stretch.append(update)

    async def run(self) -> None:
        """Until cancelled; then call `flush(finish=True)`."""
        while True:
            await asyncio.sleep(self._flush_s)
            await self.flush()

    async def flush(self, *, finish: bool = False) -> None:
        if finish:
            for symbol in list(self._stretches):
                self._finish(symbol)
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

    def _finish(self, symbol: str) -> None:
        stretch = self._stretches.pop(symbol, None)
        if stretch is None:
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


def _snapshot(update: BookUpdate, state: SymbolState) -> BookUpdate:
    """The whole book as it stands after `update`."""
    return BookUpdate(
        symbol=update.symbol,
        depth=update.depth,
        is_snapshot=True,
        bids=tuple(state.book.bids()),
        asks=tuple(state.book.asks()),
        update_id=update.update_id,
        seq=update.seq,
        matched_ms=update.matched_ms,
        sent_ms=update.sent_ms,
    )
