"""One confirmed bar with its features: together or not at all, once, and only by whoever holds the lease."""

import math
from dataclasses import replace

import pytest

from avigrid.common import leases
from avigrid.kernel.errors import InvalidCandle
from avigrid.kernel.market import BookFeatures, Kline
from marketdata.models import BookFeature, KlineCorrection, KlineSource
from marketdata.models import Kline as KlineRow
from marketdata.selectors.bars import bar, bars
from marketdata.selectors.book_features import book_feature, book_features
from marketdata.services.bar_store import BarOutcome, bar_store
from tests.support.bars import T0, saw_table

pytestmark = pytest.mark.django_db
BAR = Kline("BTCUSDT", 5, T0, 100.0, 102.0, 99.5, 101.5, 12.5, 1260.0, confirmed=True)
FEATURES = BookFeatures("BTCUSDT", T0 + 300_150, 101.45, 0.41, 101.47, 0.98, 152_000.0)
NOW_MS = T0 + 300_200


def test_bar_and_features_become_visible_together():
    assert bar_store(bar=BAR, features=FEATURES, now_ms=NOW_MS) is BarOutcome.NEW
    assert bars("BTCUSDT", 5, NOW_MS, 10) == (BAR,)
    assert book_feature("BTCUSDT", T0) == FEATURES
    assert book_features("BTCUSDT", T0, T0 + 1) == {T0: FEATURES}


def test_neither_is_there_when_one_fails(monkeypatch):
    def boom(lease):
        raise leases.LeaseLost("taken", name=lease.name)

    monkeypatch.setattr(leases, "check", boom)
    with pytest.raises(leases.LeaseLost):
        bar_store(bar=BAR, features=FEATURES, now_ms=NOW_MS, lease=leases.HeldLease("m:BTCUSDT", "me", 1))
    assert KlineRow.objects.count() == 0
    assert BookFeature.objects.count() == 0


def test_the_fence_keeps_a_former_holder_out():
    old = leases.acquire("symbol:BTCUSDT", ttl_s=-1, holder="old")
    new = leases.acquire("symbol:BTCUSDT", ttl_s=60, holder="new")
    with pytest.raises(leases.LeaseLost):
        bar_store(bar=BAR, features=FEATURES, now_ms=NOW_MS, lease=old)
    assert KlineRow.objects.count() == 0
    assert bar_store(bar=BAR, features=FEATURES, now_ms=NOW_MS, lease=new) is BarOutcome.NEW


def test_a_late_duplicate_changes_nothing():
    bar_store(bar=BAR, features=FEATURES, now_ms=NOW_MS)
    other = replace(BAR, close=99.9)
    late = replace(FEATURES, imbalance=-0.9)
    assert bar_store(bar=other, features=late, now_ms=NOW_MS + 60_000) is BarOutcome.DUPLICATE
    assert bar("BTCUSDT", 5, T0) == BAR
    assert book_feature("BTCUSDT", T0) == FEATURES


def test_features_do_not_come_after_their_bar():
    bar_store(bar=BAR, features=None, now_ms=NOW_MS)
    assert bar_store(bar=BAR, features=FEATURES, now_ms=NOW_MS + 1_000) is BarOutcome.DUPLICATE
    assert book_feature("BTCUSDT", T0) is None


def test_rest_corrects_once():
    bar_store(bar=BAR, features=FEATURES, now_ms=NOW_MS)
    truth = replace(BAR, close=101.0)
    outcomes = [bar_store(bar=truth, features=None, now_ms=NOW_MS, source=KlineSource.REST) for _ in range(2)]
    assert outcomes == [BarOutcome.CORRECTED, BarOutcome.DUPLICATE]
    assert bar("BTCUSDT", 5, T0) == truth
    correction = KlineCorrection.objects.get()
    assert (correction.old_values["close"], correction.new_values["close"]) == (101.5, 101.0)
    assert book_feature("BTCUSDT", T0) == FEATURES


def test_features_of_a_one_sided_book_are_kept_as_they_were():
    bar_store(bar=BAR, features=replace(FEATURES, microprice=math.nan), now_ms=NOW_MS)
    stored = book_feature("BTCUSDT", T0)
    assert stored is not None
    assert math.isnan(stored.microprice)
    assert stored.imbalance == 0.41


@pytest.mark.parametrize(
    ("change", "now_ms", "reason"),
    [
        ({"confirmed": False}, NOW_MS, "unconfirmed"),
        ({}, T0 + 299_999, "not_over"),
        ({"low": 100.5}, NOW_MS, "inconsistent_prices"),
        ({"high": 101.0}, NOW_MS, "inconsistent_prices"),
        ({"close": math.nan}, NOW_MS, "inconsistent_prices"),
        ({"high": math.inf}, NOW_MS, "inconsistent_prices"),
        ({"volume": -0.1}, NOW_MS, "negative_volume"),
        ({"start_ms": T0 + 1}, NOW_MS + 60_000, "misaligned"),
    ],
)
def test_an_unusable_bar_is_refused_and_not_stored(change, now_ms, reason):
    with pytest.raises(InvalidCandle) as caught:
        bar_store(bar=replace(BAR, **change), features=FEATURES, now_ms=now_ms)
    assert caught.value.details["reason"] == reason
    assert KlineRow.objects.count() == 0
    assert BookFeature.objects.count() == 0


def test_bars_are_the_newest_that_had_closed_oldest_first():
    for one in saw_table(6).klines():
        bar_store(bar=one, features=None, now_ms=T0 + 86_400_000)
    end_ms = T0 + 4 * 300_000
    assert [one.start_ms for one in bars("BTCUSDT", 5, end_ms, 3)] == [T0 + n * 300_000 for n in (1, 2, 3)]
    # one millisecond before the fourth bar closes it is not there yet
    assert [one.start_ms for one in bars("BTCUSDT", 5, end_ms - 1, 3)] == [T0 + n * 300_000 for n in (0, 1, 2)]
    assert bars("ETHUSDT", 5, end_ms, 3) == ()
