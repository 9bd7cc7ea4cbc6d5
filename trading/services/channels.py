"""Where notifications go: a signed webhook, a Telegram chat. Each raises DeliveryFailed and says nothing secret."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Protocol

import requests
from django.conf import settings

from avigrid.kernel.errors import Retryable
from trading.models import OutboxEvent

TIMEOUT_S = 5.0


class DeliveryFailed(Retryable):
    """The receiver did not take it; it is tried again later."""

    code = "delivery_failed"


class Channel(Protocol):
    name: str

    def send(self, event: OutboxEvent, *, now_s: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Webhook:
    """POSTs JSON. `X-AviGrid-Signature: t=<seconds>,v1=<hex>` is HMAC-SHA256 of `<seconds>.<body>`; `X-AviGrid-Event`
    names the event, the same in every attempt, so that a receiver can drop repeats."""

    url: str
    secret: str
    name: str = "webhook"

    def send(self, event: OutboxEvent, *, now_s: int) -> None:
        body = json.dumps(message_of(event), sort_keys=True, separators=(",", ":")).encode()
        signature = hmac.new(self.secret.encode(), f"{now_s}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-AviGrid-Event": str(event.pk),
            "X-AviGrid-Signature": f"t={now_s},v1={signature}",
        }
        _post(self.url, headers=headers, data=body)


@dataclass(frozen=True, slots=True)
class Telegram:
    token: str
    chat: str
    base_url: str = "https://api.telegram.org"
    name: str = "telegram"

    def send(self, event: OutboxEvent, *, now_s: int) -> None:
        text = f"[{event.severity}] {event.payload.get('sentence', event.kind)}"
        body = json.dumps({"chat_id": self.chat, "text": text}).encode()
        _post(f"{self.base_url}/bot{self.token}/sendMessage", headers={"Content-Type": "application/json"}, data=body)


def configured() -> list[Channel]:
    chosen = settings.NOTIFICATIONS
    channels: list[Channel] = []
    if chosen["WEBHOOK_URL"]:
        channels.append(Webhook(chosen["WEBHOOK_URL"], chosen["WEBHOOK_SECRET"]))
    if chosen["TELEGRAM_TOKEN"] and chosen["TELEGRAM_CHAT"]:
        channels.append(Telegram(chosen["TELEGRAM_TOKEN"], chosen["TELEGRAM_CHAT"], chosen["TELEGRAM_URL"]))
    return channels


def message_of(event: OutboxEvent) -> dict[str, object]:
    return {
        "id": event.pk,
        "kind": event.kind,
        "severity": event.severity,
        "at": event.created_at.isoformat(),
        **event.payload,
    }


def _post(url: str, *, headers: dict[str, str], data: bytes) -> None:
    """The address may carry a token: it stays out of the error."""
    try:
        answer = requests.post(url, data=data, headers=headers, timeout=TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as error:
        raise DeliveryFailed(type(error).__name__) from None
    if answer.status_code // 100 != 2:
        raise DeliveryFailed(f"HTTP status {answer.status_code}")
