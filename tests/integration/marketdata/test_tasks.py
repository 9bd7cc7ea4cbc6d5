"""The background jobs against a hand-made venue."""

from decimal import Decimal

import pytest
from django.utils import timezone

from avigrid.kernel.clock import FixedClock
from marketdata import tasks
from marketdata.models import DataGap, FundingRate, Instrument, KlineSource
from marketdata.runtime.venue import PublicVenue
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
        for bar in saw_table(120 // interval_min, interval_min=interval_min).klines():
            reader.bars["BTCUSDT", interval_min, bar.start_ms] = bar
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
