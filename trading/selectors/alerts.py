"""What people were told: what open pages show now, how much of it was critical lately, and the list of it all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from avigrid.common.reading import read_once
from trading.models import OutboxEvent

SHOWN_FOR = timedelta(seconds=20)
CRITICAL_SHOWN_FOR = timedelta(hours=24)
MOST = 100
LISTED = 50
CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class AlertBoard:
    shown: Sequence[OutboxEvent]
    """Newest first. Critical ones stay for a day: each browser hides what was clicked away in it."""
    critical: int
    """Of the last day; more than `MOST` are not counted."""


@read_once
def alert_board() -> AlertBoard:
    now = timezone.now()
    is_fresh = Q(created_at__gte=now - SHOWN_FOR)
    is_grave = Q(severity=CRITICAL, created_at__gte=now - CRITICAL_SHOWN_FOR)
    rows = list(OutboxEvent.objects.filter(is_fresh | is_grave).order_by("-id")[:MOST])
    return AlertBoard(rows, sum(row.severity == CRITICAL for row in rows))


def told_lately(count: int = LISTED) -> Sequence[OutboxEvent]:
    return list(OutboxEvent.objects.prefetch_related("deliveries").order_by("-id")[:count])
