"""Alertmanager's webhook: its token, what it tells, and what it halts."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import AuditEntry
from risk.core.states import State, StateSource
from risk.models import TradingState
from risk.selectors.guards import effective_state
from risk.services.states import rearm
from tests.support.trading_rows import make_account
from tests.support.users import make_user
from trading.models import OutboxEvent

pytestmark = pytest.mark.django_db
TOKEN = "only-for-tests-alerts"


@pytest.fixture
def hook(settings: Any) -> Any:
    settings.AVIGRID = {**settings.AVIGRID, "ALERT_WEBHOOK_TOKEN": TOKEN, "ALERT_HALTS": ["unprotected_position"]}
    client = Client(enforce_csrf_checks=True)

    def send(body: object, token: str = TOKEN) -> Any:
        return client.post(
            "/hooks/alertmanager", body, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
        )

    return send


def _message(name: str = "unprotected_position", status: str = "firing", **labels: str) -> dict[str, object]:
    return {
        "version": "4",
        "alerts": [
            {
                "status": status,
                "labels": {"alertname": name, "severity": "critical", **labels},
                "annotations": {"summary": "3 of SOLUSDT are held without a stop"},
                "startsAt": "2026-01-05T12:00:00Z",
                "fingerprint": "f00",
            }
        ],
    }


def test_an_alert_is_told_and_halts_once(hook: Any) -> None:
    account, other = make_account("desk"), make_account("other")
    assert hook(_message()).json() == {"new": 1, "halted": 2}
    event = OutboxEvent.objects.get(kind="prometheus_unprotected_position")
    assert event.payload["sentence"] == "3 of SOLUSDT are held without a stop"
    assert effective_state(account.pk) is effective_state(other.pk) is State.HALTED
    assert TradingState.objects.get(account=account).source == StateSource.ALERT_WEBHOOK
    assert AuditEntry.objects.filter(actor_name="alertmanager").count() == 2
    rearm(account_id=account.pk, reason="mended", actor=make_user("admin"), otp_used=True)
    assert hook(_message()).json() == {"new": 0, "halted": 0}
    assert effective_state(account.pk) is State.ACTIVE


def test_an_alert_that_names_an_account_halts_that_one(hook: Any) -> None:
    account, other = make_account("desk"), make_account("other")
    assert hook(_message(account="desk")).json()["halted"] == 1
    assert effective_state(account.pk) is State.HALTED
    assert effective_state(other.pk) is State.ACTIVE


@pytest.mark.parametrize(("message", "new"), [(_message("bybit_latency"), 1), (_message(status="resolved"), 0)])
def test_what_is_not_chosen_or_over_does_not_halt(hook: Any, message: dict[str, object], new: int) -> None:
    account = make_account()
    assert hook(message).json() == {"new": new, "halted": 0}
    assert effective_state(account.pk) is State.ACTIVE


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", "ключ"])
def test_without_the_token_nothing_happens(hook: Any, token: str) -> None:
    account = make_account()
    assert hook(_message(), token=token.encode().decode("latin-1")).status_code == 401
    assert effective_state(account.pk) is State.ACTIVE
    assert not OutboxEvent.objects.exists()


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"alerts": {}}', '{"alerts": [1]}', '{"alerts": [{"labels": {}}]}'])
def test_what_is_no_message_is_refused_with_a_reason(hook: Any, body: str) -> None:
    answer = hook(body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "bad_message"
    assert not OutboxEvent.objects.exists()


def test_closed_where_no_token_is_configured(client: Client) -> None:
    answer = client.post("/hooks/alertmanager", _message(), content_type="application/json")
    assert answer.status_code == 404
    assert client.get("/hooks/alertmanager").status_code == 405
