"""A trading account on a simulated exchange, the execution process driven by hand, and operators who click.

Everything is real: PostgreSQL, the wire, the private stream. Only the main loop is turned by the test.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.ciphers import Purpose, get_cipher
from accounts.models import ApiKey, TradingAccount
from avigrid.exchange.bybit.connect import BybitClient, connect, settle_clock
from avigrid.exchange.bybit.environments import Endpoints
from avigrid.exchange.simulator.exchange import ExchangeConfig
from avigrid.exchange.simulator.feed import Source
from avigrid.exchange.simulator.specs import Fees
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import Kline
from marketdata.models import Instrument, KlineSource
from marketdata.selectors.instruments import instrument
from marketdata.services.instruments import instruments_refresh
from marketdata.services.klines import klines_store
from marketdata.services.prices import prices_publish
from tests.support.simulator_server import Running, running_simulator
from trading.avi5.config import Profile, StrategyConfig
from trading.avi5.levels import build_plan
from trading.models import Decision, Plan, Signal, Stage, StrategyVersion
from trading.runtime.execution import Execution
from trading.services.placing import Placement, signal_place
from trading.services.strategy_versions import strategy_version_create
from trading.services.times import from_ms

D = Decimal
BAR_MS = 300_000


@dataclass
class TradingDesk:
    simulator: Running
    account: TradingAccount
    version: StrategyVersion
    client: BybitClient
    config: StrategyConfig
    execution: Execution | None = None
    patience_s: float = 10.0
    """How long `until` waits where it is not told."""
    _bars: int = field(default=0)
    _first_bar_ms: int = 0

    # -- the execution process ----------------------------------------------------------------------------------

    def start(self, holder: str = "execution-a", *, timeout_s: float = 10.0) -> Execution:
        execution = Execution(self.account.pk, holder=holder)
        assert execution.open()
        self.execution = execution
        self.until(lambda: execution.is_ready and execution.stream == "up", timeout_s=timeout_s, what="ready")
        return execution

    def stop(self) -> None:
        if self.execution is not None:
            self.execution.close()
            self.execution = None

    def kill(self) -> None:
        """As SIGKILL leaves it: nothing is said to anybody, the lease runs out by itself."""
        assert self.execution is not None
        self.execution.inbox.stop()
        self.execution = None

    def until(self, condition: Callable[[], Any], *, timeout_s: float | None = None, what: str = "") -> Any:
        """Turn the loop until `condition` holds; AssertionError where it does not in time."""
        assert self.execution is not None
        timeout_s = timeout_s or self.patience_s
        end = time.monotonic() + timeout_s
        published_s = 0.0
        while True:
            if time.monotonic() - published_s > 0.5:
                self.publish()
                published_s = time.monotonic()
            self.execution.turn(wait_s=0.02)
            answer = condition()
            if answer:
                return answer
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout_s} s: {what or condition}")

    def settle(self, turns: int = 15) -> None:
        """Give everything that is on its way the time to arrive."""
        assert self.execution is not None
        for _ in range(turns):
            self.execution.turn(wait_s=0.03)

    # -- the market ---------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """What the market-data process would: prices into the cache."""
        prices_publish(self.client.market.tickers())

    def mark(self, symbol: str = "BTCUSDT") -> float:
        return next(row.mark_price for row in self.client.market.tickers() if row.symbol == symbol)

    def jump(self, ratio: float, symbol: str = "BTCUSDT") -> None:
        self.simulator.sim("POST", "/sim/market", {"action": "price_jump", "symbol": symbol, "ratio": ratio})

    def fault(self, name: str, **options: Any) -> Any:
        return self.simulator.sim("POST", "/sim/faults", {"name": name, **options})

    def clear_faults(self) -> None:
        self.simulator.sim("DELETE", "/sim/faults")

    def struck(self, name: str) -> int:
        return int(self.state()["faults_struck"].get(name, 0))

    def state(self) -> Any:
        return self.simulator.sim("GET", "/sim/state")

    # -- the operator -------------------------------------------------------------------------------------------

    def signal(
        self,
        symbol: str = "BTCUSDT",
        direction: int = 1,
        *,
        atr_ratio: float = 0.002,
        r_usd: str = "20",
        fees: FeeRates | None = None,
        **changes: Any,
    ) -> Signal:
        """An offer at today's price, as the strategy would make it for an account with these fees."""
        config = self.config.replaced(changes) if changes else self.config
        close = self.mark(symbol)
        spec = build_plan(
            symbol=symbol,
            direction=direction,
            close=close,
            atr=close * atr_ratio,
            config=config,
            instrument=instrument(symbol),
            fees=fees or FeeRates(),
            r_usd=D(r_usd),
        )
        assert spec.refusal is None, spec.refusal
        now_ms = self.client.clock.now_ms()
        version = self.version if not changes else self._version(config)
        self._bars += 1
        self._first_bar_ms = self._first_bar_ms or now_ms // BAR_MS * BAR_MS
        decision = Decision.objects.create(
            strategy=version,
            symbol=symbol,
            bar_start=from_ms(self._first_bar_ms - self._bars * BAR_MS),
            decided_at=from_ms(now_ms),
            status="signal",
            direction=direction,
        )
        return Signal.objects.create(
            decision=decision,
            symbol=symbol,
            direction=direction,
            profile=spec.profile.value,
            entry_price=spec.entry,
            stop_price=spec.stop,
            spec=spec.to_json(),
            risk_usd=spec.planned_loss_usd,
            created_at=from_ms(now_ms),
            valid_until=from_ms(now_ms) + timedelta(seconds=60),
        )

    def place(self, signal: Signal | None = None, **options: Any) -> Placement:
        signal = signal or self.signal(**options)
        self.publish()
        self.bar(signal.symbol)
        return signal_place(signal_id=signal.pk, account_id=self.account.pk, user=None, actor="test")

    def placed(self, signal: Signal | None = None, **options: Any) -> Plan:
        placement = self.place(signal, **options)
        assert placement.placed, placement
        return Plan.objects.get(pk=placement.plan_id)

    def opened(self, **options: Any) -> Plan:
        """A plan that is in the market and protected."""
        plan = self.placed(**options)

        def protected() -> bool:
            plan.refresh_from_db()
            return plan.status == "active" and plan.stop_confirmed == plan.stop_price is not None

        self.until(protected, what="filled and protected")
        return plan

    def bar(self, symbol: str) -> None:
        """A closed bar of just now, so that the data counts as fresh."""
        now_ms = self.client.clock.now_ms()
        start_ms = now_ms // BAR_MS * BAR_MS - BAR_MS
        price = self.mark(symbol)
        row = Kline(symbol, 5, start_ms, price, price, price, price, 1.0, price, True)
        klines_store([row], source=KlineSource.REST, now_ms=now_ms)

    def _version(self, config: StrategyConfig) -> StrategyVersion:
        return strategy_version_create(
            config=config, stage=Stage.PAPER, actor=None, now=timezone.now(), activate=False, note="test"
        )

    # -- the comparison -----------------------------------------------------------------------------------------

    def assert_books_equal_venue(self) -> None:
        from trading.models import LIVE_STATUSES, Fill, Order, Position

        self.client.clock.measure()  # the exchange's clock slows down on a busy machine
        held = {(row.symbol, row.position_idx): row.signed_size for row in self.client.gateway.positions() if row.size}
        booked = {
            (row.symbol, row.position_idx): row.size
            for row in Position.objects.filter(account=self.account).exclude(size=0)
        }
        assert booked == held
        resting = {
            row.order_link_id for row in self.client.gateway.open_orders() if row.order_link_id.startswith("av-")
        }
        live = set(
            Order.objects.filter(status__in=LIVE_STATUSES)
            .exclude(status="intent")
            .values_list("order_link_id", flat=True)
        )
        assert live == resting
        now_ms = self.client.clock.now_ms()
        executions = self.client.gateway.executions(start_ms=now_ms - 6 * 86_400_000, end_ms=now_ms + 60_000)
        theirs = {row.reference for row in executions if row.kind != "Funding"}
        assert {row.reference for row in Fill.objects.exclude(source="adopted")} == theirs


