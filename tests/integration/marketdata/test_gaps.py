"""Holes: found, fetched with few requests, recorded, settled; what the venue does not have stays open."""

import numpy as np
import pytest

from avigrid.kernel.errors import Retryable
from marketdata.models import DataGap, KlineSource
from marketdata.selectors.coverage import coverage, missing_ranges, open_gaps, series
from marketdata.selectors.times import to_ms
from marketdata.services.gaps import gap_fill, gaps_settle, windows
from marketdata.services.klines import klines_bulk_store
from tests.support.bars import T0, saw_table
from tests.support.market_reader import FakeMarketReader

pytestmark = pytest.mark.django_db
MIN_MS = 60_000
NOW_MS = T0 + 86_400_000


def store_except(count: int, holes: set[int]):
    table = saw_table(count, interval_min=1)
    keep = np.array([index not in holes for index in range(count)])
    klines_bulk_store(table.take(keep), source=KlineSource.STREAM, now_ms=NOW_MS)
    return FakeMarketReader(list(table.klines()))


def fill(reader, count=100, **changes):
    options = {
        "reader": reader,
        "symbol": "BTCUSDT",
        "interval_min": 1,
        "start_ms": T0,
        "end_ms": T0 + count * MIN_MS,
        "now_ms": NOW_MS,
        "reason": "test",
    }
    return gap_fill(**(options | changes))


def test_coverage_names_every_hole():
    store_except(100, {10, 11, 50})
    report = coverage("BTCUSDT", 1)
    assert (report.bars, report.expected, report.missing, report.ratio) == (97, 100, 3, 0.97)
    assert report.holes == ((T0 + 10 * MIN_MS, T0 + 12 * MIN_MS), (T0 + 50 * MIN_MS, T0 + 51 * MIN_MS))
    assert coverage("BTCUSDT", 5) is None
    assert series() == [("BTCUSDT", 1)]


def test_missing_ranges_count_both_edges():
    store_except(10, {0, 9})
    assert missing_ranges("BTCUSDT", 1, T0 - MIN_MS, T0 + 11 * MIN_MS) == [
        (T0 - MIN_MS, T0 + MIN_MS),
        (T0 + 9 * MIN_MS, T0 + 11 * MIN_MS),
    ]
    assert missing_ranges("ETHUSDT", 1, T0, T0 + MIN_MS) == [(T0, T0 + MIN_MS)]
    assert missing_ranges("BTCUSDT", 1, T0 + 5, T0 + 5) == []


def test_holes_are_filled_with_one_request_and_settled():
    reader = store_except(100, {10, 11, 50})
    outcome = fill(reader)
    assert len(reader.asked) == 1
    assert [bar.start_ms for bar in outcome.bars] == [T0 + n * MIN_MS for n in (10, 11, 50)]
    assert outcome.stored.new == 3
    assert outcome.is_complete
    assert coverage("BTCUSDT", 1).holes == ()
    gaps = DataGap.objects.order_by("start")
    assert [(to_ms(gap.start), gap.bars_filled, gap.reason) for gap in gaps] == [
        (T0 + 10 * MIN_MS, 2, "test"),
        (T0 + 50 * MIN_MS, 1, "test"),
    ]
    assert all(gap.filled_at is not None for gap in gaps)


def test_what_the_venue_does_not_have_stays_open():
    reader = store_except(100, {10, 50})
    del reader.bars["BTCUSDT", 1, T0 + 50 * MIN_MS]
    outcome = fill(reader)
    assert outcome.remaining == ((T0 + 50 * MIN_MS, T0 + 51 * MIN_MS),)
    assert open_gaps("BTCUSDT") == [("BTCUSDT", 1, T0 + 50 * MIN_MS, T0 + 51 * MIN_MS, "test")]
    again = fill(reader)
    assert again.bars == ()
    assert DataGap.objects.count() == 2


def test_a_failing_venue_leaves_the_gap_recorded_and_a_later_call_settles_it():
    reader = store_except(20, {5})
    reader.failures = [Retryable("busy")]
    with pytest.raises(Retryable):
        fill(reader, count=20)
    assert len(open_gaps("BTCUSDT")) == 1
    assert fill(reader, count=20).is_complete
    assert open_gaps("BTCUSDT") == []


def test_a_bar_that_arrives_otherwise_settles_its_gap():
    reader = store_except(20, {5})
    reader.failures = [Retryable("busy")]
    with pytest.raises(Retryable):
        fill(reader, count=20)
    klines_bulk_store(saw_table(20, interval_min=1), source=KlineSource.FILE, now_ms=NOW_MS)
    assert gaps_settle(symbol="BTCUSDT", interval_min=1, now_ms=NOW_MS) == 1
    assert DataGap.objects.get().bars_filled == 1


def test_the_next_look_settles_a_gap_whose_bar_the_stream_brought():
    reader = store_except(20, {5})
    reader.failures = [Retryable("busy")]
    with pytest.raises(Retryable):
        fill(reader, count=20)
    klines_bulk_store(saw_table(20, interval_min=1), source=KlineSource.STREAM, now_ms=NOW_MS)
    assert fill(reader, count=20).missing == ()
    assert open_gaps("BTCUSDT") == []


def test_an_unclosed_bar_is_not_missing():
    reader = store_except(10, set())
    assert fill(reader, count=12, now_ms=T0 + 11 * MIN_MS - 1).missing == ()
    assert reader.asked == []


def test_windows_join_near_holes_and_split_long_ones():
    near = [(0, MIN_MS), (5 * MIN_MS, 6 * MIN_MS), (200 * MIN_MS, 201 * MIN_MS)]
    assert list(windows(near, 1, page_bars=100)) == [(0, 6 * MIN_MS), (200 * MIN_MS, 201 * MIN_MS)]
    assert list(windows([(0, 250 * MIN_MS)], 1, page_bars=100)) == [
        (0, 100 * MIN_MS),
        (100 * MIN_MS, 200 * MIN_MS),
        (200 * MIN_MS, 250 * MIN_MS),
    ]
    assert list(windows([], 1)) == []
