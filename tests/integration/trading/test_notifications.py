"""Webhook and Telegram against local receivers: signed, retried, never doubled."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from trading.models import OutboxEvent
from trading.services.alerts import alert_raise
from trading.services.channels import Telegram, Webhook
from trading.services.notifications import notifications_deliver

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@dataclass
class Receiver:
    url: str = ""
    answers: list[int] = field(default_factory=list)
    """Statuses to give, the last one for ever."""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@contextmanager
def receiver(*answers: int) -> Iterator[Receiver]:
    state = Receiver(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.got.append((self.path, dict(self.headers.items()), body))
            status = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _alert(key: str = "one", kind: str = "stop_refused", severity: str = "warning") -> OutboxEvent | None:
    return alert_raise(kind=kind, severity=severity, dedupe_key=key, sentence="SOLUSDT: refused.", now=NOW, plan_id=7)


def test_webhook_is_signed_and_says_what_happened() -> None:
    event = _alert()
    assert event is not None
    with receiver(200) as there:
        assert notifications_deliver(now=NOW, channels=[Webhook(there.url, "s3cret")]) == 1
    _, headers, body = there.got[0]
    seconds = int(NOW.timestamp())
    expected = hmac.new(b"s3cret", f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-AviGrid-Signature"] == f"t={seconds},v1={expected}"
    assert headers["X-AviGrid-Event"] == str(event.pk)
    said = json.loads(body)
    assert (said["kind"], said["severity"], said["plan_id"]) == ("stop_refused", "warning", 7)
    assert said["sentence"] == "SOLUSDT: refused."


def test_refused_ones_are_tried_again_later_and_later_and_arrive_once() -> None:
    _alert()
    with receiver(500, 500, 200) as there:
        channel = Webhook(there.url, "s")
        assert notifications_deliver(now=NOW, channels=[channel]) == 0
        assert notifications_deliver(now=NOW + timedelta(seconds=4), channels=[channel]) == 0
        assert len(there.got) == 1
        assert notifications_deliver(now=NOW + timedelta(seconds=5), channels=[channel]) == 0
        assert notifications_deliver(now=NOW + timedelta(seconds=14), channels=[channel]) == 0
        assert len(there.got) == 2
        assert notifications_deliver(now=NOW + timedelta(seconds=15), channels=[channel]) == 1
        assert notifications_deliver(now=NOW + timedelta(hours=2), channels=[channel]) == 0
    assert len(there.got) == 3
    assert {headers["X-AviGrid-Event"] for _, headers, _ in there.got} == {str(OutboxEvent.objects.get().pk)}


def test_one_channel_failing_does_not_repeat_the_other() -> None:
    _alert()
    with receiver(200) as good, receiver(503, 200) as bad:
        channels = [Telegram("token", "42", good.url), Webhook(bad.url, "s")]
        notifications_deliver(now=NOW, channels=channels)
        notifications_deliver(now=NOW + timedelta(seconds=5), channels=channels)
    assert len(good.got) == 1
    assert len(bad.got) == 2
    path, _, body = good.got[0]
    assert path == "/bottoken/sendMessage"
    assert json.loads(body) == {"chat_id": "42", "text": "[warning] SOLUSDT: refused."}
    assert OutboxEvent.objects.get().delivered_at is not None


def test_the_same_fact_is_told_once() -> None:
    assert _alert("same") is not None
    assert _alert("same") is None
    with receiver(200) as there:
        notifications_deliver(now=NOW, channels=[Webhook(there.url, "s")])
    assert len(there.got) == 1


def test_mere_information_is_not_sent_unless_worth_it() -> None:
    _alert("a", kind="note", severity="info")
    _alert("b", kind="plan_closed", severity="info")
    with receiver(200) as there:
        notifications_deliver(now=NOW, channels=[Webhook(there.url, "s")])
    assert [json.loads(body)["kind"] for _, _, body in there.got] == ["plan_closed"]


def test_a_token_never_reaches_the_stored_error() -> None:
    _alert()
    channel = Telegram("very-secret-token", "42", "http://127.0.0.1:9")
    notifications_deliver(now=NOW, channels=[channel])
    event = OutboxEvent.objects.get()
    assert event.delivered_at is None
    assert "very-secret-token" not in event.last_error
    assert event.last_error.startswith("telegram: ")


def test_a_day_later_it_is_given_up() -> None:
    _alert()
    with receiver(500) as there:
        notifications_deliver(now=NOW + timedelta(hours=25), channels=[Webhook(there.url, "s")])
    assert OutboxEvent.objects.get().delivered_at is not None
