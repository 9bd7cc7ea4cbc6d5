"""Events to screens: sent after the commit, never before, and lost without harm while Redis is away."""

from typing import Any

import pytest
from channels.layers import channel_layers
from django.db import transaction
from prometheus_client import REGISTRY

from avigrid.common import push

DEAD = "redis://127.0.0.1:1/0"


@pytest.fixture
def redis_away(settings: Any) -> Any:
    layer = settings.CHANNEL_LAYERS["default"]
    settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": {**layer["CONFIG"], "hosts": [DEAD]}}}
    settings.REDIS_URL = DEAD
    channel_layers.backends.clear()
    yield
    channel_layers.backends.clear()


def _count(kind: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("avigrid_push_total", {"kind": kind, "outcome": outcome}) or 0.0


def test_without_redis_a_push_is_lost_counted_and_nothing_raises(redis_away: None) -> None:
    push.send_now("outage", {"id": 1})
    push.send_now("outage", {"id": 2})
    assert (_count("outage", "lost"), _count("outage", "sent")) == (2, 0)


@pytest.mark.django_db(transaction=True)
def test_without_redis_the_transaction_still_commits(redis_away: None) -> None:
    from avigrid.common.models import Heartbeat

    before = _count("outage_commit", "lost")
    with transaction.atomic():
        Heartbeat.objects.create(process="p", beat_at="2026-01-05T12:00Z", started_at="2026-01-05T12:00Z", pid=1)
        push.event("outage_commit", {})
    assert Heartbeat.objects.filter(process="p").exists()
    assert _count("outage_commit", "lost") - before == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(push, "send_now", lambda kind, payload: told.append(kind))
    with transaction.atomic():
        push.event("never", {})
        transaction.set_rollback(True)
    with transaction.atomic():
        push.event("after", {})
        assert told == []
    assert told == ["after"]


@pytest.mark.django_db(transaction=True)
def test_an_alert_is_written_although_nobody_can_be_shown_it(redis_away: None) -> None:
    """The order path raises alerts: Redis must not be able to stop it."""
    from django.utils import timezone

    from trading.models import OutboxEvent
    from trading.services.alerts import alert_raise

    with transaction.atomic():
        alert_raise(kind="outage", severity="critical", dedupe_key="x", sentence="x", now=timezone.now())
    assert OutboxEvent.objects.get(kind="outage").delivered_at is None


@pytest.mark.django_db(transaction=True)
def test_research_is_queued_in_the_database_while_the_broker_is_away(settings: Any) -> None:
    """A dead broker costs a warning, not an exception, and not the minutes its client would go on trying."""
    import time

    from celery import Celery
    from django.utils import timezone

    from trading.models import ResearchRun
    from trading.services.research import research_hand_out, research_start

    broker = Celery("dead", broker=DEAD, backend=DEAD, set_as_current=False)
    broker.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    run = research_start(kind="backtest", params={"symbols": ["BTCUSDT"]}, actor="test", now=timezone.now())
    started_s = time.monotonic()
    research_hand_out(run, broker.send_task)
    assert time.monotonic() - started_s < 5
    assert ResearchRun.objects.get(pk=run.pk).status == "queued"
