"""The limits as a form: what each number means, in groups, and the checks the service will make anyway."""

from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.services.second_factor import code_prove
from risk.core.limits import RiskLimits, loosened
from risk.models import RiskLimitsVersion
from risk.selectors.limits import FIELDS, current_limits

GROUPS: tuple[tuple[str | Promise, str | Promise, tuple[str, ...]], ...] = (
    (_("Worth of one R"), _("Sizing and every limit in R use this one number."), ("r_usd",)),
    (
        _("How much at once"),
        _("Checked before a plan is placed, what is open and on its way included."),
        ("max_plan_risk_r", "max_total_risk_r", "max_per_symbol_risk_r", "max_concurrent", "max_per_base"),
    ),
    (
        _("Losses"),
        _("Beyond these nothing new is opened; stops and exits always stay."),
        (
            *("daily_loss_r", "drawdown_yellow_ratio", "drawdown_orange_ratio", "drawdown_red_ratio"),
            *("flatten_on_red", "loss_streak_stops", "loss_streak_pause_min", "anti_churn_s"),
        ),
    ),
    (
        _("Notional, margin and leverage"),
        _("Against the exchange's own limits, and against being liquidated before the stop."),
        (
            *("max_leverage", "max_plan_notional_usd", "max_symbol_notional_usd", "max_margin_ratio"),
            "liquidation_stop_multiple",
        ),
    ),
    (
        _("Pace of orders"),
        _("A runaway loop ends here."),
        ("orders_per_minute", "orders_per_day", "max_price_deviation_ratio"),
    ),
    (
        _("What must be known"),
        _("Older knowledge than this is no knowledge: no new risk until it is fresh again."),
        ("book_max_age_s", "bars_max_age", "reconciliation_max_age_s", "max_clock_offset_ms"),
    ),
    (
        _("What pulls the kill switch"),
        _("Halted: entries go, exits and stops stay, and only an admin re-arms."),
        ("halt_after_errors", "halt_after_stale_s", "halt_on_critical"),
    ),
)

HELP: dict[str, str | Promise] = {
    "r_usd": _("USDT a plan may lose at its stop, fees included"),
    "max_plan_risk_r": _("most R one plan may risk"),
    "max_total_risk_r": _("most R at risk over all open plans"),
    "max_per_symbol_risk_r": _("most R at risk in one symbol"),
    "max_concurrent": _("plans open at once"),
    "max_per_base": _("plans open at once in one base coin"),
    "daily_loss_r": _("R lost in one UTC day, after which the day is over"),
    "drawdown_yellow_ratio": _("equity below its peak, 0.10 is 10 %: a warning"),
    "drawdown_orange_ratio": _("no new entries from here on: reducing only"),
    "drawdown_red_ratio": _("the kill switch: halted until an admin re-arms"),
    "flatten_on_red": _("at red also close everything at the market"),
    "loss_streak_stops": _("stops in a row, after which there is a pause"),
    "loss_streak_pause_min": _("minutes of that pause"),
    "anti_churn_s": _("seconds between two entries of one side in one symbol"),
    "max_leverage": _("set at the exchange and used for the margin check"),
    "max_plan_notional_usd": _("most USDT of position one plan may come to"),
    "max_symbol_notional_usd": _("most USDT of position in one symbol"),
    "max_margin_ratio": _("initial margin over equity, this plan included: 0.50 is half"),
    "liquidation_stop_multiple": _("the liquidation price lies at least this many stop distances away"),
    "orders_per_minute": _("no entry beyond so many orders a minute; exits wait their turn and are never refused"),
    "orders_per_day": _("no entry beyond so many orders a day"),
    "max_price_deviation_ratio": _("how far from the mark price an order's price may lie: 0.05 is 5 %"),
    "book_max_age_s": _("seconds since the order book last moved"),
    "bars_max_age": _("5-minute bars that may be missing"),
    "reconciliation_max_age_s": _("seconds since books and exchange were last proven equal"),
    "max_clock_offset_ms": _("milliseconds between our clock and the exchange's"),
    "halt_after_errors": _("orders a minute that the exchange refuses or that are lost on the way"),
    "halt_after_stale_s": _("seconds without a price of a symbol that has an open plan"),
    "halt_on_critical": _("an unexplained position halts the whole account, not only its symbol"),
}


class LimitsForm(forms.ModelForm):
    """Checks what the service will check, so that a refusal stands beside its field and nothing typed is lost."""

    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 2}), help_text=_("Why; kept in the audit trail for good.")
    )
    one_time_password = forms.CharField(
        required=False,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code"}),
        help_text=_("Only where a limit becomes looser."),
    )
    request: Any = None
    """Set by the admin: who asks, and from where, for a wrong code to count."""
    otp_used = False

    class Meta:
        model = RiskLimitsVersion
        fields = ("account", *FIELDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, text in HELP.items():
            if name in self.fields:
                self.fields[name].help_text = str(text)
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
            raise forms.ValidationError(
                gettext("These limits are at version %(version)s by now: start from that one.") % {"version": version}
            )
        try:
            new = RiskLimits(**{name: cleaned[name] for name in FIELDS})
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        looser = loosened(old, new)
        if looser:
            code = cleaned.get("one_time_password", "")
            self.otp_used = bool(code) and self._is_proven(code)
            if not self.otp_used:
                names = ", ".join(looser)
                text = gettext("Loosening %(names)s needs a valid one-time password.") % {"names": names}
                self.add_error("one_time_password", text)
        return cleaned

    def _is_proven(self, code: str) -> bool:
        return code_prove(user=self.request.user, code=code, request=self.request, step="limits.change") is not None
