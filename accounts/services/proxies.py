"""Remembers a peer that forwards for others and is not named as a proxy of ours; the doctor asks about it."""

import time

import structlog
from django.core.cache import cache

log = structlog.get_logger(__name__)
_KEY = "accounts:unnamed_proxy"
_KNOWN_FOR_S = 86_400
_AT_MOST_EVERY_S = 60.0
_noted_at_s = float("-inf")


def unnamed_proxy_note(peer: str) -> None:
    """Once a minute and process: a request must not wait for Redis each time."""
    global _noted_at_s
    if time.monotonic() - _noted_at_s < _AT_MOST_EVERY_S:
        return
    _noted_at_s = time.monotonic()
    try:
        cache.set(_KEY, peer, _KNOWN_FOR_S)
    except Exception as error:  # whatever the driver raises; the request goes on
        log.warning("unnamed_proxy_not_noted", peer=peer, error=type(error).__name__)


def unnamed_proxy() -> str | None:
    """Seen within a day."""
    found = cache.get(_KEY)
    return None if found is None else str(found)
