"""Break-even reaches open pages and the webhook once, however often the plan is looked at afterwards."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from trading.engine.notifying import Manner
from trading.models import OutboxEvent
from trading.runtime.rehearsal.document import load
from trading.runtime.rehearsal.play import play
from trading.services import alerts
from trading.services.notifications import notifications_deliver

HERE = Path(__file__).parent


@dataclass
class Receiver:
    name: str = "webhook"
    manner: Manner = Manner()
    got: list[str] = field(default_factory=list)

    def send(self, event: OutboxEvent, *, now_s: int) -> None:
        self.got.append(event.kind)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["swing_break_even_full", "swing_break_even_visual"])
def test_once_to_the_screen_and_once_to_the_webhook(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def event(kind: str, payload: dict[str, Any]) -> None:
        if kind == "alert":
            shown.append(str(payload["kind"]))

    monkeypatch.setattr(alerts.push, "event", event)
    assert play(load(HERE / f"{name}.yaml")).held
    assert shown.count("break_even") == 1
    receiver = Receiver()
    now = timezone.now() + timedelta(seconds=1)
    for minutes in (0, 10):
        notifications_deliver(now=now + timedelta(minutes=minutes), channels=[receiver], chance=lambda: 0.0)
    assert receiver.got.count("break_even") == 1
