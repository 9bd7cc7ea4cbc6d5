"""Risk in Django's admin: limits are changed by making a version, everything else is for reading."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from accounts.services.second_factor import code_check
from risk.core.limits import RiskLimits, loosened
from risk.models import AccountMeter, RiskDecision, RiskLimitsVersion, TradingState, TradingStateChange
from risk.selectors.limits import FIELDS, current_limits
from risk.services.limits import limits_update


class ReadOnlyAdmin(ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class LimitsForm(forms.ModelForm):
    """Checks what the service will check, so that a refusal stands beside its field and nothing typed is lost."""

    reason = forms.CharField(widget=forms.Textarea(attrs={"rows": 2}), help_text="Why; kept in the audit trail.")
    one_time_password = forms.CharField(
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code"}),
        help_text="Only where a limit becomes looser.",
    )
    user: Any = None
    otp_used = False

    class Meta:
        model = RiskLimitsVersion
        fields = ("account", *FIELDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields.pop("account", None)
            self.fields["reason"].initial = ""
            self.initial["reason"] = ""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        account_id = self.instance.account_id or getattr(cleaned.get("account"), "pk", None)
        if self.errors or account_id is None:
            return cleaned
        version, old = current_limits(account_id)
        if version != (self.instance.version or 0):
            raise forms.ValidationError(f"These limits are at version {version} by now: start from that one.")
        try:
            new = RiskLimits(**{name: cleaned[name] for name in FIELDS})
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        looser = loosened(old, new)
        if looser:
            code = cleaned.get("one_time_password", "")
            self.otp_used = bool(code) and code_check(user=self.user, code=code) is not None
            if not self.otp_used:
                self.add_error("one_time_password", f"Loosening {', '.join(looser)} needs a valid one-time password.")
        return cleaned


@admin.register(RiskLimitsVersion)
class RiskLimitsAdmin(ModelAdmin):
    form = LimitsForm
    list_display = ("account", "version", "active", "r_usd", "max_total_risk_r", "daily_loss_r", "created_at", "reason")
    list_filter = ("account", "active")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Past versions are read only."""
        is_past = isinstance(obj, RiskLimitsVersion) and not obj.active
        return not is_past and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.user = request.user
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("account", *FIELDS, "reason", "one_time_password")
        if obj.active:
            return (*FIELDS, "reason", "one_time_password")
        return ("account", "version", "created_at", "created_by", "reason", *FIELDS)

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
    list_display = ("account", "symbol", "state", "source", "reason", "changed_by", "actor_name", "changed_at")
    list_filter = ("account", "state", "source")
    list_select_related = ("account", "changed_by")


@admin.register(TradingStateChange)
class TradingStateChangeAdmin(ReadOnlyAdmin):
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
    list_display = ("decided_at", "account", "symbol", "direction", "kind", "ruling", "sentence", "took_ms")
    list_filter = ("account", "ruling", "kind", "symbol")
    list_select_related = ("account",)
    search_fields = ("symbol", "reference", "sentence")


@admin.register(AccountMeter)
class AccountMeterAdmin(ReadOnlyAdmin):
    list_display = ("account", "equity_usd", "peak_usd", "drawdown_level", "stop_streak", "last_stop_at", "equity_at")
    list_select_related = ("account",)
