"""Telling people: an outbox row in the same transaction, a push to open pages after it, a log line now."""

from datetime import datetime

import structlog

from avigrid.common import push
from trading.models import OutboxEvent

log = structlog.get_logger(__name__)

type Detail = str | int | float | bool | None


def alert_raise(
    *, kind: str, severity: str, dedupe_key: str, sentence: str, now: datetime, **details: Detail
) -> OutboxEvent | None:
    """Told once per `dedupe_key`; None where it was told before."""
    event, is_new = OutboxEvent.objects.get_or_create(
        dedupe_key=f"{kind}:{dedupe_key}"[:120],
        defaults={
            "kind": kind,
            "severity": severity,
            "payload": {"sentence": sentence, **details},
            "created_at": now,
            "next_attempt_at": now,
        },
    )
    if not is_new:
        return None
    tell = log.info if severity == "info" else log.warning
    tell("alert", alert=kind, severity=severity, sentence=sentence, **details)
    push.event("alert", {"id": event.pk, "kind": kind, "severity": severity, "sentence": sentence})
    return event
