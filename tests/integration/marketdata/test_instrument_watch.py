"""The operator's choice per symbol: audited, refused for what is not listed, shown and made in the admin."""

from decimal import Decimal

import pytest
from django.contrib.admin.sites import site
from django.core.paginator import Paginator
from django.test import RequestFactory
from django.utils import timezone

from accounts.models import AuditEntry
from marketdata.admin import EstimatedPaginator
from marketdata.models import Instrument, Kline, KlineSource
from marketdata.services.instrument_watch import NotListed, Watch, instrument_watch_change
from marketdata.services.klines import klines_bulk_store
from tests.support.bars import T0, saw_table

pytestmark = pytest.mark.django_db
ON = Watch(in_whitelist=True, stores_trades=False, logs_order_book=True)


def instrument(**changes) -> Instrument:
    fields = {"symbol": "BTCUSDT", "base_coin": "BTC", "quote_coin": "USDT", "funding_interval_min": 480}
    return Instrument.objects.create(**fields | {"status": "Trading", "updated_at": timezone.now()} | changes)


def test_a_change_is_audited_with_what_changed_only():
    instrument()
    assert instrument_watch_change(symbol="BTCUSDT", watch=ON, actor="desk", reason="research")
    row = Instrument.objects.get()
    assert (row.in_whitelist, row.stores_trades, row.logs_order_book) == (True, False, True)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_name, entry.reason) == ("instrument.watch_changed", "desk", "research")
    assert entry.before == {"in_whitelist": False, "logs_order_book": False}
    assert entry.after == {"in_whitelist": True, "logs_order_book": True}


def test_no_change_leaves_no_trace():
    instrument(in_whitelist=True, logs_order_book=True)
    assert not instrument_watch_change(symbol="BTCUSDT", watch=ON, actor="desk")
    assert AuditEntry.objects.count() == 0


def test_what_is_not_listed_is_refused_and_nothing_changes():
    instrument(status="Unlisted")
    with pytest.raises(NotListed):
        instrument_watch_change(symbol="BTCUSDT", watch=ON, actor="desk")
    assert Instrument.objects.filter(in_whitelist=True, logs_order_book=True).count() == 0
    assert AuditEntry.objects.count() == 0


def test_history_is_read_only_and_an_instruments_limits_too():
    request = RequestFactory().get("/")
    history = site.get_model_admin(Kline)
    assert not history.has_add_permission(request)
    assert not history.has_change_permission(request)
    assert not history.has_delete_permission(request)
    read_only = site.get_model_admin(Instrument).get_readonly_fields(request)
    assert "tick_size" in read_only
    assert not {"in_whitelist", "stores_trades", "logs_order_book"} & set(read_only)


def test_small_tables_are_counted_exactly():
    instrument(tick_size=Decimal("0.1"))
    klines_bulk_store(saw_table(20), source=KlineSource.REST, now_ms=T0 + 86_400_000)
    assert EstimatedPaginator(Kline.objects.order_by("-id"), 10).count == 20
    filtered = Kline.objects.filter(start__gt=Kline.objects.earliest("start").start).order_by("-id")
    assert EstimatedPaginator(filtered, 10).count == Paginator(filtered, 10).count == 19
