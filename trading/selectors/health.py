"""Is everything alive and in time: processes, data, queues, stores."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.models import Count, Min, Q
from django.utils import timezone
from redis import Redis

from accounts.selectors.cipher_state import CipherState, cipher_state
from avigrid.common import heartbeats
from avigrid.common.heartbeats import ProcessLife
from marketdata.selectors import bars, coverage, instruments
from marketdata.selectors.prices import quotes
from trading.models import Order, OutboxEvent
from trading.selectors.alive import is_alive, process_label
from trading.selectors.exchange_time import ExchangeTime, exchange_time
from trading.selectors.execution_life import ExecutionLife, execution_lives

_QUEUES = ("default", "research")
_PRICE_STALE_S = 5.0


@dataclass(frozen=True, slots=True)
class ProcessRow:
    label: str
    life: ProcessLife
    ok: bool


@dataclass(frozen=True, slots=True)
class FeedRow:
    """`lag_s`: exchange time since the newest stored bar closed."""

    symbol: str
    price_age_s: float | None
    lag_s: float | None
    ok: bool


@dataclass(frozen=True, slots=True)
class QueueRow:
    name: str
    waiting: int | None
    """None: cannot be asked."""
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoreRow:
    name: str
    ok: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Health:
    processes: Sequence[ProcessRow]
    executions: Sequence[ExecutionLife]
    feeds: Sequence[FeedRow]
    queues: Sequence[QueueRow]
    stores: Sequence[StoreRow]
    gaps: Sequence[tuple[str, int, int, int, str]]
    cipher: CipherState
    clock: ExchangeTime | None


def health(account_id: int | None) -> Health:
    clock = exchange_time(account_id) if account_id is not None else None
    return Health(
        processes=[ProcessRow(process_label(life.process), life, is_alive(life)) for life in heartbeats.lives()],
        executions=execution_lives(),
        feeds=_feeds(clock),
        queues=_queues(account_id),
        stores=[_database(), _redis()],
        gaps=coverage.open_gaps()[:20],
        cipher=cipher_state(),
        clock=clock,
    )


def _feeds(clock: ExchangeTime | None) -> list[FeedRow]:
    symbols = sorted(instruments.whitelist())
    prices = quotes(symbols)
    now_ms = clock.now_ms if clock else int(timezone.now().timestamp() * 1000)
    rate = max(clock.rate_ratio, 1.0) if clock else 1.0
    rows = []
    for symbol in symbols:
        newest = bars.newest_start_ms(symbol, 5)
        lag_s = None if newest is None else (now_ms - newest - 300_000) / 1000
        price = prices.get(symbol)
        is_late = lag_s is None or lag_s > 300 + 20 * rate
        ok = price is not None and price.age_s <= _PRICE_STALE_S and not is_late
        rows.append(FeedRow(symbol, price.age_s if price else None, lag_s, ok))
    return rows


def _queues(account_id: int | None) -> list[QueueRow]:
    outbox = OutboxEvent.objects.filter(delivered_at__isnull=True).aggregate(n=Count("id"), oldest=Min("created_at"))
    orders = Order.objects.filter(account_id=account_id).aggregate(
        intents=Count("id", filter=Q(status="intent")),
        unknown=Count("id", filter=Q(status="unknown")),
        oldest=Min("created_at", filter=Q(status="intent")),
        oldest_unknown=Min("unknown_since", filter=Q(status="unknown")),
    )
    rows = [
        QueueRow("orders to send", orders["intents"], orders["oldest"]),
        QueueRow("orders unproven", orders["unknown"], orders["oldest_unknown"]),
        QueueRow("notifications", outbox["n"], outbox["oldest"]),
    ]
    return [*rows, *(QueueRow(f"jobs: {name}", waiting) for name, waiting in _celery().items())]


def _celery() -> dict[str, int | None]:
    try:
        with Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as redis:
            return {name: int(redis.llen(f"{settings.REDIS_PREFIX}:{name}")) for name in _QUEUES}
    except Exception:
        return dict.fromkeys(_QUEUES)


def _database() -> StoreRow:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version'), pg_database_size(current_database()), "
            "(SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()), "
            "current_setting('max_connections')::int"
        )
        version, size, used, most = cursor.fetchone()
    sentence = f"PostgreSQL {version.split()[0]}, {size / 1e6:.0f} MB, {used} of {most} connections"
    return StoreRow("database", used < 0.9 * most, sentence)


def _redis() -> StoreRow:
    try:
        cache.set("health", 1, 5)
        if cache.get("health") != 1:
            return StoreRow("redis", False, "does not keep what it is given")
        return StoreRow("redis", True, "answers")
    except Exception as error:
        return StoreRow("redis", False, f"unreachable ({type(error).__name__}): no new risk, exits go on")
