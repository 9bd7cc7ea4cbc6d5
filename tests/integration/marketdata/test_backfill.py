"""Backfill over REST: resumable, in order, patient, and honest about what the venue does not have."""

from dataclasses import replace

import numpy as np
import pytest

from avigrid.kernel.errors import OperatorNeeded, Retryable
from marketdata.models import BackfillRun, DataGap, KlineSource
from marketdata.runtime.backfill import Pace, backfill, plan
from marketdata.selectors.coverage import coverage
from marketdata.services.klines import klines_bulk_store
from tests.support.bars import T0, saw_table
from tests.support.market_reader import FakeMarketReader

pytestmark = pytest.mark.django_db
DAY_MS = 86_400_000
PAGE_MS = 1000 * 60_000
PACE = Pace(workers=1, sleep=lambda seconds: None)


def venue(count: int = 6_000, *, start_ms: int = T0) -> FakeMarketReader:
    return FakeMarketReader(list(saw_table(count, interval_min=1, start_ms=start_ms).klines()))


def run(reader, *, start_ms=T0, end_ms=T0 + 6 * PAGE_MS, now_ms=T0 + 10 * DAY_MS, pace=PACE, symbols=("BTCUSDT",)):
    told = []
    parts = plan(symbols, [1], start_ms=start_ms, end_ms=end_ms, now_ms=now_ms)
    summary = backfill(reader, parts, now_ms=now_ms, pace=pace, on_progress=told.append)
    return summary, sum(told)


def test_a_fresh_range_is_fetched_page_by_page():
    reader = venue()
    summary, told = run(reader)
    (part,) = summary.parts
    assert (part.missing, part.stored, part.unavailable, part.gaps_found, part.error) == (6_000, 6_000, 0, 0, "")
    assert told == 6_000
    assert coverage("BTCUSDT", 1).holes == ()
    # the first window is asked twice: once to see whether history begins there
    assert len(reader.asked) == 7


def test_repeating_it_asks_nothing_and_changes_nothing():
    reader = venue()
    run(reader)
    reader.asked.clear()
    summary, told = run(reader)
    assert (reader.asked, told, summary.parts[0].missing, summary.parts[0].stored) == ([], 0, 0, 0)


def test_a_killed_run_continues_from_its_last_committed_window():
    reader = venue()

    def dies(symbol, interval_min, *, start_ms, end_ms):
        if start_ms >= T0 + 3 * PAGE_MS:
            raise KeyboardInterrupt
        return FakeMarketReader.klines(reader, symbol, interval_min, start_ms=start_ms, end_ms=end_ms)

    reader.klines = dies
    with pytest.raises(KeyboardInterrupt):
        run(reader)
    assert coverage("BTCUSDT", 1).bars == 3_000
    assert BackfillRun.objects.get().state == "running"
    del reader.klines
    reader.asked.clear()
    summary, _ = run(reader)
    assert summary.resumed
    assert (summary.parts[0].missing, summary.parts[0].stored) == (3_000, 3_000)
    assert min(start for _, _, start, _ in reader.asked) == T0 + 3 * PAGE_MS
    assert coverage("BTCUSDT", 1).bars == 6_000
    assert BackfillRun.objects.get().state == "done"


def test_gaps_between_stored_bars_are_found_filled_and_recorded():
    reader = venue()
    table = saw_table(6_000, interval_min=1)
    keep = np.ones(6_000, dtype=bool)
    keep[[100, 101, 2500]] = False
    klines_bulk_store(table.take(keep), source=KlineSource.STREAM, now_ms=T0 + 10 * DAY_MS)
    del reader.bars["BTCUSDT", 1, T0 + 2500 * 60_000]
    summary, _ = run(reader)
    (part,) = summary.parts
    assert (part.missing, part.stored, part.gaps_found, part.gaps_filled, part.unavailable) == (3, 2, 2, 1, 1)
    assert sorted((gap.bars_filled, gap.filled_at is None) for gap in DataGap.objects.all()) == [(0, True), (2, False)]


def test_time_before_the_listing_is_not_asked_window_by_window():
    reader = venue(1_000, start_ms=T0 + 63 * PAGE_MS)
    now_ms = T0 + 64 * PAGE_MS
    summary, told = run(reader, end_ms=now_ms, now_ms=now_ms)
    (part,) = summary.parts
    assert (part.missing, part.stored, part.unavailable) == (64_000, 1_000, 63_000)
    assert told == 64_000
    assert len(reader.asked) <= 9
    assert DataGap.objects.count() == 0


def test_a_busy_venue_is_asked_again_after_the_pause_it_wants():
    reader = venue(1_000)
    reader.failures = [Retryable("slow down", retry_after_s=3.5), Retryable("again")]
    pauses = []
    summary, _ = run(reader, end_ms=T0 + PAGE_MS, pace=replace(PACE, sleep=pauses.append))
    assert summary.parts[0].stored == 1_000
    assert pauses == [3.5, 1.0]


def test_a_failing_series_is_reported_and_the_others_are_fetched():
    reader = venue(1_000)
    for bar in saw_table(1_000, symbol="ETHUSDT", interval_min=1).klines():
        reader.bars["ETHUSDT", 1, bar.start_ms] = bar
    reader.failures = [OperatorNeeded("banned", code="banned")]
    summary, _ = run(reader, end_ms=T0 + PAGE_MS, symbols=("BTCUSDT", "ETHUSDT"))
    assert summary.failed == ("BTCUSDT/1",)
    assert [part.stored for part in summary.parts] == [0, 1_000]
    assert summary.parts[0].error == "banned: banned"
    again, _ = run(reader, end_ms=T0 + PAGE_MS, symbols=("BTCUSDT", "ETHUSDT"))
    assert again.resumed
    assert [part.stored for part in again.parts] == [1_000, 0]


def test_many_workers_store_the_same():
    summary, told = run(venue(), pace=replace(PACE, workers=4))
    assert (summary.parts[0].stored, told, coverage("BTCUSDT", 1).holes) == (6_000, 6_000, ())
