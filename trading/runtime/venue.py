"""The connection of one trading account to its venue, put together from its row, its key and the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis
import structlog
from django.conf import settings

from accounts.selectors.trading_accounts import trading_account
from accounts.services.api_keys import Credentials, CredentialWatch
from avigrid.common import venue_metrics
from avigrid.exchange.bybit.account_feed import BybitAccountFeed
from avigrid.exchange.bybit.clock import ExchangeClock
from avigrid.exchange.bybit.connect import connect, settle_clock
from avigrid.exchange.bybit.environments import Endpoints, endpoints_for
from avigrid.exchange.ports import AccountFeed, MarketReader, OrderGateway
from avigrid.kernel.errors import Rejected
from avigrid.kernel.portfolio import KeyInfo
from trading.runtime.incidents import INCIDENTS

if TYPE_CHECKING:
    from accounts.models import TradingAccount

log = structlog.get_logger(__name__)
_REDIS_TIMEOUT_S = 0.5
_READ_TIMEOUT_S = 5.0
_WRITE_TIMEOUT_S = 3.0
"""An answer that takes longer is asked for by evidence: cancels and stops of other orders must not wait behind it."""
_WRITE_PATIENCE_S = 0.2
"""One thread does everything: an order that has to wait for its budget must not keep a cancel waiting."""


@dataclass(frozen=True, slots=True)
class VenueAccess:
    """`feed` makes a new private stream; each is consumed once."""

    gateway: OrderGateway
    market: MarketReader
    clock: ExchangeClock
    feed: Callable[[], AccountFeed]
    environment: str
    key_row: int


def account_of(account_id: int) -> "TradingAccount":
    account = trading_account(account_id)
    if account is None:
        raise Rejected(f"There is no trading account {account_id}.", code="unknown_account")
    return account


def endpoints_of(account: "TradingAccount") -> Endpoints:
    url = account.base_url or settings.AVIGRID["SIMULATOR_URL"]
    return endpoints_for(account.environment, simulated_url=str(url))


def open_venue(account_id: int, *, process: str = "execution", credentials: Credentials | None = None) -> VenueAccess:
    """Decrypts the account's key. Raises OperatorNeeded where there is none."""
    account = account_of(account_id)
    key = credentials or CredentialWatch(account, process=process).current()
    endpoints = endpoints_of(account)
    client = connect(
        endpoints,
        api_key=key.key_id,
        api_secret=key.secret,
        account=str(account_id),
        redis_client=_redis(),
        on_call=_answered,
        timeout_s=_READ_TIMEOUT_S,
        write_timeout_s=_WRITE_TIMEOUT_S,
        write_patience_s=_WRITE_PATIENCE_S,
        on_budget_mode=lambda shared: log.warning("rate_budget_mode", shared=shared),
    )
    settle_clock(client.clock, simulated=account.environment == "simulated")

    def feed() -> AccountFeed:
        return BybitAccountFeed(
            endpoints.private_ws_url,
            api_key=key.key_id,
            api_secret=key.secret,
            now_ms=client.clock.now_ms,
            rate_ratio=lambda: client.clock.rate_ratio,
        )

    return VenueAccess(
        gateway=client.gateway,
        market=client.market,
        clock=client.clock,
        feed=feed,
        environment=account.environment,
        key_row=key.api_key_row,
    )


def key_trial(account: "TradingAccount", credentials: Credentials) -> KeyInfo:
    """What the venue says about a key that is about to be stored (settings.KEY_TRIAL_CALL)."""
    return open_venue(account.pk, credentials=credentials).gateway.key_info()


def _answered(call: str, seconds: float, outcome: str) -> None:
    venue_metrics.observe(call, seconds, outcome)
    INCIDENTS.call(call, outcome)


def _redis() -> redis.Redis | None:
    """Shared rate budgets; without Redis every process counts for itself."""
    if not settings.REDIS_URL:
        return None
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=_REDIS_TIMEOUT_S, socket_connect_timeout=_REDIS_TIMEOUT_S
    )
