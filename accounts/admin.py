"""Accounts in Django's admin. Writing goes through the services, so that it is checked and audited like everywhere."""

from typing import Any, ClassVar

import django.contrib.auth.admin  # noqa: F401 - registers Group, which is taken out again below
from axes.models import AccessAttempt, AccessLog
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from accounts.core.roles import Role
from accounts.models import ApiKey, AuditEntry, OneTimeLink, TradingAccount, User
from accounts.permissions.admin import FreshCodeAdmin, FreshCodeForm
from accounts.permissions.http import CODE_FIELD
from accounts.selectors.trading_accounts import active_key_id
from accounts.services.api_keys import api_key_add, api_key_deactivate, api_key_rotate
from accounts.services.links import SentLink, link_send
from accounts.services.second_factor import device_remove
from accounts.services.trading_accounts import trading_account_create, trading_account_set_active
from accounts.services.users import user_create, user_deactivate, user_reactivate, user_rename, user_role_set
from avigrid.common.admin_pages import DeskAdmin, ReadOnlyAdmin

admin.site.unregister(Group)  # roles are set through the service, which audits them


class UserForm(FreshCodeForm):
    role = forms.ChoiceField(
        choices=[(role.value, role.value) for role in Role],
        help_text=_("viewer: looks; trader: places, closes, halts; admin: also limits, keys, people, re-arming"),
    )

    class Meta:
        model = User
        fields = ("email", "name", "is_active")
        help_texts: ClassVar = {
            "email": _("the name to log in with; cannot be changed later"),
            "is_active": _("off: out at once, in every session and with every token"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["role"].initial = self.instance.role.value if self.instance.role else None


@admin.register(User)
class UserAdmin(FreshCodeAdmin):
    about = _(
        "Who may enter, and as what. Traders and admins need a one-time-password device; a new person sets it up by "
        "a link, mailed or shown here once. Nobody is deleted: what they did stays theirs."
    )
    form = UserForm
    needs = "users.change"
    list_display = ("email", "name", "role", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    search_fields = ("email", "name")
    actions = ("send_link", "remove_device")

    def desk_url(self, obj: User) -> str:
        return f"{reverse('trading:audit')}?{urlencode({'actor': obj.email})}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("email", "name", "role", CODE_FIELD)
        return ("email", "name", "role", "is_active", "last_login", CODE_FIELD)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("email", "last_login")

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: User, form: UserForm, change: bool) -> None:
        actor = request.user
        assert isinstance(actor, User)
        role = Role(form.cleaned_data["role"])
        if not change:
            made = user_create(email=obj.email, role=role, name=obj.name, actor=actor, otp_used=True)
            obj.pk = made.pk
            self._send_link(request, made, OneTimeLink.Purpose.ACTIVATE)
            return
        stored = User.objects.get(pk=obj.pk)
        if stored.role is not role:
            user_role_set(user=stored, role=role, actor=actor, otp_used=True)
        if stored.is_active and not obj.is_active:
            user_deactivate(user=stored, actor=actor, otp_used=True)
        if not stored.is_active and obj.is_active:
            user_reactivate(user=stored, actor=actor, otp_used=True)
        if "name" in form.changed_data:  # last: the others lock admins in an order of their own
            user_rename(user=stored, name=obj.name, actor=actor, otp_used=True)

    @admin.action(description=_("Send a link for a new password"))
    def send_link(self, request: HttpRequest, users: QuerySet[User]) -> None:
        for user in users.filter(is_active=True):
            self._send_link(request, user, OneTimeLink.Purpose.RESET)

    @staticmethod
    def _send_link(request: HttpRequest, user: User, purpose: OneTimeLink.Purpose) -> None:
        actor = request.user
        assert isinstance(actor, User)
        base_url = request.build_absolute_uri("/")
        sent = link_send(user=user, purpose=purpose, actor=actor, base_url=base_url, otp_used=True)
        # registered after the mail's own sending: only then is it known whether it went out
        transaction.on_commit(lambda: _tell(request, user, sent))

    @admin.action(description=_("Remove the one-time-password device (lost phone)"))
    def remove_device(self, request: HttpRequest, users: QuerySet[User]) -> None:
        for user in users:
            device_remove(user=user, actor=request.user, reason="admin", otp_used=True)  # type: ignore[arg-type]


def _tell(request: HttpRequest, user: User, sent: SentLink) -> None:
    link = sent.to_hand_over
    if link is None:
        messages.success(request, _("A link is on its way to %(email)s.") % {"email": user.email})
    else:
        text = _("No mail could be sent. The link of %(email)s, once, for 48 hours: %(url)s")
        messages.warning(request, text % {"email": user.email, "url": link})


@admin.register(TradingAccount)
class TradingAccountAdmin(DeskAdmin):
    about = _(
        "An account at the exchange. Environment and position mode are fixed once made, because plans rely on them; an "
        "inactive account is neither traded nor reconciled."
    )
    desk_page = "trading:risk"
    list_display = ("label", "environment", "hedge_mode", "active", "created_at")
    fields = ("label", "environment", "hedge_mode", "base_url", "ws_url", "active")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What plans and orders rely on cannot be changed under them."""
        return ("active",) if obj is None else ("label", "environment", "hedge_mode", "base_url", "ws_url")

    def save_model(self, request: HttpRequest, obj: TradingAccount, form: Any, change: bool) -> None:
        actor = request.user
        assert isinstance(actor, User)
        if change:
            trading_account_set_active(account=obj, active=obj.active, actor=actor)
            return
        made = trading_account_create(
            label=obj.label,
            environment=obj.environment,
            hedge_mode=obj.hedge_mode,
            base_url=obj.base_url,
            ws_url=obj.ws_url,
            actor=actor,
        )
        obj.pk = made.pk


class ApiKeyForm(FreshCodeForm):
    secret = forms.CharField(
        max_length=200,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=False),
        help_text=_("Tried at the exchange now, stored encrypted, never shown again."),
    )

    class Meta:
        model = ApiKey
        fields = ("account", "label", "key_id")
        help_texts: ClassVar = {
            "label": _("for people: which key this is"),
            "key_id": _("the exchange calls it API key; bind it to your server's address there"),
        }


@admin.register(ApiKey)
class ApiKeyAdmin(FreshCodeAdmin):
    about = _(
        "Exchange keys. The secret is tried at the exchange, then stored encrypted and never shown again; a key that "
        "may withdraw is refused. A second key for an account replaces the first."
    )
    desk_page = "trading:system"
    form = ApiKeyForm
    needs = "keys.change"
    list_display = ("label", "account", "key_id", "read_only", "ip_bound", "active", "last_used_at")
    list_filter = ("active", "account")
    actions = ("deactivate",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiKey]:
        return super().get_queryset(request).select_related("account").defer("ciphertext")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        if obj is None:
            return ("account", "label", "key_id", "secret", CODE_FIELD)
        return ("account", "label", "key_id", "permissions", "read_only", "ip_bound", "active", "last_used_at")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    @sensitive_variables("secret", "form")
    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """A key for an account that has one replaces it."""
        actor = request.user
        assert isinstance(actor, User)
        store = api_key_add if active_key_id(obj.account_id) is None else api_key_rotate
        added = store(
            account=obj.account,
            label=obj.label,
            key_id=obj.key_id,
            secret=form.cleaned_data["secret"],
            trial=import_string(settings.KEY_TRIAL_CALL),
            actor=actor,
            otp_used=True,
        )
        obj.pk = added.key.pk
        for warning in added.warnings:
            messages.warning(request, warning)

    @admin.action(description=_("Deactivate: trading with this account stops"))
    def deactivate(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        for key in keys:
            api_key_deactivate(key=key, actor=request.user, otp_used=True)  # type: ignore[arg-type]


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    about = _(
        "Who did what, when, and what it changed. Rows are chained: the desk's page proves that none was altered."
    )
    desk_page = "trading:audit"
    list_display = ("id", "at", "actor", "actor_name", "action", "object_type", "object_id", "otp_used")
    list_filter = ("action", "object_type")
    search_fields = ("action", "object_type", "object_id", "actor__email", "actor_name", "reason")
    date_hierarchy = "at"
    list_select_related = ("actor",)

    def desk_url(self, obj: AuditEntry) -> str:
        return f"{reverse('trading:audit')}?{urlencode({'object_type': obj.object_type, 'object_id': obj.object_id})}"


class LoginAdmin(ReadOnlyAdmin):
    """django-axes' own rows; its own pages would let one delete them."""

    desk_page = "trading:audit"
    search_fields = ("username", "ip_address")
    list_filter = ("username",)


@admin.register(AccessLog)
class AccessLogAdmin(LoginAdmin):
    about = _("Log-ins that succeeded, and when each ended.")
    list_display = ("attempt_time", "logout_time", "username", "ip_address", "user_agent")


@admin.register(AccessAttempt)
class AccessAttemptAdmin(LoginAdmin):
    about = _("Failed log-ins that still count towards a lock. A lock opens by itself after its time.")
    list_display = ("attempt_time", "username", "ip_address", "failures_since_start", "path_info")
