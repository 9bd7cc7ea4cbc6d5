"""Find bars that should be there, fetch them, and keep a record of every hole."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import structlog

from avigrid.exchange.ports import MarketReader
from avigrid.kernel.market import Kline
from marketdata.models import DataGap, KlineSource
from marketdata.selectors.coverage import Range, missing_ranges
from marketdata.selectors.times import floor_to, to_datetime, to_ms
from marketdata.services import metrics
from marketdata.services.klines import BulkOutcome, klines_store

PAGE_BARS = 1000
"""What the venue gives in one answer: holes closer together than this are fetched with one request."""

TAPE = 0
"""The interval_min under which holes of the trade tape are recorded. REST gives only the newest trades."""

BarsStore = Callable[[Sequence[Kline]], BulkOutcome]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GapFillOutcome:
    missing: tuple[Range, ...]
    remaining: tuple[Range, ...]
    """Still missing afterwards: the venue has no such bars."""
    stored: BulkOutcome
    bars: tuple[Kline, ...]
    """What was fetched for the holes, oldest first."""

    @property
    def is_complete(self) -> bool:
        return not self.remaining


def gap_fill(
    *,
    reader: MarketReader,
    symbol: str,
    interval_min: int,
    start_ms: int,
    end_ms: int,
    now_ms: int,
    reason: str,
    record: bool = True,
    store: BarsStore | None = None,
) -> GapFillOutcome:
    """Closed bars with start in [start_ms, end_ms) that are not stored are fetched and stored.

    With `record`, each hole becomes a DataGap, settled as soon as its bars are there. Errors of the reader pass
    through; the recorded holes then stay open and a later call settles them. `store` replaces the plain bulk writer.
    """
    end_ms = min(end_ms, floor_to(now_ms, interval_min))
    missing = missing_ranges(symbol, interval_min, start_ms, end_ms)
    if not missing:
        if record:
            # one that was recorded before the stream brought its bar after all
            gaps_settle(symbol=symbol, interval_min=interval_min, now_ms=now_ms)
        return GapFillOutcome((), (), BulkOutcome(), ())
    if record:
        gaps_record(symbol=symbol, interval_min=interval_min, ranges=missing, now_ms=now_ms, reason=reason)
    bars: list[Kline] = []
    stored = BulkOutcome()
    for window_start, window_end in windows(missing, interval_min):
        page = reader.klines(symbol, interval_min, start_ms=window_start, end_ms=window_end - 1)
        closed = [bar for bar in page if bar.confirmed and bar.end_ms <= now_ms]
        if store is None:
            stored += klines_store(closed, source=KlineSource.REST, now_ms=now_ms)
        else:
            stored += store(closed)
        bars += closed
    remaining = missing_ranges(symbol, interval_min, start_ms, end_ms)
    if record:
        gaps_settle(symbol=symbol, interval_min=interval_min, now_ms=now_ms)
    if remaining:
        log.warning(
            "bars_still_missing", symbol=symbol, interval_min=interval_min, holes=len(remaining), first=remaining[0]
        )
    wanted = [bar for bar in bars if any(start <= bar.start_ms < end for start, end in missing)]
    return GapFillOutcome(tuple(missing), tuple(remaining), stored, tuple(sorted(wanted, key=lambda b: b.start_ms)))


def windows(missing: Sequence[Range], interval_min: int, page_bars: int = PAGE_BARS) -> Iterator[Range]:
    """Requests that cover all holes: near ones joined, none longer than a page."""
    page_ms = page_bars * interval_min * 60_000
    start_ms = end_ms = -1
    for hole_start, hole_end in missing:
        if start_ms >= 0 and hole_end - start_ms <= page_ms:
            end_ms = hole_end
            continue
        if start_ms >= 0:
            yield start_ms, end_ms
        start_ms, end_ms = hole_start, hole_end
        while end_ms - start_ms > page_ms:
            yield start_ms, start_ms + page_ms
            start_ms += page_ms
    if start_ms >= 0:
        yield start_ms, end_ms


def gaps_record(*, symbol: str, interval_min: int, ranges: Sequence[Range], now_ms: int, reason: str) -> None:
    """What an open gap covers already is not recorded again."""
    known = [
        (to_ms(start), to_ms(end))
        for start, end in DataGap.objects.filter(
            symbol=symbol, interval_min=interval_min, filled_at__isnull=True
        ).values_list("start", "end")
    ]
    DataGap.objects.bulk_create(
        [
            DataGap(
                symbol=symbol,
                interval_min=interval_min,
                start=to_datetime(start_ms),
                end=to_datetime(end_ms),
                found_at=to_datetime(now_ms),
                reason=reason[:200],
            )
            for start_ms, end_ms in ranges
            if not any(start <= start_ms and end_ms <= end for start, end in known)
        ],
        ignore_conflicts=True,
    )


def gaps_settle(*, symbol: str, interval_min: int, now_ms: int) -> int:
    """Marks recorded holes whose bars are all there by now; returns how many."""
    settled = 0
    for gap in DataGap.objects.filter(symbol=symbol, interval_min=interval_min, filled_at__isnull=True):
        start_ms, end_ms = to_ms(gap.start), to_ms(gap.end)
        left = sum(end - start for start, end in missing_ranges(symbol, interval_min, start_ms, end_ms))
        filled = (end_ms - start_ms - left) // (interval_min * 60_000)
        changes: dict[str, object] = {"bars_filled": filled}
        if not left:
            changes["filled_at"] = to_datetime(now_ms)
            settled += 1
        DataGap.objects.filter(pk=gap.pk, filled_at__isnull=True).update(**changes)
    open_bars = DataGap.objects.filter(symbol=symbol, filled_at__isnull=True).exclude(interval_min=TAPE)
    metrics.OPEN_GAPS.labels(symbol=symbol).set(open_bars.count())
    return settled
