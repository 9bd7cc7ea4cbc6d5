"""What every part of the execution process shares: whose account it is, the venue, the clocks and the fence."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.core.cache import cache
from django.utils import timezone

from avigrid.common.leases import HeldLease
from avigrid.exchange.ports import MarketReader, OrderGateway
from avigrid.kernel.clock import Clock
from avigrid.kernel.portfolio import VenuePosition
from trading.runtime.breakers import Breakers
from trading.runtime.prices import PriceReader
from trading.services.locking import account_transaction

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Context:
    """`positions` is what the venue last showed, by (symbol, position index): a view, never the books."""

    account_id: int
    environment: str
    hedge_mode: bool
    gateway: OrderGateway
    market: MarketReader
    clock: Clock
    prices: PriceReader
    fence: HeldLease | None = None
    rng: random.Random = field(default_factory=random.Random)
    positions: dict[tuple[str, int], VenuePosition] = field(default_factory=dict)
    redis_down: bool = False
    stream_up: bool = False
    breakers: Breakers = field(default_factory=Breakers)
    pulse: Callable[[], None] = field(default=lambda: None)
    """Between two questions to the venue, never inside a transaction: lease and heartbeat go on."""

    @contextmanager
    def books(self) -> Iterator[None]:
        """The account's lock in a transaction, fenced by our lease."""
        with account_transaction(self.account_id, fence=self.fence):
            yield

    def adopt(self, gateway: OrderGateway, market: MarketReader, clock: Clock, prices: PriceReader) -> None:
        """Another connection to the same account from here on."""
        self.gateway, self.market, self.clock, self.prices = gateway, market, clock, prices

    def see_position(self, row: VenuePosition) -> None:
        """Frames may come late: an older row never replaces a newer one."""
        known = self.positions.get((row.symbol, row.position_idx))
        if known is None or row.updated_ms >= known.updated_ms:
            self.positions[row.symbol, row.position_idx] = row

    def look_at_redis(self) -> None:
        """Without it prices, budgets and clicks are out of step: no new risk until it answers again."""
        try:
            cache.set(f"execution:{self.account_id}", 1, 10)
            if self.redis_down:
                log.info("redis_back")
            self.redis_down = False
        except Exception as error:  # whatever its client raises
            if not self.redis_down:
                log.warning("redis_down", error=type(error).__name__)
            self.redis_down = True

    def now(self) -> datetime:
        """This machine's clock: for retries, ages and stamps."""
        return timezone.now()

    def exchange_ms(self) -> int:
        return self.clock.now_ms()
