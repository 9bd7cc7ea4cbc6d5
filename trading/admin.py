"""Trading in Django's admin: for reading. What may be done to a plan is done on its page, through the services.

Only strategy versions and notification channels are written here, through their services.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from unfold.admin import TabularInline

from avigrid.common.admin_pages import DeskAdmin, ReadOnlyAdmin
from trading.forms.strategy import StrategyVersionForm
from trading.forms.strategy_help import GROUPS
from trading.models import (
    Decision,
    Delivery,
    EquitySnapshot,
    Fill,
    LedgerEntry,
    NotificationChannel,
    Order,
    OrderEvent,
    OutboxEvent,
    Plan,
    Position,
    ReconciliationFinding,
    ReconciliationRun,
    ResearchRun,
    Signal,
    SlippageRecord,
    StrategyVersion,
)
from trading.services.notification_channels import (
    ChannelSettings,
    notification_channel_change,
    notification_channel_create,
    notification_test,
)
from trading.services.strategy_versions import strategy_version_activate, strategy_version_create


class OrderEventInline(TabularInline):
    model = OrderEvent
    extra = 0
    can_delete = False
    fields = ("at", "from_status", "event", "to_status", "is_impossible", "evidence")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


_VERSION_FIELDS = (
    *("name", "version", "stage", "is_active", "note", "calibration", "created_by", "created_at", "activated_at"),
    *("config_hash", "config"),
)


@admin.register(StrategyVersion)
class StrategyVersionAdmin(ReadOnlyAdmin):
    """A version is never edited: adding one starts from the active one, and any version can be made active again."""

    about = _(
        "Adding starts from the version in use; nothing is ever edited. To decide with an older one again, "
        "choose it in the list and the action above it. Going live is a gate of its own, on the Research page."
    )
    desk_page = "trading:research"

    list_display = ("name", "version", "stage", "is_active", "config_hash", "created_at", "created_by")
    actions = ("make_active",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_form(
        self, request: HttpRequest, obj: StrategyVersion | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        return StrategyVersionForm if obj is None else super().get_form(request, obj, change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: StrategyVersion | None = None) -> Any:
        if obj is not None:
            return [(None, {"fields": _VERSION_FIELDS})]
        groups = [(title, {"fields": names, "description": text}) for title, text, names in GROUPS]
        return [(_("This version"), {"fields": ("stage", "note", "activate")}), *groups]

    def save_model(self, request: HttpRequest, obj: StrategyVersion, form: Any, change: bool) -> None:
        """The service makes the row; `obj` becomes it, so that the admin's own log names the right one."""
        made = strategy_version_create(
            config=form.config,
            stage=form.cleaned_data["stage"],
            note=form.cleaned_data["note"],
            activate=form.cleaned_data["activate"],
            actor=request.user,  # type: ignore[arg-type]
            now=timezone.now(),
        )
        obj.__dict__.update(made.__dict__)

    @admin.action(description="Decide with this version")
    def make_active(self, request: HttpRequest, queryset: Any) -> None:
        if queryset.count() != 1:
            self.message_user(request, "Choose exactly one version.", level="ERROR")
            return
        version = strategy_version_activate(
            version_id=queryset.get().pk,
            actor=request.user,  # type: ignore[arg-type]
            now=timezone.now(),
        )
        self.message_user(request, f"{version} decides from the next bar on.")


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    about = _("Every 5-minute close of every traded symbol: all rules with their values, signal or not.")
    desk_page = "trading:decisions"
    list_display = ("bar_start", "symbol", "status", "direction", "score", "used_proxy")
    list_filter = ("status", "symbol")
    list_select_related = ("strategy",)

    def desk_url(self, obj: Decision) -> str:
        return reverse("trading:symbol", args=[obj.symbol])


@admin.register(Signal)
class SignalAdmin(ReadOnlyAdmin):
    about = _("Decisions that passed, until placed or expired.")
    desk_page = "trading:desk"
    list_display = ("created_at", "symbol", "direction", "profile", "status", "valid_until", "reason")
    list_filter = ("status", "profile", "symbol")
    raw_id_fields = ("decision",)

    def desk_url(self, obj: Signal) -> str:
        return reverse("trading:symbol", args=[obj.symbol])


@admin.register(Plan)
class PlanAdmin(ReadOnlyAdmin):
    about = _("A placed signal from its first order to its last fill. Commands for it are on its page of the desk.")
    desk_page = "trading:plans"
    list_display = ("id", "symbol", "direction", "profile", "status", "close_reason", "stop_price", "stop_confirmed")
    list_filter = ("status", "profile", "origin", "symbol")
    list_select_related = ("account",)

    def desk_url(self, obj: Plan) -> str:
        return reverse("trading:plan", args=[obj.pk])


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    about = _("Every intent and what became of it; the steps stand below each.")
    desk_page = "trading:plans"
    list_display = ("order_link_id", "symbol", "role", "side", "quantity", "price", "status", "filled_qty", "reason")
    list_filter = ("status", "role", "symbol")
    search_fields = ("order_link_id", "venue_order_id")
    inlines = (OrderEventInline,)

    def desk_url(self, obj: Order) -> str | None:
        return reverse("trading:plan", args=[obj.plan_id]) if obj.plan_id else None


@admin.register(Fill)
class FillAdmin(ReadOnlyAdmin):
    about = _("Executions, booked once each by the exchange's id.")
    desk_page = "trading:plans"
    list_display = ("executed_at", "symbol", "side", "quantity", "price", "fee_usd", "realised_pnl_usd", "source")
    list_filter = ("source", "kind", "symbol")
    search_fields = ("exec_id",)

    def desk_url(self, obj: Fill) -> str | None:
        return reverse("trading:plan", args=[obj.plan_id]) if obj.plan_id else None


