"""Risk in Django's admin: limits are changed by making a version, everything else is for reading."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from avigrid.common.admin_pages import DeskAdmin, ReadOnlyAdmin
from risk.forms.limits import GROUPS, LimitsForm
from risk.models import AccountMeter, RiskDecision, RiskLimitsVersion, TradingState, TradingStateChange
from risk.selectors.limits import FIELDS
from risk.services.limits import limits_update


@admin.register(RiskLimitsVersion)
class RiskLimitsAdmin(DeskAdmin):
    about = _(
        "Changing limits makes a new version that counts from the next check on; past versions stay as they were. "
        "Tightening is one click, loosening needs a fresh one-time password."
    )
    desk_page = "trading:risk"
    form = LimitsForm
    list_display = ("account", "version", "active", "r_usd", "max_total_risk_r", "daily_loss_r", "created_at", "reason")
    list_filter = ("account", "active")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Past versions are read only."""
        is_past = isinstance(obj, RiskLimitsVersion) and not obj.active
        return not is_past and super().has_change_permission(request, obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.request = request
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        groups = [(title, {"fields": names, "description": text}) for title, text, names in GROUPS]
        if obj is None or obj.active:
            who = [(None, {"fields": ("account",)})] if obj is None else []
            return [*who, *groups, (_("Why"), {"fields": ("reason", "one_time_password")})]
        return [(None, {"fields": ("account", "version", "created_at", "created_by", "reason")}), *groups]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        made = limits_update(
            account_id=obj.account_id,
            changes={name: form.cleaned_data[name] for name in FIELDS},
            actor=request.user,  # type: ignore[arg-type]
            reason=form.cleaned_data["reason"],
            otp_used=form.otp_used,
            expected_version=obj.version or 0,
        )
        if made is not None:
            obj.pk, obj.version = made.pk, made.version


@admin.register(TradingState)
class TradingStateAdmin(ReadOnlyAdmin):
    about = _("What is allowed now. Halting is a button on every page of the desk; re-arming is done on its Risk page.")
    desk_page = "trading:risk"
    list_display = ("account", "symbol", "state", "source", "reason", "changed_by", "actor_name", "changed_at")
    list_filter = ("account", "state", "source")
    list_select_related = ("account", "changed_by")


@admin.register(TradingStateChange)
class TradingStateChangeAdmin(ReadOnlyAdmin):
    about = _("Every use of the kill switch: who, why, and whether a code was given.")
    desk_page = "trading:risk"
    list_display = (
        "at",
        "account",
        "symbol",
        "before",
        "after",
        "flatten",
        "source",
        "reason",
        "changed_by",
        "otp_used",
    )
    list_filter = ("account", "after", "source", "flatten")
    list_select_related = ("account", "changed_by")
    search_fields = ("symbol", "reason")
    date_hierarchy = "at"


@admin.register(RiskDecision)
class RiskDecisionAdmin(ReadOnlyAdmin):
    about = _("Every verdict before an order, with all checks and their numbers.")
    desk_page = "trading:risk"
    list_display = ("decided_at", "account", "symbol", "direction", "kind", "ruling", "sentence", "took_ms")
    list_filter = ("account", "ruling", "kind", "symbol")
    list_select_related = ("account",)
    search_fields = ("symbol", "reference", "sentence")


@admin.register(AccountMeter)
class AccountMeterAdmin(ReadOnlyAdmin):
    about = _("Equity, its peak and the streak of stops, as drawdown and pauses are measured from.")
    desk_page = "trading:risk"
    list_display = ("account", "equity_usd", "peak_usd", "drawdown_level", "stop_streak", "last_stop_at", "equity_at")
    list_select_related = ("account",)
