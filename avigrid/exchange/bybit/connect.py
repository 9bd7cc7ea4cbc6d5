"""Puts a client together: clock, budgets, REST, and what the ports promise on top of them."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from avigrid.exchange.bybit.clock import ExchangeClock
from avigrid.exchange.bybit.environments import Endpoints
from avigrid.exchange.bybit.gateway import BybitGateway
from avigrid.exchange.bybit.limits import Limiter, LocalWindows, Windows
from avigrid.exchange.bybit.limits_redis import RedisClient, SharedWindows
from avigrid.exchange.bybit.market import BybitMarket
from avigrid.exchange.bybit.rest import OnCall, RestClient
from avigrid.kernel.errors import AviGridError


@dataclass(frozen=True, slots=True)
class BybitClient:
    """Everything synchronous of one environment. `gateway` needs the key; without one its calls raise."""

    market: BybitMarket
    gateway: BybitGateway
    clock: ExchangeClock
    limiter: Limiter


def connect(
    endpoints: Endpoints,
    *,
    api_key: str = "",
    api_secret: str = "",
    account: str = "public",
    redis_client: RedisClient | None = None,
    timeout_s: float = 10.0,
    write_timeout_s: float | None = None,
    write_patience_s: float = 3.0,
    on_call: OnCall | None = None,
    on_budget_mode: Callable[[bool], None] | None = None,
) -> BybitClient:
    """Opens nothing yet; `client.clock.measure()` is the first request. `account` names the key's owner in budgets.

    `timeout_s` bounds the silence of one answer, `write_timeout_s` that of a call which changes something.
    `write_patience_s` bounds the wait for an order budget; past it the order was surely not sent.
    """
    limiter = Limiter(
        _windows(redis_client, endpoints.name, on_budget_mode),
        account=account,
        monotonic=time.monotonic,
        sleep=time.sleep,
    )
    clock = ExchangeClock(
        fetch_ms=lambda: market.server_time_ms(),
        monotonic=time.monotonic,
        wall_ms=lambda: time.time_ns() // 1_000_000,
        estimates_rate=endpoints.name == "simulated",
    )
    rest = RestClient(
        endpoints.rest_url,
        clock=clock,
        limiter=limiter,
        api_key=api_key,
        api_secret=api_secret,
        timeout_s=timeout_s,
        write_timeout_s=write_timeout_s,
        on_call=on_call,
    )
    market = BybitMarket(rest)
    return BybitClient(
        market=market, gateway=BybitGateway(rest, write_patience_s=write_patience_s), clock=clock, limiter=limiter
    )


def settle_clock(clock: ExchangeClock, *, simulated: bool, pause_s: float = 0.4) -> None:
    """Measures; a simulated exchange twice, so that its speed is known before the first signature."""
    clock.measure()
    if simulated:
        time.sleep(pause_s)
        clock.measure()


def try_measure(clock: ExchangeClock) -> bool:
    """For a periodic job: a missed measurement keeps the last one."""
    try:
        clock.measure()
    except AviGridError:
        return False
    return True


def _windows(redis_client: RedisClient | None, environment: str, on_mode: Callable[[bool], None] | None) -> Windows:
    local = LocalWindows(time.monotonic)
    if redis_client is None:
        return local
    return SharedWindows(
        redis_client, local, monotonic=time.monotonic, prefix=f"avigrid:budget:{environment}", on_mode=on_mode
    )
