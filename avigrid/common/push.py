"""Small events to everybody's screen, sent after the transaction that made them true. Losing one is never an error:
pages fetch the whole truth when they (re)connect."""

from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

from avigrid.common import metrics

GROUP = "live"
log = structlog.get_logger(__name__)


def event(kind: str, payload: dict[str, Any]) -> None:
    """Send `{"type": "live.event", "kind": kind, "payload": payload}` to every socket once the transaction commits."""
    transaction.on_commit(lambda: send_now(kind, payload), robust=True)


def send_now(kind: str, payload: dict[str, Any]) -> None:
    try:
        async_to_sync(get_channel_layer().group_send)(GROUP, {"type": "live.event", "kind": kind, "payload": payload})
        metrics.PUSHED.labels(kind=kind, outcome="sent").inc()
    except Exception as error:  # Redis away: screens show that they are stale, trading goes on
        metrics.PUSHED.labels(kind=kind, outcome="lost").inc()
        log.warning("push_lost", kind=kind, error=type(error).__name__)
