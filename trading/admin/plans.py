"""Plans, their orders, fills and positions, for reading: what may be done to a plan is done on its page."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline

from trading.admin.history import HistoryAdmin
from trading.models import Fill, Order, OrderEvent, Plan, Position


class OrderEventInline(TabularInline):
    model = OrderEvent
    extra = 0
    can_delete = False
    fields = ("at", "from_status", "event", "to_status", "is_impossible", "evidence")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Plan)
class PlanAdmin(HistoryAdmin):
    about = _("A placed signal from its first order to its last fill. Commands for it are on its page of the desk.")
    desk_page = "trading:plans"
    list_display = ("id", "symbol", "direction", "profile", "status", "close_reason", "stop_price", "stop_confirmed")
    list_filter = ("status", "profile", "origin", "symbol")
    list_select_related = ("account",)

    def desk_url(self, obj: Plan) -> str:
        return reverse("trading:plan", args=[obj.pk])


@admin.register(Order)
class OrderAdmin(HistoryAdmin):
    about = _("Every intent and what became of it; the steps stand below each.")
    desk_page = "trading:plans"
    list_display = ("order_link_id", "symbol", "role", "side", "quantity", "price", "status", "filled_qty", "reason")
    list_filter = ("status", "role", "symbol")
    search_fields = ("order_link_id", "venue_order_id")
    inlines = (OrderEventInline,)

    def desk_url(self, obj: Order) -> str | None:
        return reverse("trading:plan", args=[obj.plan_id]) if obj.plan_id else None


@admin.register(Fill)
class FillAdmin(HistoryAdmin):
    about = _("Executions, booked once each by the exchange's id.")
    desk_page = "trading:plans"
    list_display = ("executed_at", "symbol", "side", "quantity", "price", "fee_usd", "realised_pnl_usd", "source")
    list_filter = ("source", "kind", "symbol")
    search_fields = ("exec_id",)

    def desk_url(self, obj: Fill) -> str | None:
        return reverse("trading:plan", args=[obj.plan_id]) if obj.plan_id else None


@admin.register(Position)
class PositionAdmin(HistoryAdmin):
    about = _("What the fills add up to, proven against the exchange by every reconciliation.")
    desk_page = "trading:reconciliation"
    list_display = ("symbol", "position_idx", "size", "entry_value_usd", "realised_pnl_usd", "fees_usd", "last_fill_at")
