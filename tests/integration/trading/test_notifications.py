"""Webhook and Telegram against local receivers: signed, retried, never doubled, silent when asked to be."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.ciphers import get_cipher
from accounts.ciphers.base import CipherUnavailable
from accounts.models import AuditEntry
from avigrid.kernel.errors import Rejected
from tests.support.users import login, make_user
from trading.engine.notifying import Manner, QuietHours
from trading.models import Delivery, NotificationChannel, OutboxEvent
from trading.services import channels as channel_module
from trading.services.alerts import alert_raise
from trading.services.channels import Telegram, Webhook, configured
from trading.services.notification_channels import (
    ChannelSettings,
    notification_channel_change,
    notification_channel_create,
    notification_test,
)
from trading.services.notifications import CLAIM, notifications_deliver, outbox_backlog

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
SECRET = "a-secret-of-more-than-16"


@dataclass
class Receiver:
    url: str = ""
    answers: list[int] = field(default_factory=list)
    """Statuses to give, the last one for ever; 0: no answer until `release`."""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)


@contextmanager
def receiver(*answers: int) -> Iterator[Receiver]:
    state = Receiver(answers=list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.got.append((self.path, dict(self.headers.items()), body))
            status = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
            if status == 0:
                state.release.wait(10)
                return
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.release.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def _alert(key: str = "one", kind: str = "stop_refused", severity: str = "warning") -> OutboxEvent:
    event = alert_raise(kind=kind, severity=severity, dedupe_key=key, sentence="SOLUSDT: refused.", now=NOW, plan_id=7)
    assert event is not None
    return event


def _deliver(*channels: Any, after_s: float = 0) -> int:
    """With the longest waits, so that every date is known."""
    return notifications_deliver(now=NOW + timedelta(seconds=after_s), channels=channels, chance=lambda: 0.0)


def test_webhook_is_signed_and_says_what_happened() -> None:
    event = _alert()
    with receiver(200) as there:
        assert _deliver(Webhook(there.url, "s3cret")) == 1
    _, headers, body = there.got[0]
    seconds = int(NOW.timestamp())
    expected = hmac.new(b"s3cret", f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-AviGrid-Signature"] == f"t={seconds},v1={expected}"
    assert headers["X-AviGrid-Event"] == str(event.pk)
    assert headers["X-AviGrid-Dedupe-Key"] == "stop_refused:one"
    said = json.loads(body)
    assert (said["kind"], said["severity"], said["plan_id"]) == ("stop_refused", "warning", 7)
    assert said["sentence"] == "SOLUSDT: refused."


def test_refused_ones_are_tried_again_later_and_later_and_arrive_once() -> None:
    _alert()
    with receiver(500, 500, 200) as there:
        channel = Webhook(there.url, "s")
        assert _deliver(channel) == 0
        assert _deliver(channel, after_s=4.9) == 0
        assert len(there.got) == 1
        assert _deliver(channel, after_s=5) == 0
        assert _deliver(channel, after_s=14.9) == 0
        assert len(there.got) == 2
        assert _deliver(channel, after_s=15) == 1
        assert _deliver(channel, after_s=7200) == 0
    assert len(there.got) == 3
    assert {headers["X-AviGrid-Event"] for _, headers, _ in there.got} == {str(OutboxEvent.objects.get().pk)}
    assert Delivery.objects.get().attempts == 3


def test_a_receiver_that_does_not_answer_is_given_up_after_the_timeout() -> None:
    _alert()
    with receiver(0) as there:
        assert _deliver(Webhook(there.url, "s", timeout_s=0.2)) == 0
        assert len(there.got) == 1
    delivery = Delivery.objects.get()
    assert delivery.last_error == "ReadTimeout"
    assert delivery.next_attempt_at == NOW + timedelta(seconds=5)


def test_one_channel_failing_does_not_repeat_the_other() -> None:
    _alert()
    with receiver(200) as good, receiver(503, 200) as bad:
        both = (Telegram("token", "42", good.url), Webhook(bad.url, "s"))
        assert _deliver(*both) == 1
        assert _deliver(*both, after_s=5) == 1
    assert len(good.got) == 1
    assert len(bad.got) == 2
    path, _, body = good.got[0]
    assert path == "/bottoken/sendMessage"
    assert json.loads(body) == {"chat_id": "42", "text": "[warning] SOLUSDT: refused."}
    assert OutboxEvent.objects.get().delivered_at is not None


def test_a_dead_receiver_costs_one_attempt_a_run() -> None:
    for number in range(5):
        _alert(str(number))
    with receiver(500) as there, receiver(200) as other:
        assert _deliver(Webhook(there.url, "s"), Telegram("token", "42", other.url)) == 5
    assert len(there.got) == 1
    assert len(other.got) == 5
    assert set(OutboxEvent.objects.values_list("next_attempt_at", flat=True)) == {NOW + timedelta(seconds=5)}


def test_the_same_fact_is_told_once() -> None:
    _alert("same")
    again = alert_raise(kind="stop_refused", severity="warning", dedupe_key="same", sentence="again", now=NOW)
    assert again is None
    with receiver(200) as there:
        _deliver(Webhook(there.url, "s"))
    assert len(there.got) == 1


def test_two_deliverers_at_once_send_one_message() -> None:
    """The second finds the event claimed; after a crash of the first it is taken over."""
    event = _alert()
    OutboxEvent.objects.filter(pk=event.pk).update(next_attempt_at=NOW + CLAIM)
    with receiver(200) as there:
        assert _deliver(Webhook(there.url, "s")) == 0
        assert there.got == []
        assert _deliver(Webhook(there.url, "s"), after_s=CLAIM.total_seconds()) == 1


def test_mere_information_is_not_sent_unless_worth_it() -> None:
    _alert("a", kind="note", severity="info")
    _alert("b", kind="plan_closed", severity="info")
    with receiver(200) as there:
        _deliver(Webhook(there.url, "s"))
    assert [json.loads(body)["kind"] for _, _, body in there.got] == ["plan_closed"]


def test_each_channel_hears_from_its_own_severity_up() -> None:
    for severity in ("info", "warning", "critical"):
        _alert(severity, kind="plan_closed", severity=severity)
    with receiver(200) as all_, receiver(200) as some, receiver(200) as few:
        _deliver(
            Webhook(all_.url, "s", "all"),
            Webhook(some.url, "s", "some", Manner("warning")),
            Webhook(few.url, "s", "few", Manner("critical")),
        )
    assert [json.loads(body)["severity"] for _, _, body in all_.got] == ["info", "warning", "critical"]
    assert [json.loads(body)["severity"] for _, _, body in some.got] == ["warning", "critical"]
    assert [json.loads(body)["severity"] for _, _, body in few.got] == ["critical"]


def test_quiet_hours_hold_back_all_but_the_critical_and_lose_nothing() -> None:
    _alert("w", severity="warning")
    _alert("c", severity="critical")
    quiet = Manner("info", QuietHours(time(11), time(13)))
    with receiver(200) as there:
        channel = Webhook(there.url, "s", manner=quiet)
        assert _deliver(channel) == 1
        assert json.loads(there.got[0][2])["severity"] == "critical"
        assert _deliver(channel, after_s=3599) == 0
        assert _deliver(channel, after_s=3600) == 1
    assert json.loads(there.got[1][2])["severity"] == "warning"
    assert Delivery.objects.filter(delivered_at__isnull=False).count() == 2


def test_errors_never_carry_a_token_or_an_address() -> None:
    _alert()
    _deliver(Telegram("very-secret-token", "42", "http://127.0.0.1:9/hook-4711"))
    event, delivery = OutboxEvent.objects.get(), Delivery.objects.get()
    assert event.delivered_at is None
    assert delivery.last_error == "ConnectionError"
    assert event.last_error == "telegram: ConnectionError"


def test_a_day_later_it_is_given_up_and_the_error_stays() -> None:
    event = _alert()
    with receiver(500) as there:
        channel = Webhook(there.url, "s")
        assert _deliver(channel, after_s=25 * 3600) == 0
        assert _deliver(channel, after_s=48 * 3600) == 0
    assert len(there.got) == 1
    delivery = Delivery.objects.get(event=event)
    assert delivery.delivered_at is None
    assert delivery.given_up_at == NOW + timedelta(hours=25)
    assert OutboxEvent.objects.get().last_error == "webhook: HTTP status 500"


def test_backlog_counts_what_waits() -> None:
    assert outbox_backlog(NOW) == (0, 0.0)
    _alert("a")
    _alert("b")
    assert outbox_backlog(NOW + timedelta(seconds=90)) == (2, 90.0)
    _deliver()
    assert outbox_backlog(NOW) == (0, 0.0)


# -- channels that an administrator keeps -----------------------------------------------------------------------------


def _channel(url: str, **changes: Any) -> NotificationChannel:
    return notification_channel_create(
        name="ops",
        kind=changes.pop("kind", "webhook"),
        secret=changes.pop("secret", SECRET),
        wanted=ChannelSettings(address=url, **changes),
        actor="test",
    )


def test_a_stored_channel_is_encrypted_audited_and_delivers() -> None:
    with receiver(200) as there:
        row = _channel(there.url)
        assert SECRET not in row.ciphertext
        _alert()
        assert notifications_deliver(now=NOW) == 1
    _, headers, body = there.got[0]
    stamp = headers["X-AviGrid-Signature"].split(",")[0].removeprefix("t=")
    expected = hmac.new(SECRET.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-AviGrid-Signature"] == f"t={stamp},v1={expected}"
    entry = AuditEntry.objects.get(action="channel.created")
    assert SECRET not in json.dumps(entry.after)
    assert entry.after is not None
    assert entry.after["host"] == "127.0.0.1"


def test_switched_off_means_silent() -> None:
    with receiver(200) as there:
        row = _channel(there.url)
        wanted = ChannelSettings(address=there.url, active=False)
        assert notification_channel_change(channel_id=row.pk, wanted=wanted, actor="test")
        assert not notification_channel_change(channel_id=row.pk, wanted=wanted, actor="test")
        _alert()
        assert notifications_deliver(now=NOW) == 0
    assert there.got == []
    assert AuditEntry.objects.filter(action="channel.changed").count() == 1


def test_a_sealed_cipher_delays_messages_and_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def decrypt(self, _: str) -> bytes:
            raise CipherUnavailable("Vault is sealed")

    _alert()
    with receiver(200) as there:
        _channel(there.url)
        with monkeypatch.context() as patched:
            patched.setattr(channel_module, "get_cipher", lambda _: Away())
            assert notifications_deliver(now=NOW) == 0
        assert notifications_deliver(now=NOW + timedelta(seconds=5)) == 1
    assert len(there.got) == 1


def test_the_environment_may_name_channels_too(settings: Any) -> None:
    settings.NOTIFICATIONS = {**settings.NOTIFICATIONS, "WEBHOOK_URL": "http://127.0.0.1:9/x", "WEBHOOK_SECRET": SECRET}
    assert [channel.name for channel in configured()] == ["env-webhook"]
    assert SECRET not in repr(configured())
    assert "/x" not in repr(configured())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "pigeon"}, "bad_kind"),
        ({"address": "ftp://x"}, "bad_address"),
        ({"address": "https://"}, "bad_address"),
        ({"kind": "telegram", "address": ""}, "bad_chat"),
        ({"secret": "short"}, "bad_secret"),
        ({"least_severity": "loud"}, "bad_severity"),
        ({"quiet_from": time(22)}, "bad_quiet_hours"),
        ({"zone": "Mars/Olympus"}, "bad_zone"),
        ({"zone": "../etc/passwd"}, "bad_zone"),
    ],
)
def test_a_wrong_channel_is_refused_by_field(changes: dict[str, Any], code: str) -> None:
    address = changes.pop("address", "https://example.com/hook")
    with pytest.raises(Rejected) as refused:
        _channel(address, **changes)
    assert refused.value.code == code
    assert not NotificationChannel.objects.exists()
    assert not AuditEntry.objects.filter(action="channel.created").exists()


def test_an_administrator_makes_and_tests_a_channel_in_the_admin(client: Client) -> None:
    login(client, make_user("admin"), fresh_code=True)
    with receiver(200) as there:
        form = {
            "name": "ops",
            "kind": "webhook",
            "address": there.url,
            "chat": "",
            "secret": SECRET,
            "least_severity": "warning",
            "quiet_from": "",
            "quiet_to": "",
            "zone": "UTC",
            "active": "on",
        }
        made = client.post("/admin/trading/notificationchannel/add/", form)
        assert made.status_code == 302, made.content.decode()[:2000]
        row = NotificationChannel.objects.get()
        page = client.get(f"/admin/trading/notificationchannel/{row.pk}/change/")
        assert page.status_code == 200
        assert SECRET not in page.content.decode()
        assert row.ciphertext not in page.content.decode()
        # an empty secret keeps the old one
        client.post(f"/admin/trading/notificationchannel/{row.pk}/change/", {**form, "secret": "", "chat": "x"})
        chosen = {"action": "send_test", "_selected_action": [row.pk]}
        assert client.post("/admin/trading/notificationchannel/", chosen).status_code == 302
        event = OutboxEvent.objects.get(kind="notification_test")
        assert notifications_deliver(now=event.created_at) == 1
    stamp, proof = there.got[0][1]["X-AviGrid-Signature"].removeprefix("t=").split(",v1=")
    assert proof == hmac.new(SECRET.encode(), f"{stamp}.".encode() + there.got[0][2], hashlib.sha256).hexdigest()


def test_a_trader_may_not_see_channels(client: Client) -> None:
    login(client, make_user("trader"), fresh_code=True)
    assert client.get("/admin/trading/notificationchannel/").status_code in (302, 403)


def test_rewrapping_covers_channel_secrets(settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    row = _channel("https://example.com/hook")
    settings.LOCAL_CIPHER_KEY = "a-newer-key-0123456789-abcdefghijklmnop," + settings.LOCAL_CIPHER_KEY
    get_cipher.cache_clear()
    try:
        call_command("rewrap_secrets")
        assert "1 rewrapped" in capsys.readouterr().out
        row.refresh_from_db()
        assert row.ciphertext.startswith("local:v2:")
        (channel,) = configured()
        assert isinstance(channel, Webhook)
        assert channel.secret == SECRET
    finally:
        get_cipher.cache_clear()


def test_a_test_message_is_audited() -> None:
    admin = make_user("admin")
    assert notification_test(actor=admin, now=NOW) is not None
    assert notification_test(actor=admin, now=NOW) is None
    assert AuditEntry.objects.filter(action="channel.tested").count() == 1


def test_secrets_never_reach_the_log(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    _channel("http://127.0.0.1:9/path-secret-4711", kind="webhook")
    _alert()
    notifications_deliver(now=NOW + timedelta(hours=25))
    assert Delivery.objects.get().given_up_at is not None
    said = caplog.text + "".join(capsys.readouterr())
    assert "notification_given_up" in said
    assert SECRET not in said
    assert "path-secret-4711" not in said