@contextmanager
def trading_desk(
    *,
    symbols: tuple[str, ...] = ("BTCUSDT", "SOLUSDT"),
    hedge: bool = True,
    config: StrategyConfig | None = None,
    speed: float = 1.0,
    balance: str = "10000",
    start_ms: int | None = None,
    source: Source | None = None,
    quantum_ms: int = 1_000,
    fees: Fees | None = None,
    usdt_index: str = "1",
) -> Iterator[TradingDesk]:
    exchange = ExchangeConfig(
        hedge=hedge,
        orders_per_s=1_000,
        balance_usdt=D(balance),
        quantum_ms=quantum_ms,
        fees=fees or Fees(),
        usdt_index=D(usdt_index),
    )
    with running_simulator(config=exchange, symbols=symbols, speed=speed, start_ms=start_ms, source=source) as running:
        account = TradingAccount.objects.create(
            label=f"test {running.port}", environment="simulated", hedge_mode=hedge, base_url=running.url
        )
        ApiKey.objects.create(
            account=account,
            label="test",
            key_id="key",
            ciphertext=get_cipher(Purpose.EXCHANGE).encrypt(b"secret"),
        )
        client = connect(Endpoints.simulated(running.url), api_key="key", api_secret="secret", account="test")
        settle_clock(client.clock, simulated=True)
        instruments_refresh(reader=client.market, wanted=symbols, now_ms=client.clock.now_ms())
        assert Instrument.objects.count() >= len(symbols)
        chosen = config or StrategyConfig(profile=Profile.SWING)
        version = strategy_version_create(config=chosen, stage=Stage.PAPER, actor=None, now=timezone.now())
        desk = TradingDesk(running, account, version, client, chosen)
        try:
            yield desk
        finally:
            desk.stop()
