"""Alerts on the desk's pages: fresh ones pass by, critical ones stay a day and are counted, all are listed."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from avigrid.common import heartbeats
from tests.support.api_world import ApiWorld
from tests.support.users import login, make_user
from trading.models import OutboxEvent
from trading.selectors.exchange_time import process_name

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer() -> Client:
    return login(Client(), make_user("viewer"))


def told(severity: str, seconds_ago: float, sentence: str) -> int:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    row = OutboxEvent.objects.create(
        kind="test", severity=severity, dedupe_key=sentence, payload={"sentence": sentence}, created_at=at
    )
    return row.pk


def shown(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'data-alert="(\d+)"', page)]


def test_critical_ones_are_offered_for_a_day(world: ApiWorld, viewer: Client) -> None:
    told("warning", 60, "An old warning.")
    told("critical", 90_000, "Critical, the day before.")
    night = told("critical", 30_000, "Critical, at night.")
    fresh = told("warning", 5, "A fresh warning.")
    page = viewer.get("/").content.decode()
    assert shown(page) == [fresh, night]
    assert re.search(r'href="/system/#fragment-alert_list"[^>]*>1 alert<', page)


def test_without_a_critical_one_nothing_is_counted(world: ApiWorld, viewer: Client) -> None:
    told("warning", 5, "A fresh warning.")
    assert not re.search(r"\d+ alerts?<", viewer.get("/").content.decode())


def test_health_lists_them_all(world: ApiWorld, viewer: Client) -> None:
    told("info", 90_000, "Long ago.")
    told("critical", 90_000, "Critical, the day before.")
    page = viewer.get("/system/").content.decode()
    listed = page[page.index('id="fragment-alert_list"') :]
    assert listed.index("Critical, the day before.") < listed.index("Long ago.")


def test_a_stream_that_is_down_is_said_on_every_screen(world: ApiWorld, viewer: Client) -> None:
    """Its process lives: the badge alone counted processes, and the chip was shown on wide screens only."""
    detail = {"exchange_ms": world.now_ms, "rate_ratio": 1.0, "offset_ms": 0, "stream": "down"}
    heartbeats.beat(process_name(world.account.pk), detail)
    page = viewer.get("/").content.decode()
    assert re.search(r'<summary class="badge alarm">1 stream down</summary>', page)
    assert re.search(r'<span class="badge wide alarm">private stream</span>', page)
