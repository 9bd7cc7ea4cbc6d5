"""Catching up on the real tables: what counts as a gap, what gets features, what is late."""

from dataclasses import replace

import pytest

from avigrid.kernel.market import BookFeatures, PublicTrade
from marketdata.models import DataGap, KlineSource
from marketdata.runtime.database_storage import DatabaseStorage
from marketdata.runtime.options import PipelineOptions
from marketdata.selectors.book_features import book_feature
from marketdata.selectors.coverage import coverage, open_gaps
from marketdata.selectors.public_trades import public_trades
from marketdata.services import metrics
from marketdata.services.gaps import TAPE, gaps_settle
from marketdata.services.klines import klines_bulk_store
from marketdata.services.public_trades import public_trades_store
from tests.support.bars import T0, saw_table
from tests.support.market_reader import FakeMarketReader

pytestmark = pytest.mark.django_db
FIVE_MS = 300_000
DAY_MS = 86_400_000


def desk(count: int, stored: int = 0) -> DatabaseStorage:
    """The venue knows so many 5m bars; the first ones are stored."""
    table = saw_table(count)
    if stored:
        klines_bulk_store(table.take(slice(0, stored)), source=KlineSource.STREAM, now_ms=T0 + 100 * DAY_MS)
    return DatabaseStorage(FakeMarketReader(list(table.klines())), PipelineOptions(intervals_min=(5,)))


def recover(storage, since: int, now_ms: int, *, reason="start", features=None):
    """`since`: in bars after T0."""
    return storage.recover(
        "BTCUSDT", {5: T0 + since * FIVE_MS}, now_ms=now_ms, features=features, reason=reason, lease=None
    )


