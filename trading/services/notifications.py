"""The outbox delivered: every event to every channel at least once, repeats only where an answer was lost."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from trading.models import Delivery, OutboxEvent
from trading.services.channels import Channel, DeliveryFailed, configured

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=24)
TOLD_KINDS = ("plan_opened", "plan_closed", "break_even", "funding")
"""Of mere information these are worth a message; every warning is."""


def notifications_deliver(*, now: datetime, channels: Sequence[Channel] | None = None, limit: int = 100) -> int:
    """How many messages arrived. Runs beside others without doubling: each event is locked while it is worked on."""
    targets = configured() if channels is None else channels
    due = OutboxEvent.objects.filter(delivered_at__isnull=True).filter(
        Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=now)
    )
    arrived = 0
    for event_id in list(due.order_by("id").values_list("pk", flat=True)[:limit]):
        with transaction.atomic():
            event = (
                OutboxEvent.objects.select_for_update(skip_locked=True).filter(pk=event_id, delivered_at=None).first()
            )
            if event is not None:
                arrived += _deliver(event, targets, now)
    return arrived


def _deliver(event: OutboxEvent, channels: Sequence[Channel], now: datetime) -> int:
    if not channels or (event.severity == "info" and event.kind not in TOLD_KINDS):
        _close(event, now, "" if channels else "no channel")
        return 0
    arrived, errors = 0, []
    for channel in channels:
        delivery, _ = Delivery.objects.get_or_create(event=event, channel=channel.name)
        if delivery.delivered_at is not None:
            continue
        delivery.attempts += 1
        try:
            channel.send(event, now_s=int(now.timestamp()))
            delivery.delivered_at, delivery.last_error = now, ""
            arrived += 1
        except DeliveryFailed as error:
            delivery.last_error = error.message[:200]
            errors.append(f"{channel.name}: {error.message}")
        delivery.save()
    event.attempts += 1
    if not errors or now - event.created_at > GIVE_UP_AFTER:
        _close(event, now, "; ".join(errors))
        return arrived
    event.last_error = "; ".join(errors)[:300]
    event.next_attempt_at = now + min(FIRST_WAIT * 2 ** min(event.attempts - 1, 12), LONGEST_WAIT)
    event.save(update_fields=["attempts", "last_error", "next_attempt_at"])
    return arrived


def _close(event: OutboxEvent, now: datetime, error: str) -> None:
    event.delivered_at, event.last_error = now, error[:300]
    event.save(update_fields=["delivered_at", "last_error", "attempts"])
