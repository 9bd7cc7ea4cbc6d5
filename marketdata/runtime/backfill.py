"""Fetch history over REST: several requests at once, stored in order by one thread, resumable at any moment.

What is missing is asked of the table, so an interrupted backfill simply asks again; progress rows only spare it the
windows the venue had nothing for.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import structlog
from django.db import transaction

from avigrid.exchange.ports import MarketReader
from avigrid.kernel.errors import AviGridError, Retryable
from avigrid.kernel.market import Kline
from marketdata.models import KlineSource
from marketdata.selectors.bars import newest_start_ms, oldest_start_ms
from marketdata.selectors.coverage import Range, missing_ranges
from marketdata.selectors.times import floor_to
from marketdata.services.backfill_runs import (
    PartState,
    backfill_part_advance,
    backfill_part_finish,
    backfill_part_start,
    backfill_run_finish,
    backfill_run_start,
)
from marketdata.services.gaps import gaps_record, gaps_settle, windows
from marketdata.services.klines import BulkOutcome, klines_store

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PartPlan:
    """One symbol and interval: what is missing, as the requests that would fetch it."""

    symbol: str
    interval_min: int
    start_ms: int
    end_ms: int
    missing: tuple[Range, ...]
    holes: tuple[Range, ...]
    """Those of `missing` that lie between stored bars: gaps. The others are history not fetched yet."""
    oldest_ms: int | None = None
    """Start of the oldest stored bar."""

    @property
    def name(self) -> str:
        return f"{self.symbol}/{self.interval_min}"

    @property
    def missing_bars(self) -> int:
        return sum(end - start for start, end in self.missing) // (self.interval_min * 60_000)

    @property
    def requests(self) -> list[Range]:
        return list(windows(self.missing, self.interval_min))


@dataclass(slots=True)
class PartSummary:
    symbol: str
    interval_min: int
    missing: int
    stored: int = 0
    corrected: int = 0
    invalid: int = 0
    gaps_found: int = 0
    gaps_filled: int = 0
    unavailable: int = 0
    """Bars the venue does not have: before the listing, or lost."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class BackfillSummary:
    parts: tuple[PartSummary, ...]
    resumed: bool
    seconds: float

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(f"{part.symbol}/{part.interval_min}" for part in self.parts if part.error)


@dataclass(frozen=True, slots=True)
class Pace:
    workers: int = 4
    tries: int = 6
    first_pause_s: float = 0.5
    max_pause_s: float = 20.0
    sleep: Callable[[float], None] = field(default=time.sleep)


def plan(
    symbols: Sequence[str], intervals_min: Sequence[int], *, start_ms: int, end_ms: int, now_ms: int
) -> list[PartPlan]:
    """What a backfill of [start_ms, end_ms) would have to fetch; reads only the table."""
    parts = []
    for symbol in symbols:
        for interval_min in intervals_min:
            until_ms = min(end_ms, floor_to(now_ms, interval_min))
            missing = missing_ranges(symbol, interval_min, start_ms, until_ms)
            first_ms = oldest_start_ms(symbol, interval_min)
            last_ms = newest_start_ms(symbol, interval_min)
            holes = [
                hole
                for hole in missing
                if first_ms is not None and last_ms is not None and hole[0] > first_ms and hole[1] <= last_ms
            ]
            parts.append(PartPlan(symbol, interval_min, start_ms, until_ms, tuple(missing), tuple(holes), first_ms))
    return parts


def backfill(
    reader: MarketReader,
    parts: Sequence[PartPlan],
    *,
    now_ms: int,
    pace: Pace = Pace(),  # noqa: B008
    on_progress: Callable[[int], None] = lambda bars: None,
) -> BackfillSummary:
    """`on_progress` is told the bars each finished request covered. Errors of one part do not stop the others."""
    began_s = time.monotonic()
    spec = " ".join(f"{part.name}:{part.start_ms}-{part.end_ms // 86_400_000}" for part in parts)
    run_id, resumed = backfill_run_start(spec=_digest(spec), now_ms=now_ms)
    summaries = []
    with ThreadPoolExecutor(pace.workers, thread_name_prefix="backfill") as pool:
        for part in parts:
            state = backfill_part_start(
                run_id=run_id, part=part.name, symbol=part.symbol, interval_min=part.interval_min
            )
            summaries.append(_part(reader, part, state, pool, pace, now_ms, on_progress))
    summary = BackfillSummary(tuple(summaries), resumed, time.monotonic() - began_s)
    backfill_run_finish(
        run_id=run_id,
        failed=summary.failed,
        summary={"stored": sum(one.stored for one in summaries), "failed": list(summary.failed)},
        now_ms=now_ms,
    )
    return summary


