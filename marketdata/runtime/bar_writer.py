"""One confirmed bar into the database, however long that takes; a slow database is counted while it is slow."""

import asyncio
import time

import structlog
from django.db import InterfaceError, OperationalError

from avigrid.common.leases import HeldLease, LeaseLost
from avigrid.kernel.clock import Clock
from avigrid.kernel.errors import InvalidCandle
from avigrid.kernel.market import Kline
from marketdata.runtime.database_threads import DatabaseThreads
from marketdata.runtime.jobs import BarJob
from marketdata.runtime.options import PipelineOptions
from marketdata.runtime.ports import Storage
from marketdata.services import metrics

log = structlog.get_logger(__name__)


class BarWriter:
    """Of one symbol; one bar at a time."""

    def __init__(
        self,
        symbol: str,
        *,
        storage: Storage,
        threads: DatabaseThreads,
        clock: Clock,
        lease: HeldLease | None,
        options: PipelineOptions,
    ) -> None:
        self._symbol = symbol
        self._storage = storage
        self._threads = threads
        self._clock = clock
        self._lease = lease
        self._options = options
        self._since_s: float | None = None
        self._anew_s = 0.0
        self._slow_ms = 0
        """End of the newest bar that the database took too slowly."""

    @property
    def busy_s(self) -> float:
        """For how long the bar in hand has been on its way; 0 between bars."""
        return 0.0 if self._since_s is None else time.monotonic() - self._since_s

    def began_anew(self) -> None:
        """Bars that wait in the queue waited for REST until now: that was not the database's fault."""
        self._anew_s = time.monotonic()

    def slowness(self, bar: Kline) -> str:
        """Why a decision on `bar` is late, or ""."""
        return "database_slow" if bar.end_ms <= self._slow_ms else ""

    async def write(self, job: BarJob) -> str:
        """Tries until the database takes it; returns "", or why this bar can never be stored. Raises LeaseLost."""
        self._since_s = time.monotonic()
        waited_s = self._since_s - max(job.received_s, self._anew_s)
        overdue = None
        if waited_s >= self._options.slow_store_s:
            self._note_slow(job.bar)
        else:
            patience_s = self._options.slow_store_s - waited_s
            overdue = asyncio.get_running_loop().call_later(patience_s, self._note_slow, job.bar)
        try:
            return await self._until_taken(job)
        finally:
            self._since_s = None
            if overdue is not None:
                overdue.cancel()

    async def _until_taken(self, job: BarJob) -> str:
        failures = 0
        while True:
            now_ms = self._clock.now_ms() + self._options.clock_skew_ms
            try:
                await self._threads.run(self._storage.bar, job.bar, job.features, now_ms=now_ms, lease=self._lease)
            except (OperationalError, InterfaceError) as error:
                failures += 1
                metrics.STORE_RETRIES.labels(symbol=self._symbol).inc()
                log.error("bar_store_delayed", symbol=self._symbol, failures=failures, error=str(error))
                await asyncio.sleep(self._options.backoff_s(failures))
            except InvalidCandle:
                return "invalid_bar"
            except LeaseLost:
                raise
            except Exception:
                log.exception("bar_store_failed", symbol=self._symbol, start_ms=job.bar.start_ms)
                return "store_failed"
            else:
                return ""

    def _note_slow(self, bar: Kline) -> None:
        """Counted now, not only when the database is done with it."""
        self._slow_ms = max(self._slow_ms, bar.end_ms)
        metrics.BARS_DELAYED.labels(symbol=self._symbol).inc()
        log.warning("bar_delayed", symbol=self._symbol, interval_min=bar.interval_min, start_ms=bar.start_ms)
