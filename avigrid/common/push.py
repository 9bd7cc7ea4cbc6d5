"""Small events to everybody's screen, sent after the transaction that made them true. Losing one is never an error:
pages fetch the whole truth when they (re)connect."""

import asyncio
import queue
import threading
from typing import Any

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction

from avigrid.common import metrics

GROUP = "live"
log = structlog.get_logger(__name__)


_WAITING_MAX = 1_000
_SEND_WITHIN_S = 2.0
_waiting: "queue.Queue[tuple[str, dict[str, Any]]] | None" = None


def start_background() -> None:
    """For processes that must not wait for Redis (execution): events go through a thread of their own from now on."""
    global _waiting  # noqa: PLW0603 - one process, one switch
    if _waiting is None:
        _waiting = queue.Queue(_WAITING_MAX)
        threading.Thread(target=_send_waiting, name="push", daemon=True).start()


def _send_waiting() -> None:
    """Waits in this thread, which nobody joins: a pool's thread would hold up the end of the process."""
    assert _waiting is not None
    with asyncio.Runner() as runner:
        while True:
            runner.run(_send(*_waiting.get()))


async def _send(kind: str, payload: dict[str, Any]) -> None:
    try:
        message = {"type": "live.event", "kind": kind, "payload": payload}
        await asyncio.wait_for(get_channel_layer().group_send(GROUP, message), _SEND_WITHIN_S)
        metrics.PUSHED.labels(kind=kind, outcome="sent").inc()
    except Exception as error:  # Redis away: screens show that they are stale, trading goes on
        metrics.PUSHED.labels(kind=kind, outcome="lost").inc()
        log.warning("push_lost", kind=kind, error=type(error).__name__)


def event(kind: str, payload: dict[str, Any]) -> None:
    """Send `{"type": "live.event", "kind": kind, "payload": payload}` to every socket once the transaction commits."""
    transaction.on_commit(lambda: send_now(kind, payload), robust=True)


def send_now(kind: str, payload: dict[str, Any]) -> None:
    if _waiting is not None:
        try:
            _waiting.put_nowait((kind, payload))
        except queue.Full:
            metrics.PUSHED.labels(kind=kind, outcome="lost").inc()
        return
    try:
        async_to_sync(get_channel_layer().group_send)(GROUP, {"type": "live.event", "kind": kind, "payload": payload})
        metrics.PUSHED.labels(kind=kind, outcome="sent").inc()
    except Exception as error:  # Redis away: screens show that they are stale, trading goes on
        metrics.PUSHED.labels(kind=kind, outcome="lost").inc()
        log.warning("push_lost", kind=kind, error=type(error).__name__)
