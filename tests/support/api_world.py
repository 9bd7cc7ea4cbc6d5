"""A desk in the database alone: one account that may trade, fresh data, signals to place. No exchange, no processes."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.models import TradingAccount
from accounts.services.api_keys import Credentials
from avigrid.common import heartbeats
from avigrid.kernel.instrument import FeeRates, Instrument
from avigrid.kernel.market import Kline, Ticker
from avigrid.kernel.portfolio import KeyInfo
from marketdata.models import KlineSource
from marketdata.services.instruments import instruments_store
from marketdata.services.klines import klines_store
from marketdata.services.prices import prices_publish
from trading.avi5.config import StrategyConfig
from trading.avi5.levels import build_plan
from trading.models import (
    Decision,
    EquitySnapshot,
    Fill,
    Order,
    Plan,
    Position,
    ReconciliationFinding,
    ReconciliationRun,
    Signal,
    SlippageRecord,
)
from trading.selectors.exchange_time import process_name
from trading.services.placing import Placement, signal_place
from trading.services.strategy_versions import strategy_version_create
from trading.services.times import from_ms, to_ms

D = Decimal
BAR_MS = 300_000
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT")


def instrument_of(symbol: str) -> Instrument:
    return Instrument(
        symbol=symbol,
        base_coin=symbol.removesuffix("USDT"),
        quote_coin="USDT",
        tick_size=D("0.01"),
        min_price=D("0.01"),
        max_price=D(100_000),
        qty_step=D("0.001"),
        min_order_qty=D("0.001"),
        max_limit_qty=D(10_000),
        max_market_qty=D(10_000),
        min_notional=D(5),
        max_leverage=D(50),
        funding_interval_min=480,
    )


class ApiWorld:
    def __init__(self, symbols: Sequence[str] = SYMBOLS) -> None:
        self.symbols = tuple(symbols)
        now = timezone.now()
        self.now_ms = to_ms(now)
        self.account = TradingAccount.objects.create(label="desk", environment="simulated", hedge_mode=True)
        listed = [instrument_of(symbol) for symbol in self.symbols]
        instruments_store(listed=listed, wanted=self.symbols, now_ms=self.now_ms)
        self.version = strategy_version_create(config=StrategyConfig(), stage="paper", actor=None, now=now)
        self.bars(count=3)
        EquitySnapshot.objects.create(
            account=self.account,
            at=now,
            equity_usd=D(10_000),
            adjusted_equity_usd=D(10_000),
            wallet_balance_usd=D(10_000),
            available_usd=D(10_000),
            initial_margin_usd=0,
            maintenance_margin_usd=0,
            unrealised_pnl_usd=0,
        )
        self.run = ReconciliationRun.objects.create(
            account=self.account, scope="start", status="good", started_at=now, finished_at=now
        )
        detail = {"exchange_ms": self.now_ms, "rate_ratio": 1.0, "offset_ms": 0}
        heartbeats.beat(process_name(self.account.pk), detail)
        self.publish()

    def publish(self) -> None:
        prices_publish(Ticker(symbol, 100, 100, 100, 99.99, 100.01, 0.0001, 0, self.now_ms) for symbol in self.symbols)

    def bars(self, *, count: int, symbol: str | None = None) -> None:
        newest = self.now_ms // BAR_MS * BAR_MS - BAR_MS
        rows = [
            Kline(name, 5, newest - number * BAR_MS, 100.5, 101, 99, 100, 1.25, float("nan") if number else 125.0, True)
            for name in ([symbol] if symbol else self.symbols)
            for number in range(count)
        ]
        klines_store(rows, source=KlineSource.REST, now_ms=self.now_ms)

    def signal(self, symbol: str = SYMBOLS[0], direction: int = 1, **fields: Any) -> Signal:
        spec = build_plan(
            symbol=symbol,
            direction=direction,
            close=100.0,
            atr=0.25,
            config=StrategyConfig(),
            instrument=instrument_of(symbol),
            fees=FeeRates(),
            r_usd=D(20),
        )
        now = from_ms(self.now_ms)
        decision = Decision.objects.create(
            strategy=self.version,
            symbol=symbol,
            bar_start=now - timedelta(minutes=5 * (Decision.objects.count() + 1)),
            decided_at=now,
            status="signal",
            direction=direction,
            rules={"long": [], "short": []},
        )
        return Signal.objects.create(
            decision=decision,
            symbol=symbol,
            direction=direction,
            profile="swing",
            entry_price=spec.entry,
            stop_price=spec.stop,
            spec=spec.to_json(),
            risk_usd=spec.planned_loss_usd,
            created_at=now,
            valid_until=now + timedelta(seconds=60),
            **fields,
        )

    def place(self, signal: Signal) -> Placement:
        return signal_place(
            signal_id=signal.pk, account_id=self.account.pk, user=None, actor="test", now=from_ms(self.now_ms)
        )

    def placed(self, symbol: str = SYMBOLS[0]) -> Plan:
        placement = self.place(self.signal(symbol))
        assert placement.placed, placement
        return Plan.objects.get(pk=placement.plan_id)

    def closed(self, symbol: str, gross: str, fees: str, hours_ago: int = 1) -> Plan:
        """A plan of half an hour that is over, 20 USD its R."""
        plan = self.placed(symbol)
        self.holding(plan)
        end = from_ms(self.now_ms) - timedelta(hours=hours_ago)
        Plan.objects.filter(pk=plan.pk).update(
            status="closed", close_reason="take_profit", opened_at=end - timedelta(minutes=30), closed_at=end,
            realised_pnl_usd=D(gross), fees_usd=D(fees), r_usd=D(20), stop_price=None,
        )  # fmt: skip
        plan.refresh_from_db()
        return plan

    def holding(self, plan: Plan) -> Position:
        """A filled order of `plan`, its fill, slippage and position, as booking would leave them."""
        now = timezone.now()
        order = Order.objects.filter(plan=plan).order_by("pk").first()
        assert order is not None
        fill = Fill.objects.create(
            exec_id=f"exec-{plan.pk}",
            account=self.account,
            order=order,
            plan=plan,
            symbol=plan.symbol,
            position_idx=plan.position_idx,
            side=order.side,
            price=D("100.01"),
            quantity=D("0.5"),
            fee_usd=D("0.0275"),
            is_maker=False,
            executed_at=now,
            received_at=now,
            booked_at=now,
        )
        SlippageRecord.objects.create(
            fill=fill,
            plan=plan,
            symbol=fill.symbol,
            is_entry=True,
            is_maker=False,
            requested_price=D(100),
            fill_price=fill.price,
            slippage_bps=D(1),
            at=now,
        )
        return Position.objects.create(
            account=self.account,
            symbol=plan.symbol,
            position_idx=plan.position_idx,
            size=D("0.5") * plan.direction,
            entry_value_usd=D("50.005") * plan.direction,
            opened_at=now,
            last_fill_at=now,
            fill_count=1,
        )

    def finding(self, subject: str = "AAAUSDT/1") -> ReconciliationFinding:
        return ReconciliationFinding.objects.create(
            account=self.account,
            run=self.run,
            kind="position_differs",
            subject=subject,
            severity="critical",
            sentence="The position differs.",
            detected_at=timezone.now(),
        )


def good_key(account: TradingAccount, credentials: Credentials) -> KeyInfo:
    """A trial call (settings.KEY_TRIAL_CALL) that finds nothing wrong."""
    return KeyInfo(read_only=False, can_trade=True, can_withdraw=False, ip_bound=True, user_id="1", expires="")
