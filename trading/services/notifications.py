"""The outbox delivered: every event to every channel that wants it, at least once; repeats only where an answer was
lost. No transaction is open while a receiver is being waited for."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from django.db.models import Q, QuerySet

from trading.engine.notifying import is_hopeless, quiet_until, wait_s, wants
from trading.models import Delivery, OutboxEvent
from trading.services.channels import Channel, DeliveryFailed, configured

CLAIM = timedelta(minutes=2)
"""How long a deliverer may be at one event before another takes over."""

log = structlog.get_logger(__name__)


def notifications_deliver(
    *,
    now: datetime,
    channels: Sequence[Channel] | None = None,
    limit: int = 50,
    chance: Callable[[], float] = random.random,
) -> int:
    """How many messages arrived. May run beside itself: each event is claimed before it is worked on.

    A channel that fails is left alone for the rest of the run, so that a dead receiver costs one timeout.
    """
    targets = configured() if channels is None else channels
    failing: set[str] = set()
    arrived = 0
    for event in list(_due(now).order_by("id")[:limit]):
        if _claim(event, now):
            arrived += _deliver(event, targets, now, failing, chance)
    return arrived


def outbox_backlog(now: datetime) -> tuple[int, float]:
    """Events not settled yet, and the age of the oldest in seconds."""
    oldest = OutboxEvent.objects.filter(delivered_at__isnull=True).order_by("created_at").first()
    if oldest is None:
        return 0, 0.0
    count = OutboxEvent.objects.filter(delivered_at__isnull=True).count()
    return count, max((now - oldest.created_at).total_seconds(), 0.0)


def _due(now: datetime) -> QuerySet[OutboxEvent]:
    ready = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=now)
    return OutboxEvent.objects.filter(ready, delivered_at__isnull=True)


def _claim(event: OutboxEvent, now: datetime) -> bool:
    return bool(_due(now).filter(pk=event.pk).update(next_attempt_at=now + CLAIM))


def _deliver(
    event: OutboxEvent, channels: Sequence[Channel], now: datetime, failing: set[str], chance: Callable[[], float]
) -> int:
    takers = [channel for channel in channels if wants(channel.manner, kind=event.kind, severity=event.severity)]
    known = {row.channel: row for row in Delivery.objects.filter(event=event)}
    arrived = 0
    rows: list[Delivery] = []
    for channel in takers:
        row = known.get(channel.name) or Delivery.objects.get_or_create(event=event, channel=channel.name)[0]
        rows.append(row)
        if row.is_settled or (row.next_attempt_at is not None and row.next_attempt_at > now):
            continue
        held = quiet_until(channel.manner, severity=event.severity, now=now)
        if held is not None:
            row.next_attempt_at = held
        elif channel.name in failing:
            row.next_attempt_at = now + timedelta(seconds=wait_s(row.attempts or 1, chance=chance()))
        else:
            arrived += _attempt(event, channel, row, now, failing, chance)
        row.save()
    _settle(event, rows, now, has_channels=bool(channels))
    return arrived


def _attempt(
    event: OutboxEvent,
    channel: Channel,
    row: Delivery,
    now: datetime,
    failing: set[str],
    chance: Callable[[], float],
) -> int:
    row.attempts += 1
    try:
        channel.send(event, now_s=int(now.timestamp()))
    except DeliveryFailed as error:
        failing.add(channel.name)
        row.last_error = error.message[:200]
        if is_hopeless(attempts=row.attempts, age=now - event.created_at):
            row.given_up_at, row.next_attempt_at = now, None
            log.error("notification_given_up", channel=channel.name, alert_id=event.pk, error=row.last_error)
        else:
            row.next_attempt_at = now + timedelta(seconds=wait_s(row.attempts, chance=chance()))
        return 0
    row.delivered_at, row.next_attempt_at, row.last_error = now, None, ""
    return 1


def _settle(event: OutboxEvent, rows: Sequence[Delivery], now: datetime, *, has_channels: bool) -> None:
    """Closed when nothing is left to try; `last_error` then tells what did not arrive."""
    waiting = [row.next_attempt_at for row in rows if not row.is_settled and row.next_attempt_at is not None]
    errors = [f"{row.channel}: {row.last_error}" for row in rows if row.last_error]
    event.attempts += 1
    event.last_error = ("; ".join(errors) if has_channels else "no channel")[:300]
    if waiting:
        event.next_attempt_at = min(waiting)
    else:
        event.delivered_at = now
    event.save(update_fields=["attempts", "last_error", "delivered_at", "next_attempt_at"])
