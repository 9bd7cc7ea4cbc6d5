"""What people are told, and through which channels; those are written through their services."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from unfold.admin import TabularInline

from avigrid.common.admin_pages import DeskAdmin, ReadOnlyAdmin
from trading.models import Delivery, NotificationChannel, OutboxEvent
from trading.services.notification_channels import (
    ChannelSettings,
    notification_channel_change,
    notification_channel_create,
    notification_test,
)


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
