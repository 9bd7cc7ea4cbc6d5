"""Trading in Django's admin: for reading. What may be done to a plan is done on its page, through the services."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from trading.models import (
    Decision,
    EquitySnapshot,
    Fill,
    LedgerEntry,
    Order,
    OrderEvent,
    OutboxEvent,
    Plan,
    Position,
    ReconciliationFinding,
    ReconciliationRun,
    Signal,
    SlippageRecord,
    StrategyVersion,
)


class ReadOnlyAdmin(ModelAdmin):
    list_per_page = 50
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class OrderEventInline(TabularInline):
    model = OrderEvent
    extra = 0
    can_delete = False
    fields = ("at", "from_status", "event", "to_status", "is_impossible", "evidence")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(StrategyVersion)
class StrategyVersionAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "stage", "is_active", "config_hash", "created_at", "created_by")


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ("bar_start", "symbol", "status", "direction", "score", "used_proxy")
    list_filter = ("status", "symbol")
    list_select_related = ("strategy",)


@admin.register(Signal)
class SignalAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "symbol", "direction", "profile", "status", "valid_until", "reason")
    list_filter = ("status", "profile", "symbol")
    raw_id_fields = ("decision",)


@admin.register(Plan)
class PlanAdmin(ReadOnlyAdmin):
    list_display = ("id", "symbol", "direction", "profile", "status", "close_reason", "stop_price", "stop_confirmed")
    list_filter = ("status", "profile", "origin", "symbol")
    list_select_related = ("account",)


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = ("order_link_id", "symbol", "role", "side", "quantity", "price", "status", "filled_qty", "reason")
    list_filter = ("status", "role", "symbol")
    search_fields = ("order_link_id", "venue_order_id")
    inlines = (OrderEventInline,)


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin):
    list_display = ("executed_at", "symbol", "side", "quantity", "price", "fee_usd", "realised_pnl_usd", "source")
    list_filter = ("source", "kind", "symbol")
    search_fields = ("exec_id",)


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    list_display = ("symbol", "position_idx", "size", "entry_value_usd", "realised_pnl_usd", "fees_usd", "last_fill_at")


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "kind", "symbol", "change_usd", "reference", "note")
    list_filter = ("kind", "symbol")


@admin.register(EquitySnapshot)
class EquitySnapshotAdmin(ReadOnlyAdmin):
    list_display = ("at", "equity_usd", "wallet_balance_usd", "available_usd", "unrealised_pnl_usd")


@admin.register(SlippageRecord)
class SlippageRecordAdmin(ReadOnlyAdmin):
    list_display = ("at", "symbol", "is_entry", "is_maker", "requested_price", "fill_price", "slippage_bps")
    list_filter = ("is_entry", "is_maker", "symbol")


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin):
    list_display = ("started_at", "scope", "status", "finished_at", "counts", "error")
    list_filter = ("scope", "status")


@admin.register(ReconciliationFinding)
class ReconciliationFindingAdmin(ReadOnlyAdmin):
    list_display = ("detected_at", "severity", "kind", "subject", "sentence", "action", "is_open", "repaired_at")
    list_filter = ("is_open", "severity", "kind")


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "severity", "kind", "dedupe_key", "attempts", "delivered_at", "last_error")
    list_filter = ("severity", "kind")
