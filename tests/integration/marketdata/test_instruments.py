"""The instrument list: exact numbers, the operator's whitelist, delisted and unlisted symbols."""

from dataclasses import replace
from decimal import Decimal

import pytest

from avigrid.kernel.instrument import Instrument
from marketdata.models import Instrument as Row
from marketdata.selectors.instruments import UnknownInstrument, instrument, instruments, whitelist
from marketdata.services.instruments import instruments_refresh
from tests.support.market_reader import FakeMarketReader

pytestmark = pytest.mark.django_db
BTC = Instrument(
    "BTCUSDT",
    "BTC",
    "USDT",
    tick_size=Decimal("0.10"),
    min_price=Decimal("0.10"),
    max_price=Decimal("1999999.80"),
    qty_step=Decimal("0.001"),
    min_order_qty=Decimal("0.001"),
    max_limit_qty=Decimal("1500.000"),
    max_market_qty=Decimal("150.000"),
    min_notional=Decimal(5),
    max_leverage=Decimal("100.00"),
    funding_interval_min=480,
)
PEPE = replace(BTC, symbol="1000PEPEUSDT", base_coin="1000PEPE", tick_size=Decimal("0.0000001"), price_scale=7)


def refresh(*listed, wanted=("BTCUSDT",)):
    reader = FakeMarketReader()
    reader.listed = list(listed)
    return instruments_refresh(reader=reader, wanted=wanted, now_ms=1_758_672_000_000)


def test_what_is_stored_reads_back_exactly():
    outcome = refresh(BTC, PEPE)
    assert (outcome.listed, outcome.new) == (2, ("BTCUSDT", "1000PEPEUSDT"))
    assert instrument("BTCUSDT") == BTC
    assert instrument("1000PEPEUSDT") == PEPE
    assert str(instrument("1000PEPEUSDT").tick_size) == "1E-7"
    assert str(instrument("BTCUSDT").max_market_qty) == "150"
    assert [spec.symbol for spec in instruments()] == ["1000PEPEUSDT", "BTCUSDT"]


def test_a_symbol_the_venue_does_not_list_is_reported_and_skipped():
    outcome = refresh(BTC, wanted=("BTCUSDT", "NOSUCHUSDT"))
    assert outcome.missing == ("NOSUCHUSDT",)
    assert whitelist() == ("BTCUSDT",)
    with pytest.raises(UnknownInstrument):
        instrument("NOSUCHUSDT")


def test_the_whitelist_belongs_to_the_operator_after_the_first_time():
    refresh(BTC, PEPE)
    Row.objects.filter(symbol="BTCUSDT").update(in_whitelist=False)
    Row.objects.filter(symbol="1000PEPEUSDT").update(in_whitelist=True)
    refresh(BTC, PEPE)
    assert whitelist() == ("1000PEPEUSDT",)


def test_changes_are_seen_at_once():
    refresh(BTC)
    assert refresh(BTC).changed == ()
    narrower = replace(BTC, max_market_qty=Decimal(120))
    assert refresh(narrower).changed == ("BTCUSDT",)
    assert instrument("BTCUSDT").max_market_qty == Decimal(120)


def test_a_delisted_symbol_leaves_the_whitelist_and_keeps_its_row():
    refresh(BTC, PEPE, wanted=("BTCUSDT", "1000PEPEUSDT"))
    assert refresh(BTC).unlisted == ("1000PEPEUSDT",)
    assert whitelist() == ("BTCUSDT",)
    assert instrument("1000PEPEUSDT").status == "Unlisted"
    refresh(BTC, PEPE)
    assert whitelist() == ("1000PEPEUSDT", "BTCUSDT")


def test_an_empty_answer_delists_nothing():
    refresh(BTC)
    outcome = refresh()
    assert outcome.unlisted == ()
    assert whitelist() == ("BTCUSDT",)
