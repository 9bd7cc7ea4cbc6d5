"""Whether the servers below us answer, asked anew at every scrape, on connections of its own."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psycopg
import redis
from django.conf import settings
from django.db import connections
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

TIMEOUT_S = 2
NAME = "avigrid_dependency_up"
SECONDS = "avigrid_dependency_answer_seconds"
LAG = "avigrid_database_replication_lag_seconds"


def database_answers() -> None:
    """Raises psycopg.Error where it does not."""
    with _database() as connection:
        connection.execute("SELECT 1")


def replication_lag_s() -> float | None:
    """Of the replica that is furthest behind; None without replicas, or where we may not see them."""
    with _database() as connection:
        row = connection.execute("SELECT extract(epoch FROM max(replay_lag)) FROM pg_stat_replication").fetchone()
    return None if row is None or row[0] is None else float(row[0])


def _database() -> psycopg.Connection[tuple[Any, ...]]:
    parameters = {**connections["default"].get_connection_params(), "connect_timeout": TIMEOUT_S}
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    return psycopg.connect(**parameters, autocommit=True)


def redis_answers() -> None:
    """Raises redis.RedisError or OSError where it does not."""
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
    try:
        client.ping()
    finally:
        client.close()


PROBES: Mapping[str, Callable[[], None]] = {"database": database_answers, "redis": redis_answers}


class DependencyCollector(Collector):
    """1 where a server answered, 0 where it did not."""

    def __init__(
        self,
        probes: Mapping[str, Callable[[], None]] = PROBES,
        lag_s: Callable[[], float | None] = replication_lag_s,
    ) -> None:
        self._probes = probes
        self._lag_s = lag_s

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Named without asking: registering must not wait for a server that is away."""
        yield GaugeMetricFamily(NAME, "", labels=["name"])
        yield GaugeMetricFamily(SECONDS, "", labels=["name"])
        yield GaugeMetricFamily(LAG, "")

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily(NAME, "Whether a server we need answers", labels=["name"])
        took = GaugeMetricFamily(SECONDS, "How long its answer took", labels=["name"])
        for name, probe in self._probes.items():
            started_s = time.monotonic()
            try:
                probe()
            except Exception:  # whatever the client raises: it did not answer
                up.add_metric([name], 0)
            else:
                up.add_metric([name], 1)
                took.add_metric([name], time.monotonic() - started_s)
        yield up
        yield took
        try:
            lag_s = self._lag_s()
        except Exception:  # told above: the database did not answer
            return
        if lag_s is not None:
            yield GaugeMetricFamily(LAG, "How far the slowest replica is behind", value=lag_s)


def register(registry: CollectorRegistry = REGISTRY) -> None:
    registry.register(DependencyCollector())