def _part(
    reader: MarketReader,
    part: PartPlan,
    state: PartState,
    pool: ThreadPoolExecutor,
    pace: Pace,
    now_ms: int,
    on_progress: Callable[[int], None],
) -> PartSummary:
    summary = PartSummary(part.symbol, part.interval_min, part.missing_bars, gaps_found=len(part.holes))
    gaps_record(
        symbol=part.symbol, interval_min=part.interval_min, ranges=part.holes, now_ms=now_ms, reason="found by backfill"
    )
    try:
        for window, bars in _fetched(reader, part, state, pool, pace, on_progress):
            closed = [bar for bar in bars if bar.confirmed and bar.end_ms <= now_ms]
            with transaction.atomic():
                stored = klines_store(closed, source=KlineSource.REST, now_ms=now_ms)
                backfill_part_advance(
                    part_id=state.pk, done_until_ms=window[1], rows_seen=stored.seen, rows_new=stored.new
                )
            _add(summary, stored)
            on_progress((window[1] - window[0]) // (part.interval_min * 60_000))
    except AviGridError as error:
        summary.error = f"{error.code}: {error.message}"
        log.error("backfill_part_failed", part=part.name, error=summary.error)
    else:
        backfill_part_finish(part_id=state.pk, now_ms=now_ms)
    gaps_settle(symbol=part.symbol, interval_min=part.interval_min, now_ms=now_ms)
    step_ms = part.interval_min * 60_000
    left = missing_ranges(part.symbol, part.interval_min, part.start_ms, part.end_ms)
    summary.unavailable = sum(end - start for start, end in left) // step_ms
    summary.gaps_filled = sum(not any(start < hole[1] and hole[0] < end for start, end in left) for hole in part.holes)
    return summary


def _fetched(
    reader: MarketReader,
    part: PartPlan,
    state: PartState,
    pool: ThreadPoolExecutor,
    pace: Pace,
    on_progress: Callable[[int], None],
) -> Iterator[tuple[Range, list[Kline]]]:
    """Windows in order with their bars; a few requests are always under way, never more."""
    step_ms = part.interval_min * 60_000

    def fetch(window: Range) -> list[Kline]:
        return _patiently(
            lambda: reader.klines(part.symbol, part.interval_min, start_ms=window[0], end_ms=window[1] - 1), pace
        )

    todo = part.requests
    done_ms = state.done_until_ms
    if done_ms is not None:
        skipped = [window for window in todo if window[1] <= done_ms]
        on_progress(sum(end - start for start, end in skipped) // step_ms)
        todo = todo[len(skipped) :]
    head = [window for window in todo if part.oldest_ms is None or window[1] <= part.oldest_ms]
    skip = _before_listing(head, fetch)
    on_progress(sum(end - start for start, end in todo[:skip]) // step_ms)
    rest = iter(todo[skip:])
    running: deque[tuple[Range, Future[list[Kline]]]] = deque(
        (window, pool.submit(fetch, window)) for window in islice(rest, pace.workers * 2)
    )
    try:
        while running:
            window, future = running.popleft()
            bars = future.result()
            running.extend((following, pool.submit(fetch, following)) for following in islice(rest, 1))
            yield window, bars
    finally:
        for _, future in running:
            future.cancel()


def _before_listing(head: Sequence[Range], fetch: Callable[[Range], list[Kline]]) -> int:
    """How many leading windows lie before the listing: found by halving, not by asking each.

    `head`: windows before everything stored; from its listing on the venue has bars in every one of them.
    """
    if len(head) < 4 or fetch(head[0]):
        return 0
    empty, full = 0, len(head)
    while full - empty > 1:
        middle = (empty + full) // 2
        if fetch(head[middle]):
            full = middle
        else:
            empty = middle
    return empty + 1


def _patiently[T](call: Callable[[], T], pace: Pace) -> T:
    for attempt in range(1, pace.tries + 1):
        try:
            return call()
        except Retryable as error:
            if attempt == pace.tries:
                raise
            asked = error.details.get("retry_after_s")
            pause_s = float(asked) if isinstance(asked, int | float) else pace.first_pause_s * 2 ** (attempt - 1)
            pace.sleep(min(pause_s, pace.max_pause_s))
    raise AssertionError("unreachable")


def _add(summary: PartSummary, outcome: BulkOutcome) -> None:
    summary.stored += outcome.new
    summary.corrected += outcome.corrected
    summary.invalid += sum(outcome.invalid.values())


def _digest(spec: str) -> str:
    """A request of hundreds of series does not fit a column; its own words do while it is short."""
    return spec if len(spec) <= 400 else spec[:300] + " " + hashlib.sha256(spec.encode()).hexdigest()
