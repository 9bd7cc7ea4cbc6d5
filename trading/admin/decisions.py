"""Decisions and the signals that came of them, for reading."""

from django.contrib import admin
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from trading.admin.history import HistoryAdmin
from trading.models import Decision, Signal


@admin.register(Decision)
class DecisionAdmin(HistoryAdmin):
    about = _("Every 5-minute close of every traded symbol: all rules with their values, signal or not.")
    desk_page = "trading:decisions"
    list_display = ("bar_start", "symbol", "status", "direction", "score", "used_proxy")
    list_filter = ("status", "symbol")
    list_select_related = ("strategy",)

    def desk_url(self, obj: Decision) -> str:
        return reverse("trading:symbol", args=[obj.symbol])


@admin.register(Signal)
class SignalAdmin(HistoryAdmin):
    about = _("Decisions that passed, until placed or expired.")
    desk_page = "trading:desk"
    list_display = ("created_at", "symbol", "direction", "profile", "status", "valid_until", "reason")
    list_filter = ("status", "profile", "symbol")
    raw_id_fields = ("decision",)

    def desk_url(self, obj: Signal) -> str:
        return reverse("trading:symbol", args=[obj.symbol])
