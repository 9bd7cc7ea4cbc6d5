"""Channels come, change and go; their secret is encrypted on the way in and never comes back out of here."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.views.decorators.debug import sensitive_variables

from accounts.ciphers import Purpose, get_cipher
from accounts.services.audit import audit
from avigrid.common.logging import hide_value
from avigrid.kernel.errors import Rejected
from trading.models import NotificationChannel, OutboxEvent
from trading.services.alerts import alert_raise

if TYPE_CHECKING:
    from accounts.models import User

LEAST_SECRET_CHARS = 16


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """Everything of a channel but name, kind and secret."""

    address: str = ""
    chat: str = ""
    least_severity: str = "warning"
    quiet_from: time | None = None
    quiet_to: time | None = None
    zone: str = "UTC"
    active: bool = True


@sensitive_variables("secret")
def notification_channel_create(
    *, name: str, kind: str, secret: str, wanted: ChannelSettings, actor: "User | str", otp_used: bool = False
) -> NotificationChannel:
    """Raises Rejected with the code of the field: `bad_kind`, `bad_address`, `bad_chat`, `bad_secret`, `bad_severity`,
    `bad_quiet_hours`, `bad_zone`, `name_taken`."""
    hide_value(secret)
    _check(kind, wanted)
    row = NotificationChannel(name=name, kind=kind, ciphertext=_sealed(secret))
    _fill(row, wanted)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            audit(actor=actor, action="channel.created", obj=row, after=_shown(row), otp_used=otp_used)
    except IntegrityError:
        raise Rejected(f"There is a channel named {name}.", code="name_taken") from None
    return row


@sensitive_variables("secret")
def notification_channel_change(
    *,
    channel_id: int,
    wanted: ChannelSettings,
    actor: "User | str",
    secret: str = "",
    otp_used: bool = False,
) -> bool:
    """An empty `secret` keeps the stored one. False, and no audit, where nothing changes."""
    hide_value(secret)
    with transaction.atomic():
        row = NotificationChannel.objects.select_for_update().get(pk=channel_id)
        _check(row.kind, wanted)
        before, old_address = _shown(row), row.address
        _fill(row, wanted)
        after = _shown(row)
        changed = {key: value for key, value in after.items() if before[key] != value}
        if not changed and not secret and row.address == old_address:
            return False
        if secret:
            row.ciphertext = _sealed(secret)
        row.save()
        audit(
            actor=actor,
            action="channel.changed",
            obj=row,
            before={key: before[key] for key in changed},
            after={**changed, "credential_replaced": bool(secret), "address_replaced": row.address != old_address},
            otp_used=otp_used,
        )
    return True


def notification_test(*, actor: "User", now: datetime) -> OutboxEvent | None:
    """One message to every channel that is active; once a second at most."""
    with transaction.atomic():
        event = alert_raise(
            kind="notification_test",
            severity="critical",
            dedupe_key=f"{actor.pk}:{int(now.timestamp())}",
            sentence="This is a test: messages of AviGrid arrive here.",
            now=now,
        )
        if event is not None:
            audit(actor=actor, action="channel.tested", obj=event)
    return event


def _check(kind: str, wanted: ChannelSettings) -> None:
    if kind not in NotificationChannel.Kind.values:
        raise Rejected(f"A channel is a webhook or telegram, not {kind!r}.", code="bad_kind", field="kind")
    parts = urlsplit(wanted.address)
    is_optional = kind == NotificationChannel.Kind.TELEGRAM and not wanted.address
    if not is_optional and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise Rejected("The address must begin with https:// or http://.", code="bad_address", field="address")
    if kind == NotificationChannel.Kind.TELEGRAM and not wanted.chat.lstrip("-@"):
        raise Rejected("A Telegram channel needs the number of its chat.", code="bad_chat", field="chat")
    if wanted.least_severity not in NotificationChannel.Least.values:
        raise Rejected("The severity must be info, warning or critical.", code="bad_severity", field="least_severity")
    if (wanted.quiet_from is None) != (wanted.quiet_to is None):
        raise Rejected("Quiet hours need both a start and an end.", code="bad_quiet_hours", field="quiet_to")
    try:
        ZoneInfo(wanted.zone)
    except (ValueError, OSError, KeyError):  # unknown, a folder, a path
        raise Rejected(f"{wanted.zone!r} is no time zone.", code="bad_zone", field="zone") from None


@sensitive_variables("secret")
def _sealed(secret: str) -> str:
    if len(secret) < LEAST_SECRET_CHARS:
        raise Rejected(
            f"The secret needs at least {LEAST_SECRET_CHARS} characters, this one has {len(secret)}.",
            code="bad_secret",
            field="secret",
        )
    return get_cipher(Purpose.NOTIFICATION).encrypt(secret.encode())


def _fill(row: NotificationChannel, wanted: ChannelSettings) -> None:
    row.address, row.chat, row.zone, row.active = wanted.address, wanted.chat, wanted.zone, wanted.active
    row.least_severity, row.quiet_from, row.quiet_to = wanted.least_severity, wanted.quiet_from, wanted.quiet_to


def _shown(row: NotificationChannel) -> dict[str, object]:
    """For the audit: the host of an address, never its path, which may be a capability."""
    return {
        "host": urlsplit(row.address).hostname or "",
        "chat": row.chat,
        "least_severity": row.least_severity,
        "quiet": f"{row.quiet_from}-{row.quiet_to} {row.zone}" if row.quiet_from else "",
        "active": row.active,
    }
