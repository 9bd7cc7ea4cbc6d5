"""Where notifications go: a signed webhook, a Telegram chat. Each raises DeliveryFailed and says nothing secret."""

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Protocol

import requests
import structlog
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from accounts.ciphers import Purpose, get_cipher
from accounts.ciphers.base import CipherError
from avigrid.common.logging import hide_value
from avigrid.common.spoken import said, worded
from avigrid.kernel.errors import Retryable
from trading.engine.notifying import Manner, QuietHours
from trading.models import NotificationChannel, OutboxEvent

TIMEOUT_S = 5.0
TELEGRAM_URL = "https://api.telegram.org"
TELEGRAM_CHARS = 4000

log = structlog.get_logger(__name__)


class DeliveryFailed(Retryable):
    """The receiver did not take it; it is tried again later."""

    code = "delivery_failed"


class Channel(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def manner(self) -> Manner: ...
    def send(self, event: OutboxEvent, *, now_s: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Webhook:
    """POSTs JSON. `X-AviGrid-Signature: t=<seconds>,v1=<hex>` is HMAC-SHA256 of `<seconds>.<body>`; `X-AviGrid-Event`
    and `X-AviGrid-Dedupe-Key` name the event, the same in every attempt, so that a receiver can drop repeats."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    name: str = "webhook"
    manner: Manner = Manner()
    timeout_s: float = TIMEOUT_S

    def send(self, event: OutboxEvent, *, now_s: int) -> None:
        body = json.dumps(message_of(event), sort_keys=True, separators=(",", ":")).encode()
        headers = {
            "Content-Type": "application/json",
            "X-AviGrid-Event": str(event.pk),
            "X-AviGrid-Dedupe-Key": event.dedupe_key.encode("ascii", "backslashreplace").decode(),
            "X-AviGrid-Signature": f"t={now_s},v1={signature_of(self.secret, now_s, body)}",
        }
        _post(self.url, headers=headers, data=body, timeout_s=self.timeout_s)


@dataclass(frozen=True, slots=True)
class Telegram:
    token: str = field(repr=False)
    chat: str
    base_url: str = TELEGRAM_URL
    name: str = "telegram"
    manner: Manner = Manner()
    timeout_s: float = TIMEOUT_S

    def send(self, event: OutboxEvent, *, now_s: int) -> None:
        sentence = str(event.payload.get("sentence", event.kind))
        text = f"[{worded(event.severity)}] {said(sentence)}"[:TELEGRAM_CHARS]  # the installation's language
        body = json.dumps({"chat_id": self.chat, "text": text}).encode()
        _post(
            f"{self.base_url.rstrip('/')}/bot{self.token}/sendMessage",
            headers={"Content-Type": "application/json"},
            data=body,
            timeout_s=self.timeout_s,
        )


def signature_of(secret: str, now_s: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{now_s}.".encode() + body, hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Sealed:
    """A channel whose secret cannot be opened now: its messages wait instead of being lost."""

    name: str
    manner: Manner
    code: str

    def send(self, event: OutboxEvent, *, now_s: int) -> None:
        raise DeliveryFailed(f"its secret cannot be opened ({self.code})")


def configured() -> list[Channel]:
    """The admin's active channels and those that the environment names. For processes that deliver: it decrypts."""
    return [_opened(row) for row in NotificationChannel.objects.filter(active=True)] + _from_environment()


def channel_count() -> int:
    """Active ones, without opening any secret."""
    return NotificationChannel.objects.filter(active=True).count() + len(_from_environment())


@sensitive_variables("secret")
def _opened(row: NotificationChannel) -> Channel:
    quiet = None
    if row.quiet_from is not None and row.quiet_to is not None:
        quiet = QuietHours(row.quiet_from, row.quiet_to, row.zone)
    manner = Manner(row.least_severity, quiet)
    try:
        secret = get_cipher(Purpose.NOTIFICATION).decrypt(row.ciphertext).decode()
    except CipherError as error:
        log.error("channel_not_opened", channel=row.name, code=error.code)
        return Sealed(row.name, manner, error.code)
    hide_value(secret)
    if row.kind == NotificationChannel.Kind.TELEGRAM:
        return Telegram(secret, row.chat, row.address or TELEGRAM_URL, row.name, manner)
    return Webhook(row.address, secret, row.name, manner)


def _from_environment() -> list[Channel]:
    chosen = settings.NOTIFICATIONS
    channels: list[Channel] = []
    for name in ("WEBHOOK_SECRET", "TELEGRAM_TOKEN"):
        hide_value(chosen[name])
    if chosen["WEBHOOK_URL"]:
        channels.append(Webhook(chosen["WEBHOOK_URL"], chosen["WEBHOOK_SECRET"], "env-webhook"))
    if chosen["TELEGRAM_TOKEN"] and chosen["TELEGRAM_CHAT"]:
        channels.append(
            Telegram(chosen["TELEGRAM_TOKEN"], chosen["TELEGRAM_CHAT"], chosen["TELEGRAM_URL"], "env-telegram")
        )
    return channels


def message_of(event: OutboxEvent) -> dict[str, object]:
    return {
        **event.payload,
        "id": event.pk,
        "kind": event.kind,
        "severity": event.severity,
        "dedupe_key": event.dedupe_key,
        "at": event.created_at.isoformat(),
    }


@sensitive_variables()
def _post(url: str, *, headers: dict[str, str], data: bytes, timeout_s: float) -> None:
    """The address may carry a token: it stays out of the error. `timeout_s` bounds connecting and each read."""
    try:
        with requests.post(
            url, data=data, headers=headers, timeout=timeout_s, allow_redirects=False, stream=True
        ) as answer:
            status = answer.status_code
    except requests.RequestException as error:
        raise DeliveryFailed(type(error).__name__) from None
    except ValueError:
        raise DeliveryFailed("the address cannot be used") from None
    if status // 100 != 2:
        raise DeliveryFailed(f"HTTP status {status}", status=status)
