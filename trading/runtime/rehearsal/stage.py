"""Where a rehearsal is played: a stepped exchange on the wire, an account of its own, the real execution process."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from django.db import connection
from django.utils import timezone

from accounts.services.trading_accounts import trading_account_create
from avigrid.exchange.bybit.account_feed import BybitAccountFeed
from avigrid.exchange.bybit.connect import BybitClient, connect
from avigrid.exchange.bybit.environments import Endpoints
from avigrid.exchange.ports import AccountEvent, AccountFeed
from avigrid.exchange.simulator.exchange import ExchangeConfig
from avigrid.exchange.simulator.scenarios.still import StillSource
from avigrid.exchange.simulator.scenarios.wire import SteppedExchange, stepped_exchange
from avigrid.exchange.simulator.sources.catalogue import SPECS
from avigrid.kernel.errors import Bug
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import Kline
from avigrid.kernel.portfolio import VenuePosition
from marketdata.selectors.instruments import instrument
from marketdata.services.instruments import instruments_refresh
from marketdata.services.klines import KlineSource, klines_store
from marketdata.services.prices import prices_publish
from trading.avi5.levels import build_plan
from trading.models import Decision, Plan, Signal, Stage, StrategyVersion
from trading.runtime.execution import Execution
from trading.runtime.rehearsal.document import PlanWanted, Rehearsal
from trading.runtime.rehearsal.scratch import is_scratch
from trading.runtime.venue import VenueAccess
from trading.services.placing import Placement, signal_place
from trading.services.strategy_versions import strategy_version_create
from trading.services.times import from_ms

BAR_MS = 300_000
_KEY, _SECRET = "key", "secret"  # noqa: S105 - the simulated exchange's own
_ORDERS_PER_S = 1_000
_TICK_S = 0.35
"""What one look at the clock takes: every timer of a second or more comes due within three turns of the loop."""


@dataclass(slots=True)
class Ticking:
    """The execution process's sense of passing seconds, moved by its own turns instead of the wall."""

    now_s: float = 0.0

    def __call__(self) -> float:
        self.now_s += _TICK_S
        return self.now_s


@dataclass(slots=True)
class Witness:
    """Reads every position frame before the execution process does: a stop that moves away is noticed at once."""

    feed: AccountFeed
    direction: int
    widened: list[str]
    tightest: dict[int, Decimal] = field(default_factory=dict)

    async def events(self) -> AsyncIterator[AccountEvent]:
        async for event in self.feed.events():
            if isinstance(event, VenuePosition):
                self._see(event)
            yield event

    def _see(self, row: VenuePosition) -> None:
        if row.size == 0 or row.stop_loss is None:
            self.tightest.pop(row.position_idx, None)
            return
        known = self.tightest.get(row.position_idx, row.stop_loss)
        if (row.stop_loss - known) * self.direction < 0:
            self.widened.append(f"the venue's stop went from {known} to {row.stop_loss}")
        self.tightest[row.position_idx] = row.stop_loss


