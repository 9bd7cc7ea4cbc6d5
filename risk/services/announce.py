"""Telling others about a state: the execution process (NOTIFY), a mirror in the cache, the screens.

The database row is the truth. NOTIFY arrives with the commit or not at all; cache and screens may be missed.
"""

import json

import structlog
from django.core.cache import cache
from django.db import connection, transaction

from avigrid.common import push
from risk.models import TradingStateChange
from risk.services import metrics

CHANNEL = "avigrid_execution"
log = structlog.get_logger(__name__)


def state_changed(change: TradingStateChange) -> None:
    """NOTIFY payload: {"kind": "trading_state", "account_id", "symbol" or null, "state", "flatten", "change_id"}."""
    payload = {
        "kind": "trading_state",
        "account_id": change.account_id,
        "symbol": change.symbol,
        "state": str(change.after),
        "flatten": change.flatten,
        "change_id": change.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, json.dumps(payload)])
    metrics.STATE_CHANGES.labels(state=str(change.after), source=str(change.source)).inc()
    push.event(
        "trading_state",
        {
            "account_id": change.account_id,
            "symbol": change.symbol,
            "state": str(change.after),
            "flatten": change.flatten,
            "change_id": change.pk,
            "source": str(change.source),
        },
    )
    key = mirror_key(change.account_id, change.symbol)
    transaction.on_commit(lambda: _mirror(key, str(change.after)), robust=True)


def mirror_key(account_id: int, symbol: str | None) -> str:
    return f"trading_state:{account_id}:{symbol or '*'}"


def _mirror(key: str, state: str) -> None:
    try:
        cache.set(key, state, timeout=None)
    except Exception as error:  # the cache is away: nobody who decides reads it
        log.warning("state_mirror_lost", key=key, error=type(error).__name__)
