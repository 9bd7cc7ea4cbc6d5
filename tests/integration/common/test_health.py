"""/ready names what is missing, and is not misled by rows of lives that are over."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from avigrid.common import heartbeats
from avigrid.common.models import Heartbeat

pytestmark = pytest.mark.django_db


def _checks() -> dict[str, str]:
    found: dict[str, str] = json.loads(Client().get("/ready").content)["checks"]
    return found


@pytest.mark.parametrize("dead", ["market_data:host:1", "market_data:host:9"])
def test_an_earlier_life_of_a_process_is_not_missed(dead: str) -> None:
    heartbeats.beat(dead, started=True)
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=10))
    assert _checks()["market_data"].startswith("silent for 6")
    heartbeats.beat("market_data:host:5", started=True)
    assert _checks()["market_data"] == "ok"


def test_what_was_never_seen_is_named() -> None:
    assert _checks()["execution"] == "never seen"
