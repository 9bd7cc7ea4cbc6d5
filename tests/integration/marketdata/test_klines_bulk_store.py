"""The bulk writer against real PostgreSQL: fresh, repeated, overlapping and differing rows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from marketdata.models import Kline, KlineCorrection, KlineSource
from marketdata.selectors.bars import range_table
from marketdata.services.klines import klines_bulk_store
from tests.support.bars import T0, saw_table

pytestmark = pytest.mark.django_db
NOW_MS = T0 + 400 * 86_400_000
FIVE_MIN_MS = 300_000


def store(table, source=KlineSource.REST, now_ms=NOW_MS):
    return klines_bulk_store(table, source=source, now_ms=now_ms)


def everything(symbol="BTCUSDT", interval_min=5):
    return range_table(symbol, interval_min, 0, 2 * NOW_MS)


def test_fresh_rows_arrive_exactly():
    table = saw_table(300)
    outcome = store(table)
    assert (outcome.seen, outcome.new, outcome.same) == (300, 300, 0)
    read = everything()
    for name in ("start_ms", "open", "high", "low", "close", "volume", "turnover"):
        assert np.array_equal(getattr(read, name), getattr(table, name)), name
    row = Kline.objects.order_by("start").first()
    assert (row.symbol, row.interval_min, row.source, row.start.isoformat()) == (
        "BTCUSDT",
        5,
        "rest",
        "2025-09-24T00:00:00+00:00",
    )


def test_a_repeat_changes_nothing():
    table = saw_table(50)
    store(table)
    ids = list(Kline.objects.order_by("id").values_list("id", flat=True))
    outcome = store(table)
    assert (outcome.new, outcome.same, outcome.corrected) == (0, 50, 0)
    assert list(Kline.objects.order_by("id").values_list("id", flat=True)) == ids
    assert KlineCorrection.objects.count() == 0


def test_an_overlap_adds_only_what_is_missing():
    table = saw_table(100)
    store(table.take(slice(20, 40)))
    store(table.take(slice(60, 61)))
    outcome = store(table)
    assert (outcome.new, outcome.same) == (79, 21)
    assert np.array_equal(everything().start_ms, table.start_ms)


def test_rest_corrects_and_the_old_values_are_kept():
    table = saw_table(10)
    store(table, KlineSource.STREAM)
    other = replace(table, close=table.close.copy(), high=table.high.copy())
    other.high[3] += 2.0
    other.close[3] += 1.0
    outcome = store(other)
    assert (outcome.new, outcome.same, outcome.corrected, outcome.ignored) == (0, 9, 1, 0)
    correction = KlineCorrection.objects.get()
    assert correction.old_source == "stream"
    assert correction.start.isoformat() == "2025-09-24T00:15:00+00:00"
    # bar 3 of the saw: open 103, close 104
    assert (correction.old_values["close"], correction.new_values["close"]) == (104.0, 105.0)
    assert (correction.old_values["open"], correction.new_values["open"]) == (103.0, 103.0)
    row = Kline.objects.get(start=correction.start)
    assert (row.close, row.source) == (105.0, "rest")


@pytest.mark.parametrize("source", [KlineSource.STREAM, KlineSource.FILE])
def test_nothing_but_rest_corrects(source):
    table = saw_table(10)
    store(table, KlineSource.STREAM)
    other = replace(table, volume=table.volume + 1.0)
    outcome = store(other, source)
    assert (outcome.same, outcome.corrected, outcome.ignored) == (0, 0, 10)
    assert np.array_equal(everything().volume, table.volume)
    assert KlineCorrection.objects.count() == 0


def test_a_missing_turnover_is_completed_without_a_correction():
    table = saw_table(5)
    store(replace(table, turnover=np.full(5, np.nan)), KlineSource.FILE)
    outcome = store(table)
    assert (outcome.completed, outcome.corrected, outcome.same) == (5, 0, 0)
    assert np.array_equal(everything().turnover, table.turnover)
    assert KlineCorrection.objects.count() == 0


def test_unusable_bars_are_counted_and_left_out():
    table = saw_table(6)
    low, volume = table.low.copy(), table.volume.copy()
    low[1] = table.high[1] + 1
    volume[2] = -1.0
    volume[3] = np.nan
    outcome = store(replace(table, low=low, volume=volume), now_ms=T0 + 6 * FIVE_MIN_MS - 1)
    assert outcome.invalid == {"inconsistent_prices": 1, "negative_volume": 2, "not_over": 1}
    assert everything().start_ms.tolist() == [T0, T0 + 4 * FIVE_MIN_MS]


def test_symbols_and_intervals_do_not_mix():
    store(saw_table(3))
    store(saw_table(4, symbol="ETHUSDT"))
    store(saw_table(5, interval_min=15))
    assert [len(everything(*key)) for key in (("BTCUSDT", 5), ("ETHUSDT", 5), ("BTCUSDT", 15))] == [3, 4, 5]


@hypothesis_settings(max_examples=40)
@given(
    parts=st.lists(
        st.tuples(st.integers(0, 30), st.integers(1, 12), st.sampled_from(list(KlineSource))), min_size=1, max_size=8
    )
)
def test_any_order_of_overlapping_parts_ends_in_the_same_table(parts):
    """Replays, late duplicates and several sources: what is stored is the union, each bar once."""
    table = saw_table(42)
    Kline.objects.all().delete()
    new = 0
    for at, length, source in parts:
        new += store(table.take(slice(at, at + length)), source).new
    expected = sorted({at + step for at, length, _ in parts for step in range(length)})
    stored = everything()
    assert stored.start_ms.tolist() == [T0 + index * FIVE_MIN_MS for index in expected]
    assert stored.close.tolist() == [100.0 + (index + 1) % 7 for index in expected]
    assert new == len(expected)
    assert KlineCorrection.objects.count() == 0
