"""Market data in Django's admin: history is for reading; per symbol the operator chooses what is watched."""

from typing import Any, cast

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from avigrid.common.admin_pages import DeskAdmin, ReadOnlyAdmin
from avigrid.kernel.errors import AviGridError
from marketdata.models import (
    BackfillRun,
    BookFeature,
    DataGap,
    FundingRate,
    Instrument,
    Kline,
    KlineCorrection,
    OrderBookLog,
    PublicTrade,
)
from marketdata.services.instrument_watch import Watch, instrument_watch_change


class EstimatedPaginator(Paginator):
    """Counting millions of bars takes seconds; the planner's estimate takes none. Filtered lists are counted."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Model]", self.object_list)
        table = rows.model._meta.db_table
        if rows.query.where:
            return super().count
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(c.reltuples), -1)::bigint FROM pg_class c WHERE c.oid = %s::regclass "
                "OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = %s::regclass)",
                [table, table],
            )
            estimate = int(cursor.fetchone()[0])
        return estimate if estimate > 10_000 else super().count


class HistoryAdmin(ReadOnlyAdmin):
    """Never one that sorts or counts a big table to show a page."""

    paginator = EstimatedPaginator

    def desk_url(self, obj: Any) -> str | None:
        symbol = getattr(obj, "symbol", "")
        return reverse("trading:symbol", args=[symbol]) if symbol else None


@admin.register(Instrument)
class InstrumentAdmin(DeskAdmin):
    about = _(
        "What the exchange lists, in its own grain. Choose what is traded: such a symbol is streamed, stored and "
        "decided on from the next tick of the market-data process on."
    )
    desk_page = "trading:symbols"
    list_display = (
        "symbol",
        "status",
        "in_whitelist",
        "stores_trades",
        "logs_order_book",
        "tick_size",
        "qty_step",
        "max_leverage",
        "updated_at",
    )
    list_filter = ("in_whitelist", "status", "stores_trades", "logs_order_book")
    search_fields = ("symbol",)
    _chosen = ("in_whitelist", "stores_trades", "logs_order_book")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return tuple(field.name for field in Instrument._meta.fields if field.name not in self._chosen)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        grain = [field.name for field in Instrument._meta.fields if field.name not in (*self._chosen, "id")]
        return [
            (None, {"fields": self._chosen, "description": _("What we do with it; kept in the audit trail.")}),
            (
                _("At the exchange"),
                {"fields": grain, "description": _("Taken from the exchange's own list; not ours to change.")},
            ),
        ]

    def desk_url(self, obj: Instrument) -> str:
        return reverse("trading:symbol", args=[obj.symbol])

    def save_model(self, request: HttpRequest, obj: Instrument, form: Any, change: bool) -> None:
        watch = Watch(obj.in_whitelist, obj.stores_trades, obj.logs_order_book)
        try:
            instrument_watch_change(symbol=obj.symbol, watch=watch, actor=request.user)  # type: ignore[arg-type]
        except AviGridError as error:
            self.message_user(request, error.message, messages.ERROR)


@admin.register(Kline)
class KlineAdmin(HistoryAdmin):
    about = _("Stored bars. A correction by the exchange is kept beside, never over.")
    desk_page = "trading:symbols"
    list_display = ("symbol", "interval_min", "start", "open", "high", "low", "close", "volume", "source")
    list_filter = ("interval_min", "source")
    search_fields = ("=symbol",)
    ordering = ("-id",)


@admin.register(KlineCorrection)
class KlineCorrectionAdmin(HistoryAdmin):
    about = _("Where the exchange said something else later than it had said first.")
    list_display = ("symbol", "interval_min", "start", "found_at", "old_source", "old_values", "new_values")
    search_fields = ("=symbol",)
    ordering = ("-id",)


@admin.register(BookFeature)
class BookFeatureAdmin(HistoryAdmin):
    about = _("What the order book looked like at each 5-minute close: what the decision saw.")
    list_display = ("symbol", "bar_start", "time", "mid", "imbalance", "microprice", "spread_bps", "depth_usd")
    search_fields = ("=symbol",)
    ordering = ("-id",)


@admin.register(PublicTrade)
class PublicTradeAdmin(HistoryAdmin):
    about = _("The public tape, where an instrument stores it.")
    list_display = ("symbol", "time", "price", "quantity", "taker_is_buyer", "trade_id")
    search_fields = ("=symbol",)
    ordering = ("-id",)


@admin.register(FundingRate)
class FundingRateAdmin(HistoryAdmin):
    about = _("Funding as it was settled.")
    list_display = ("symbol", "time", "rate")
    search_fields = ("=symbol",)
    ordering = ("-time",)


@admin.register(DataGap)
class DataGapAdmin(HistoryAdmin):
    about = _("Holes in the bars, found and filled; one that cannot be filled keeps decisions back.")
    desk_page = "trading:system"
    list_display = ("symbol", "interval_min", "start", "end", "found_at", "filled_at", "bars_filled", "reason")
    list_filter = ("interval_min", ("filled_at", admin.EmptyFieldListFilter))
    search_fields = ("=symbol",)
    ordering = ("-found_at",)


@admin.register(OrderBookLog)
class OrderBookLogAdmin(HistoryAdmin):
    about = _("Recorded order books for research.")
    list_display = ("symbol", "start", "end", "depth", "messages", "first_update_id", "last_update_id")
    search_fields = ("=symbol",)
    exclude = ("payload",)
    ordering = ("-id",)


@admin.register(BackfillRun)
class BackfillRunAdmin(HistoryAdmin):
    about = _("Fetches of older bars: manage.py backfill.")
    list_display = ("spec", "state", "started_at", "finished_at", "summary")
    list_filter = ("state",)
    ordering = ("-started_at",)