@dataclass(slots=True)
class Playhouse:
    rehearsal: Rehearsal
    exchange: SteppedExchange
    account_id: int
    client: BybitClient
    version: StrategyVersion
    venue: VenueAccess
    execution: Execution
    widened: list[str]
    """How the venue's stop moved away, if it ever did."""
    ticking: Ticking = field(default_factory=Ticking)
    starts: int = 0
    _bar_ms: int = 0

    @property
    def symbol(self) -> str:
        return self.rehearsal.symbol

    @property
    def now_ms(self) -> int:
        return self.client.clock.now_ms()

    # -- time and prices ----------------------------------------------------------------------------------------

    def go_to(self, at_ms: int) -> None:
        left_ms = self.rehearsal.start_ms + at_ms - self.now_ms
        if left_ms > 0:
            self.exchange.step(left_ms)
        self.client.clock.measure()
        self.publish()

    def publish(self) -> None:
        """What the market-data process does: the newest prices, for whoever looks."""
        prices_publish(self.client.market.tickers())

    # -- the execution process ----------------------------------------------------------------------------------

    def begin(self) -> None:
        self.starts += 1
        self.execution = Execution(
            self.account_id, venue=self.venue, monotonic=self.ticking, holder=f"rehearsal-{self.starts}"
        )
        if not self.execution.open():
            raise RuntimeError("the execution process could not take the account")

    def restart(self) -> None:
        """The process ends in order and another takes over; what a crash leaves is the chaos tests' matter."""
        self.execution.close()
        self.begin()

    # -- the signal ---------------------------------------------------------------------------------------------

    def place(self) -> Placement:
        self._bar()
        signal = self._signal(self.rehearsal.plan)
        return signal_place(signal_id=signal.pk, account_id=self.account_id, user=None, actor="rehearsal")

    def trend(self, direction: int) -> None:
        """The next bar's decision sees this 15m trend."""
        self._decision(0, {"trend": direction})

    def plan(self) -> Plan | None:
        return Plan.objects.filter(account_id=self.account_id).order_by("-id").first()

    def _signal(self, wanted: PlanWanted) -> Signal:
        """The offer the strategy makes of these numbers."""
        spec = build_plan(
            symbol=self.symbol,
            direction=wanted.direction,
            close=float(wanted.close),
            atr=float(wanted.atr),
            config=wanted.config,
            instrument=instrument(self.symbol),
            fees=FeeRates(),
            r_usd=wanted.r_usd,
        )
        now = from_ms(self.now_ms)
        return Signal.objects.create(
            decision=self._decision(wanted.direction, {"trend": wanted.direction}),
            symbol=self.symbol,
            direction=wanted.direction,
            profile=spec.profile.value,
            entry_price=spec.entry,
            stop_price=spec.stop,
            spec=spec.to_json(),
            risk_usd=spec.planned_loss_usd,
            created_at=now,
            valid_until=now + timedelta(seconds=60),
        )

    def _decision(self, direction: int, indicators: dict[str, int]) -> Decision:
        # the newest closed bar, or the one after the last decision's: a bar is decided on once
        self._bar_ms = max(self.now_ms // BAR_MS * BAR_MS - BAR_MS, self._bar_ms + BAR_MS)
        return Decision.objects.create(
            strategy=self.version,
            symbol=self.symbol,
            bar_start=from_ms(self._bar_ms),
            decided_at=from_ms(self.now_ms),
            status="signal" if direction else "no_signal",
            direction=direction,
            indicators=indicators,
        )

    def _bar(self) -> None:
        """A closed bar of just now, so that the data counts as fresh."""
        price = float(self.rehearsal.plan.close)
        start_ms = self.now_ms // BAR_MS * BAR_MS - BAR_MS
        bar = Kline(self.symbol, 5, start_ms, price, price, price, price, 1.0, price, True)
        klines_store([bar], source=KlineSource.REST, now_ms=self.now_ms)


@contextmanager
def playhouse(rehearsal: Rehearsal) -> Iterator[Playhouse]:
    """Writes accounts, plans and orders: only ever into a database that is thrown away."""
    if not is_scratch():
        raise Bug("a rehearsal needs a database that may be thrown away", database=connection.settings_dict["NAME"])
    source = StillSource(SPECS[rehearsal.symbol], rehearsal.moments, start_ms=rehearsal.start_ms)
    config = ExchangeConfig(
        api_key=_KEY,
        api_secret=_SECRET,
        balance_usdt=rehearsal.balance_usdt,
        hedge=rehearsal.hedge,
        orders_per_s=_ORDERS_PER_S,
    )
    with stepped_exchange(source, config) as exchange:
        endpoints = Endpoints.simulated(exchange.url)
        account = trading_account_create(
            label=f"rehearsal {rehearsal.path.stem}",
            environment="simulated",
            actor="rehearsal",
            hedge_mode=rehearsal.hedge,
            base_url=exchange.url,
        )
        client = connect(endpoints, api_key=_KEY, api_secret=_SECRET, account=str(account.pk))
        client.clock.set_rate(0)
        client.clock.measure()
        instruments_refresh(reader=client.market, wanted=(rehearsal.symbol,), now_ms=client.clock.now_ms())
        version = strategy_version_create(
            config=rehearsal.plan.config, stage=Stage.PAPER, actor="rehearsal", now=timezone.now()
        )

        widened: list[str] = []

        def feed() -> AccountFeed:
            stream = BybitAccountFeed(
                endpoints.private_ws_url, api_key=_KEY, api_secret=_SECRET, now_ms=client.clock.now_ms
            )
            return Witness(stream, rehearsal.plan.direction, widened)

        venue = VenueAccess(client.gateway, client.market, client.clock, feed, account.environment, key_row=0)
        execution = Execution(account.pk, venue=venue)
        house = Playhouse(rehearsal, exchange, account.pk, client, version, venue, execution, widened)
        house.begin()
        try:
            yield house
        finally:
            house.execution.close()
