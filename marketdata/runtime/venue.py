"""The venue that settings name, for commands and tasks that only read public data."""

from dataclasses import dataclass

from django.conf import settings
from redis import Redis

from avigrid.common import venue_metrics
from avigrid.exchange.bybit.connect import connect, settle_clock
from avigrid.exchange.bybit.environments import endpoints_for
from avigrid.exchange.ports import MarketReader
from avigrid.kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class PublicVenue:
    reader: MarketReader
    clock: Clock


def public_venue() -> PublicVenue:
    """Measures the exchange's clock; raises Retryable or OperatorNeeded where it cannot be reached."""
    environment = str(settings.AVIGRID["MARKET_ENVIRONMENT"])
    endpoints = endpoints_for(environment, simulated_url=str(settings.AVIGRID["SIMULATOR_URL"]))
    # Without a reachable Redis the client falls back to its own, more careful budgets.
    redis = Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    client = connect(endpoints, redis_client=redis, on_call=venue_metrics.observe)
    settle_clock(client.clock, simulated=environment == "simulated")
    return PublicVenue(client.market, client.clock)
