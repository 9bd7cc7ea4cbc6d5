"""One symbol, one task: bars are stored and decided on strictly in order, and never while earlier ones are missing."""

import asyncio
import inspect
import time
from collections.abc import Awaitable
from typing import cast

import structlog
from django.db import InterfaceError, OperationalError

from avigrid.common.leases import HeldLease, LeaseLost
from avigrid.kernel.clock import Clock
from avigrid.kernel.errors import AviGridError
from avigrid.kernel.market import BookFeatures, Kline
from marketdata.runtime.bar_writer import BarWriter
from marketdata.runtime.confirmed_bar import ConfirmedBar, OnBar
from marketdata.runtime.database_threads import DatabaseThreads
from marketdata.runtime.jobs import BarJob, CatchUpJob, StopJob, SymbolHealth, SymbolState
from marketdata.runtime.options import PipelineOptions
from marketdata.runtime.ports import Storage
from marketdata.selectors.times import floor_to
from marketdata.services import metrics

log = structlog.get_logger(__name__)


class SymbolWorker:
    def __init__(
        self,
        symbol: str,
        state: SymbolState,
        *,
        storage: Storage,
        threads: DatabaseThreads,
        clock: Clock,
        on_bar: OnBar,
        lease: HeldLease | None,
        options: PipelineOptions,
        keeps_tape: bool = False,
    ) -> None:
        self.symbol = symbol
        self.state = state
        self.lease_lost = False
        self._storage = storage
        self._threads = threads
        self._clock = clock
        self._on_bar = on_bar
        self._is_async = inspect.iscoroutinefunction(on_bar) or inspect.iscoroutinefunction(
            getattr(on_bar, "__call__", None)  # noqa: B004
        )
        self._lease = lease
        self._writer = BarWriter(symbol, storage=storage, threads=threads, clock=clock, lease=lease, options=options)
        self._options = options
        self._keeps_tape = keeps_tape
        self._queue: asyncio.Queue[BarJob | CatchUpJob | StopJob] = asyncio.Queue(options.queue_size)
        self._length = metrics.QUEUE_LENGTH.labels(symbol=symbol)
        self._until_ms: dict[int, int] = {}
        """Per interval: the end of the newest bar before which nothing is missing."""
        self._decided_ms: int | None = None
        """Start of the newest decision bar that was handed over."""
        self._reason = "start"
        """Why earlier bars may be missing; while it is set nobody is called."""
        self._retry_at_s = 0.0
        self._failures = 0
        self._interruption = ("", 0)
        self._held: tuple[BarJob, float] | None = None
        """A stored decision bar that waits for its companion, and until when."""
        self._live: BarJob | None = None
        """The newest decision bar that came by stream."""
        self._overdue_since_s: float | None = None

    async def put(self, job: BarJob | CatchUpJob | StopJob) -> None:
        """Waits while the queue is full: a bar is delayed and counted, never dropped."""
        if self._queue.full():
            metrics.QUEUE_FULL.labels(symbol=self.symbol).inc()
            log.warning("symbol_queue_full", symbol=self.symbol, jobs=self._queue.qsize())
            with metrics.QUEUE_WAIT_SECONDS.time():
                await self._queue.put(job)
        else:
            self._queue.put_nowait(job)
        self._length.set(self._queue.qsize())

    def health(self) -> SymbolHealth:
        return SymbolHealth(
            self.symbol,
            self._queue.qsize(),
            self._reason,
            self._writer.busy_s,
            self.state.book.is_ready,
            self._decided_ms,
        )

    async def run(self) -> None:
        """Until a StopJob or the loss of the lease; jobs queued before the StopJob are done first."""
        try:
            await self._look_at_the_clock()
            while True:
                try:
                    job = await asyncio.wait_for(self._queue.get(), self._options.tick_s)
                except TimeoutError:
                    await self._look_at_the_clock()
                    continue
                self._length.set(self._queue.qsize())
                if isinstance(job, StopJob):
                    return
                if isinstance(job, CatchUpJob):
                    self._interrupt(job.reason)
                else:
                    await self._take(job)
                await self._look_at_the_clock()
        except LeaseLost:
            self.lease_lost = True
            log.warning("symbol_lease_lost", symbol=self.symbol)

    # --- bars -----------------------------------------------------------------
    async def _take(self, job: BarJob) -> None:
        bar = job.bar
        until_ms = self._until_ms.get(bar.interval_min)
        if until_ms is not None and bar.start_ms > until_ms:
            self._interrupt("missed_bar")
        if problem := await self._writer.write(job):
            self._interrupt(problem)
            return
        if bar.interval_min == self._options.decision_interval_min:
            self._live = job
            if self._held is not None:
                self._interrupt("late_companion")  # still waiting for the one before: catching up hands over both
        if self._reason:
            self._retry_at_s = 0.0  # this may be the bar we were waiting for
            return
        if bar.start_ms != until_ms:
            return  # a late duplicate
        self._until_ms[bar.interval_min] = bar.end_ms
        self._overdue_since_s = None
        if bar.interval_min == self._options.decision_interval_min:
            self._held = (job, time.monotonic() + self._options.companion_wait_s)
        if self._held is not None and self._has_companion(self._held[0].bar):
            await self._decide(self._held[0])

    async def _decide(self, job: BarJob) -> None:
        self._held = None
        reason, recovered = self._interruption
        self._interruption = ("", 0)
        reason = reason or self._writer.slowness(job.bar)
        event = ConfirmedBar(
            bar=job.bar,
            features=job.features,
            ticker=self.state.ticker,
            is_recovered=False,
            interruption=reason,
            bars_recovered=recovered,
            is_complete=True,
            received_ms=job.received_ms,
        )
        await self._hand_over(event, job.received_s)

    def _has_companion(self, bar: Kline) -> bool:
        interval_min = self._options.companion_interval_min
        if interval_min not in self._options.intervals_min or bar.end_ms % (interval_min * 60_000):
            return True
        return self._until_ms.get(interval_min, 0) >= bar.end_ms

    async def _hand_over(self, event: ConfirmedBar, received_s: float | None) -> None:
        self._decided_ms = event.bar.start_ms
        try:
            if self._is_async:
                await cast(Awaitable[object], self._on_bar(event))
            else:
                await self._threads.run(self._on_bar, event)
        except LeaseLost:
            raise
        except Exception:
            metrics.CALLBACK_FAILURES.labels(symbol=self.symbol).inc()
            log.exception("bar_callback_failed", symbol=self.symbol, start_ms=event.bar.start_ms)
        if received_s is not None:
            metrics.BAR_SECONDS.observe(time.monotonic() - received_s)

    # --- what was missed --------------------------------------------------------
    def _interrupt(self, reason: str) -> None:
        if not self._reason:
            self._reason = reason
            self._retry_at_s = 0.0

    async def _look_at_the_clock(self) -> None:
        now_s = time.monotonic()
        if not self._reason and self._queue.empty() and self._is_overdue(now_s):
            self._interrupt("late_bar")
        if self._held is not None and now_s >= self._held[1]:
            self._interrupt("late_companion")
        if self._reason and now_s >= self._retry_at_s:
            await self._catch_up()

    def _is_overdue(self, now_s: float) -> bool:
        now_ms = self._clock.now_ms()
        overdue_ms = max(
            (now_ms - until_ms - interval_min * 60_000 for interval_min, until_ms in self._until_ms.items()), default=0
        )
        if overdue_ms <= 0:
            self._overdue_since_s = None
            return False
        if self._overdue_since_s is None:
            self._overdue_since_s = now_s
        return overdue_ms >= self._options.late_ms and now_s - self._overdue_since_s >= self._options.late_s

    async def _catch_up(self) -> None:
        reason, now_ms = self._reason, self._clock.now_ms()
        metrics.CATCH_UPS.labels(reason=reason).inc()
        try:
            if self._keeps_tape and reason != "late_bar":
                await self._threads.run(self._storage.recover_tape, self.symbol, now_ms=now_ms)
            recovery = await self._threads.run(
                self._storage.recover,
                self.symbol,
                self._since(now_ms),
                now_ms=now_ms,
                features=self.state.book.features(now_ms),
                reason=reason,
                lease=self._lease,
            )
        except LeaseLost:
            raise
        except (AviGridError, OperationalError, InterfaceError) as error:
            self._failures += 1
            self._retry_at_s = time.monotonic() + self._options.backoff_s(self._failures)
            log.warning("catch_up_failed", symbol=self.symbol, reason=reason, error=str(error), failures=self._failures)
            return
        except Exception:
            self._failures += 1
            self._retry_at_s = time.monotonic() + self._options.retry_max_s
            log.exception("catch_up_failed", symbol=self.symbol, reason=reason)
            return
        self._until_ms.update(recovery.complete_until_ms)
        self._overdue_since_s = None
        if recovery.late:
            # The stream, or the next answer, will have it; what is there already is not held back for it.
            self._failures += 1
            self._retry_at_s = time.monotonic() + self._options.backoff_s(self._failures)
        else:
            self._failures = 0
            self._reason = ""
        self._writer.began_anew()
        log.info("caught_up", symbol=self.symbol, reason=reason, fetched=recovery.fetched, late=recovery.late)
        await self._hand_over_recovered(recovery.decisions, reason, recovery.fetched, now_ms)

    async def _hand_over_recovered(
        self,
        decisions: tuple[tuple[Kline, BookFeatures | None], ...],
        reason: str,
        fetched: int,
        now_ms: int,
    ) -> None:
        self._held = None
        if self._decided_ms is None:
            decisions = decisions[-1:]  # a new holder repeats only the newest: evaluating a bar twice changes nothing
        why = reason if reason != "start" or fetched else ""
        handed = False
        for bar, features in decisions:
            if self._decided_ms is not None and bar.start_ms <= self._decided_ms:
                continue
            live = self._live if self._live is not None and self._live.bar.start_ms == bar.start_ms else None
            event = ConfirmedBar(
                bar=bar,
                features=features,
                ticker=self.state.ticker,
                is_recovered=live is None,
                interruption=why or self._writer.slowness(bar),
                bars_recovered=fetched,
                is_complete=self._has_companion(bar),
                received_ms=now_ms if live is None else live.received_ms,
            )
            await self._hand_over(event, None if live is None else live.received_s)
            handed = True
        if not handed and fetched:
            self._interruption = (why, fetched)

    def _since(self, now_ms: int) -> dict[int, int]:
        """Where to look from: the end of what is complete, at first far enough back for every indicator."""
        warm_up = dict(self._options.warm_up_bars)
        since = {
            interval_min: self._until_ms.get(
                interval_min, floor_to(now_ms, interval_min) - warm_up.get(interval_min, 1) * interval_min * 60_000
            )
            for interval_min in self._options.intervals_min
        }
        decision_min = self._options.decision_interval_min
        if self._decided_ms is not None:
            next_ms = self._decided_ms + decision_min * 60_000
            since[decision_min] = min(since[decision_min], next_ms)
        return since