def test_the_first_start_is_no_gap():
    found = recover(desk(20), 5, T0 + 20 * FIVE_MS)
    assert (found.fetched, found.late, found.complete_until_ms) == (15, False, {5: T0 + 20 * FIVE_MS})
    assert [(bar.start_ms - T0) // FIVE_MS for bar, _ in found.decisions] == list(range(8, 20))
    assert DataGap.objects.count() == 0


def test_a_start_after_days_away_fills_and_records_all_of_them():
    found = recover(desk(1_000, stored=10), 980, T0 + 1_000 * FIVE_MS)
    assert found.fetched == 990
    assert coverage("BTCUSDT", 5).holes == ()
    gap = DataGap.objects.get()
    assert (gap.bars_filled, gap.filled_at is not None, gap.reason) == (990, True, "start")


def test_what_is_older_than_a_week_is_left_for_backfill_but_seen():
    now_ms = T0 + 9 * DAY_MS
    recover(desk(9 * 288, stored=10), 9 * 288 - 20, now_ms)
    assert coverage("BTCUSDT", 5).bars == 10 + 7 * 288
    assert open_gaps("BTCUSDT") == [("BTCUSDT", 5, T0 + 10 * FIVE_MS, T0 + 2 * DAY_MS, "nobody was here")]


def test_only_a_bar_that_closed_a_moment_ago_gets_the_book_of_now():
    now_ms = T0 + 20 * FIVE_MS + 3_000
    features = BookFeatures("BTCUSDT", now_ms, 100.0, 0.25, 100.0, 1.0, 1e5)
    found = recover(desk(20), 15, now_ms, features=features)
    assert [sampled for _, sampled in found.decisions] == [None] * 4 + [features]
    assert book_feature("BTCUSDT", T0 + 18 * FIVE_MS) is None
    recover(desk(21), 20, T0 + 21 * FIVE_MS + 10_001, features=features)
    assert book_feature("BTCUSDT", T0 + 20 * FIVE_MS) is None


def test_a_book_is_kept_with_the_age_a_decision_saw_it_with():
    """Thirty times as fast as the wall, a book of 3 s after the close is a tenth of a second old."""
    bars = list(saw_table(20).klines())
    options = PipelineOptions(intervals_min=(5,), rate_ratio=30.0, fresh_features_ms=300_000)
    storage = DatabaseStorage(FakeMarketReader(bars), options)
    close_ms = bars[18].end_ms
    features = BookFeatures("BTCUSDT", close_ms + 3_000, 100.0, 0.25, 100.0, 1.0, 1e5)
    storage.bar(bars[18], features, now_ms=close_ms + 4_000, lease=None)
    assert book_feature("BTCUSDT", bars[18].start_ms) == replace(features, time_ms=close_ms + 100)
    before = replace(features, time_ms=close_ms + FIVE_MS - 6_000)
    found = recover(storage, 19, close_ms + FIVE_MS + 4_000, features=before)
    assert [sampled.time_ms - bar.end_ms for bar, sampled in found.decisions] == [-200]


def test_a_bar_the_venue_does_not_give_yet_is_late_and_later_a_hole():
    storage = desk(19, stored=19)
    found = recover(storage, 19, T0 + 20 * FIVE_MS + 2_000, reason="late_bar")
    assert (found.late, found.complete_until_ms) == (True, {5: T0 + 19 * FIVE_MS})
    assert DataGap.objects.count() == 0
    for _ in range(2):
        found = recover(storage, 19, T0 + 20 * FIVE_MS + 30_000, reason="late_bar")
        assert (found.late, found.complete_until_ms) == (False, {5: T0 + 20 * FIVE_MS})
    hole = (T0 + 19 * FIVE_MS, T0 + 20 * FIVE_MS)
    assert open_gaps("BTCUSDT") == [("BTCUSDT", 5, *hole, "not confirmed in time")]


def test_a_bar_the_stream_did_not_confirm_is_a_gap_that_is_filled():
    recover(desk(20, stored=19), 19, T0 + 20 * FIVE_MS + 2_000, reason="late_bar")
    gap = DataGap.objects.get()
    assert (gap.bars_filled, gap.filled_at is not None, gap.reason) == (1, True, "not confirmed in time")


def test_a_hole_inside_a_known_gap_is_not_recorded_again():
    storage = desk(20, stored=5)
    for index in range(10, 15):
        del storage._reader.bars["BTCUSDT", 5, T0 + index * FIVE_MS]
    for since in (5, 12):
        recover(storage, since, T0 + 20 * FIVE_MS, reason="stream_up")
    gap = DataGap.objects.get()
    assert (gap.bars_filled, gap.filled_at) == (10, None)


def trade(number: int) -> PublicTrade:
    return PublicTrade("BTCUSDT", f"t{number}", T0 + number * 1_000, 100.0, 1.0, True)


def test_a_hole_in_the_tape_is_recorded_where_the_venue_does_not_reach_back():
    storage = desk(1)
    storage._reader.trades = [trade(5), trade(6)]
    storage.recover_tape("BTCUSDT", now_ms=T0 + 10_000)
    assert DataGap.objects.count() == 0
    public_trades_store([trade(7)])
    storage._reader.trades = [trade(7), trade(8)]
    storage.recover_tape("BTCUSDT", now_ms=T0 + 10_000)
    assert DataGap.objects.count() == 0
    storage._reader.trades = [trade(20)]
    storage.recover_tape("BTCUSDT", now_ms=T0 + 30_000)
    assert open_gaps("BTCUSDT") == [("BTCUSDT", TAPE, T0 + 8_001, T0 + 20_000, "tape interrupted")]


def test_a_hole_in_the_tape_is_seen_also_when_the_stream_was_quicker_than_rest():
    storage = desk(1)
    public_trades_store([trade(5), trade(8), trade(19), trade(20)])  # back since 19
    storage._reader.trades = [trade(18), trade(19), trade(20)]
    storage.recover_tape("BTCUSDT", now_ms=T0 + 30_000)
    assert open_gaps("BTCUSDT") == [("BTCUSDT", TAPE, T0 + 8_001, T0 + 18_000, "tape interrupted")]


def test_what_rest_reaches_back_to_is_no_hole_and_fills_what_was_missed():
    storage = desk(1)
    public_trades_store([trade(5), trade(8), trade(19)])
    storage._reader.trades = [trade(number) for number in (8, 11, 12, 19)]
    storage.recover_tape("BTCUSDT", now_ms=T0 + 30_000)
    assert open_gaps("BTCUSDT") == []
    assert [row.trade_id for row in public_trades("BTCUSDT", T0, T0 + DAY_MS)] == ["t5", "t8", "t11", "t12", "t19"]


def test_a_hole_in_the_tape_is_no_missing_bar():
    """Only a file of the venue can fill it: the alert that bars are missing must not wait for that."""
    storage = desk(1)
    public_trades_store([trade(5)])
    storage._reader.trades = [trade(20)]
    storage.recover_tape("BTCUSDT", now_ms=T0 + 30_000)
    recover(storage, 0, T0 + FIVE_MS + 100)
    gaps_settle(symbol="BTCUSDT", interval_min=5, now_ms=T0 + FIVE_MS + 100)
    assert metrics.OPEN_GAPS.labels(symbol="BTCUSDT")._value.get() == 0