@admin.register(Position)
class PositionAdmin(ReadOnlyAdmin):
    about = _("What the fills add up to, proven against the exchange by every reconciliation.")
    desk_page = "trading:reconciliation"
    list_display = ("symbol", "position_idx", "size", "entry_value_usd", "realised_pnl_usd", "fees_usd", "last_fill_at")


@admin.register(LedgerEntry)
class LedgerEntryAdmin(ReadOnlyAdmin):
    about = _("Every change of money; the bridge on the Performance page adds it up to the wallet.")
    desk_page = "trading:performance"
    list_display = ("at", "kind", "symbol", "change_usd", "reference", "note")
    list_filter = ("kind", "symbol")


@admin.register(ResearchRun)
class ResearchRunAdmin(ReadOnlyAdmin):
    about = _("Backtests, sweeps and calibrations as they were asked for and ended; started on the page of the desk.")
    desk_page = "trading:research"
    list_display = ("id", "kind", "status", "config_hash", "data_hash", "created_at", "ended_at", "created_by", "error")
    list_filter = ("kind", "status")
    list_select_related = ("created_by",)
    exclude = ("report_html", "result")

    def desk_url(self, obj: ResearchRun) -> str:
        return reverse("trading:research_run", args=[obj.pk])


@admin.register(EquitySnapshot)
class EquitySnapshotAdmin(ReadOnlyAdmin):
    about = _("The wallet as the exchange showed it.")
    desk_page = "trading:performance"
    list_display = ("at", "equity_usd", "wallet_balance_usd", "available_usd", "unrealised_pnl_usd")


@admin.register(SlippageRecord)
class SlippageRecordAdmin(ReadOnlyAdmin):
    about = _("What was asked for and what was got, fill by fill.")
    desk_page = "trading:performance"
    list_display = ("at", "symbol", "is_entry", "is_maker", "requested_price", "fill_price", "slippage_bps")
    list_filter = ("is_entry", "is_maker", "symbol")


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin):
    about = _("Comparisons of our books with the exchange.")
    desk_page = "trading:reconciliation"
    list_display = ("started_at", "scope", "status", "finished_at", "counts", "error")
    list_filter = ("scope", "status")


@admin.register(ReconciliationFinding)
class ReconciliationFindingAdmin(ReadOnlyAdmin):
    about = _("Differences found, what mended them, and the proof. Deciding about them is on the page of the desk.")
    desk_page = "trading:reconciliation"
    list_display = ("detected_at", "severity", "kind", "subject", "sentence", "action", "is_open", "repaired_at")
    list_filter = ("is_open", "severity", "kind")

    def desk_url(self, obj: ReconciliationFinding) -> str:
        return f"{reverse('trading:reconciliation')}#finding-{obj.pk}"


class DeliveryInline(TabularInline):
    model = Delivery
    extra = 0
    can_delete = False
    fields = ("channel", "attempts", "next_attempt_at", "delivered_at", "given_up_at", "last_error")
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnlyAdmin):
    about = _("What people are told, and whether it arrived.")
    desk_page = "trading:system"
    list_display = ("created_at", "severity", "kind", "dedupe_key", "attempts", "delivered_at", "last_error")
    list_filter = ("severity", "kind")
    inlines = (DeliveryInline,)


class ChannelForm(forms.ModelForm):
    secret = forms.CharField(
        max_length=200,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False),
        help_text=_("webhook: signs every message; Telegram: the bot's token; empty keeps the stored one"),
    )

    class Meta:
        model = NotificationChannel
        fields = (
            *("name", "kind", "address", "chat", "least_severity"),
            *("quiet_from", "quiet_to", "zone", "active"),
        )


@admin.register(NotificationChannel)
class NotificationChannelAdmin(DeskAdmin):
    about = _(
        "Where alerts go, from which severity on, and when to keep quiet; critical ones ignore the quiet "
        "hours. Send a test with the action above the list."
    )
    desk_page = "trading:system"
    form = ChannelForm
    list_display = ("name", "kind", "least_severity", "quiet_from", "quiet_to", "zone", "active")
    actions = ("send_test",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return () if obj is None else ("name", "kind")

    @sensitive_variables("secret", "form")
    def save_model(self, request: HttpRequest, obj: NotificationChannel, form: ChannelForm, change: bool) -> None:
        wanted = ChannelSettings(
            address=obj.address,
            chat=obj.chat,
            least_severity=obj.least_severity,
            quiet_from=obj.quiet_from,
            quiet_to=obj.quiet_to,
            zone=obj.zone,
            active=obj.active,
        )
        secret = form.cleaned_data["secret"]
        actor: Any = request.user
        if change:
            notification_channel_change(channel_id=obj.pk, wanted=wanted, secret=secret, actor=actor, otp_used=True)
            return
        obj.pk = notification_channel_create(
            name=obj.name, kind=obj.kind, secret=secret, wanted=wanted, actor=actor, otp_used=True
        ).pk

    @admin.action(description=_("Send a test message to every active channel"))
    def send_test(self, request: HttpRequest, chosen: QuerySet[NotificationChannel]) -> None:
        notification_test(actor=request.user, now=timezone.now())  # type: ignore[arg-type]
        messages.info(request, _("The message is on its way; the outbox shows what came of it."))
