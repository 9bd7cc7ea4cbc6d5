"""The background jobs against a hand-made venue."""

from decimal import Decimal

import pytest
from django.utils import timezone

from avigrid.kernel.clock import FixedClock
from avigrid.kernel.market import Kline
from marketdata import tasks
from marketdata.models import DataGap, FundingRate, Instrument, KlineCorrection, KlineSource
from marketdata.runtime.venue import PublicVenue
from marketdata.selectors.bars import bar
from marketdata.selectors.coverage import coverage
from marketdata.selectors.rollups import rollup_differences
from marketdata.services.klines import klines_bulk_store
from tests.support.bars import T0, saw_table
from tests.support.market_reader import FakeMarketReader

HOUR_MS = 3_600_000


@pytest.fixture
def venue(monkeypatch, db):
    reader = FakeMarketReader()
    for interval_min in (1, 5, 15):
        for known in saw_table(120 // interval_min, interval_min=interval_min).klines():
            reader.bars["BTCUSDT", interval_min, known.start_ms] = known
    monkeypatch.setattr(tasks, "public_venue", lambda: PublicVenue(reader, FixedClock(T0 + 2 * HOUR_MS)))
    Instrument.objects.create(
        symbol="BTCUSDT",
        base_coin="BTC",
        quote_coin="USDT",
        funding_interval_min=480,
        status="Trading",
        in_whitelist=True,
        updated_at=timezone.now(),
    )
    return reader


def test_the_sweep_fills_what_the_stream_left_behind(venue):
    for interval_min in (1, 5, 15):
        table = saw_table(120 // interval_min, interval_min=interval_min)
        kept = table.take((table.start_ms != T0 + HOUR_MS) & (table.start_ms < T0 + 2 * HOUR_MS - 60_000))
        klines_bulk_store(kept, source=KlineSource.STREAM, now_ms=T0 + 2 * HOUR_MS)
    assert tasks.gaps_sweep(lookback_hours=2) == 3
    # the newest minute is the stream's business
    assert coverage("BTCUSDT", 1).bars == 119
    assert sorted(DataGap.objects.values_list("interval_min", "bars_filled", "reason")) == [
        (1, 1, "sweep"),
        (5, 1, "sweep"),
        (15, 1, "sweep"),
    ]
    assert tasks.gaps_sweep(lookback_hours=2) == 0


def test_funding_and_retention(venue, settings, tmp_path):
    settings.AVIGRID = {**settings.AVIGRID, "ARCHIVE_FOLDER": str(tmp_path)}
    venue.funding = [(T0 + HOUR_MS, Decimal("0.0001"))]
    assert (tasks.funding_update(), tasks.funding_update()) == (1, 0)
    assert FundingRate.objects.get().rate == Decimal("0.0001")

    klines_bulk_store(saw_table(3, start_ms=T0 - 500 * 24 * HOUR_MS), source=KlineSource.REST, now_ms=T0)
    assert tasks.retention() == {"klines": 3, "book_features": 0, "public_trades": 0, "order_book_log": 0}
    assert [path.name for path in tmp_path.rglob("*.csv.gz")] == ["BTCUSDT_5m_2024-05.csv.gz"]


@pytest.mark.django_db(transaction=True)
def test_rollups_are_brought_up_to_date(venue):
    for interval_min in (5, 15):
        table = saw_table(24 if interval_min == 5 else 8, interval_min=interval_min)
        klines_bulk_store(table, source=KlineSource.REST, now_ms=T0 + 2 * HOUR_MS)
    tasks.rollups_update()

    compared, differences = rollup_differences("BTCUSDT", 15, T0, T0 + 2 * HOUR_MS)
    assert compared == 8
    # the saw restarts per interval, so most closes differ: the comparison must say so
    assert differences


@pytest.mark.django_db(transaction=True)
def test_stored_bars_are_held_against_the_venue_corrected_and_logged(venue):
    now_ms = T0 + 2 * HOUR_MS
    hour = {
        "open": 100.0,
        "high": 106.5,
        "low": 99.75,
        "volume": sum(1.0 + n % 5 for n in range(12)),
        "turnover": 1.0,
    }
    # the saw of twelve 5m bars closes at 100 + 12 % 7; the venue's second hour says something else
    for number, close in ((0, 105.0), (1, 104.0)):
        start_ms = T0 + number * HOUR_MS
        venue.bars["BTCUSDT", 60, start_ms] = Kline("BTCUSDT", 60, start_ms, close=close, confirmed=True, **hour)
    streamed = saw_table(24)
    streamed.close[3] += 0.25  # the stream told another close
    klines_bulk_store(streamed, source=KlineSource.STREAM, now_ms=now_ms)
    found = tasks.bars_verification(lookback_hours=2)
    assert found["corrected"] == 1
    correction = KlineCorrection.objects.get()
    assert (correction.interval_min, correction.old_values["close"], correction.new_values["close"]) == (
        5,
        104.25,
        104.0,
    )
    assert bar("BTCUSDT", 5, T0 + 3 * 300_000).close == 104.0
    compared, differences = rollup_differences("BTCUSDT", 60, T0, T0 + HOUR_MS)
    assert (compared, differences) == (1, [])
    _, differences = rollup_differences("BTCUSDT", 60, T0 + HOUR_MS, T0 + 2 * HOUR_MS)
    # twelve more bars of the saw open at 105, close at 103 and trade 37
    assert [(d.field, round(d.difference, 3)) for d in differences] == [
        ("open", -5.0),
        ("close", 1.0),
        ("volume", -0.121),
    ]
    assert found["differing"] > 3  # and the 15m saw is no roll-up of the 5m one
    assert tasks.bars_verification(lookback_hours=2)["corrected"] == 0
