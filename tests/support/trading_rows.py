"""Rows of trading's tables, put there directly, for tests of what reads them."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

from accounts.models import TradingAccount
from trading.avi5.config import StrategyConfig
from trading.models import (
    Decision,
    Fill,
    Plan,
    PlanStatus,
    Signal,
    SlippageRecord,
    StrategyVersion,
)
from trading.services.strategy_versions import strategy_version_create

D = Decimal
_numbers = count(1)


def make_account(label: str = "") -> TradingAccount:
    return TradingAccount.objects.create(label=label or f"rows {next(_numbers)}", environment="demo")


def make_version(at: datetime) -> StrategyVersion:
    return strategy_version_create(config=StrategyConfig(), actor=None, now=at)


def make_decision(version: StrategyVersion, at: datetime, symbol: str = "BTCUSDT") -> Decision:
    return Decision.objects.create(
        strategy=version, symbol=symbol, bar_start=at, decided_at=at, status="signal", direction=1
    )


def make_signal(decision: Decision, valid_until: datetime | None = None) -> Signal:
    return Signal.objects.create(
        decision=decision,
        symbol=decision.symbol,
        direction=1,
        profile="swing",
        entry_price=D(100),
        stop_price=D(99),
        spec={},
        risk_usd=D(10),
        created_at=decision.bar_start,
        valid_until=valid_until or decision.bar_start,
    )


def make_plan(
    account: TradingAccount,
    *,
    gross: str = "0",
    fees: str = "0",
    funding: str = "0",
    closed_at: datetime | None = None,
    signal: Signal | None = None,
    r_usd: str = "10",
) -> Plan:
    at = closed_at or datetime(2026, 1, 5, tzinfo=UTC)
    return Plan.objects.create(
        account=account,
        signal=signal,
        symbol=f"P{next(_numbers)}USDT",
        direction=1,
        position_idx=1,
        profile="swing",
        spec={},
        status=PlanStatus.CLOSED if closed_at else PlanStatus.ACTIVE,
        r_usd=D(r_usd),
        realised_pnl_usd=D(gross),
        fees_usd=D(fees),
        funding_usd=D(funding),
        created_at=at,
        opened_at=at,
        closed_at=closed_at,
    )


def make_slippage(
    account: TradingAccount,
    bps: str,
    at: datetime,
    *,
    symbol: str = "BTCUSDT",
    side: str = "Buy",
    is_entry: bool = True,
    is_maker: bool = False,
    plan: Plan | None = None,
    quantity: str = "1",
) -> SlippageRecord:
    fill = Fill.objects.create(
        exec_id=f"rows-{next(_numbers)}",
        account=account,
        symbol=symbol,
        position_idx=1,
        side=side,
        price=D(100),
        quantity=D(quantity),
        fee_usd=D("0.05"),
        is_maker=is_maker,
        executed_at=at,
        received_at=at,
        booked_at=at,
    )
    return SlippageRecord.objects.create(
        fill=fill,
        plan=plan,
        symbol=symbol,
        is_entry=is_entry,
        is_maker=is_maker,
        requested_price=D(100),
        fill_price=D(100),
        slippage_bps=D(bps),
        at=at,
    )
