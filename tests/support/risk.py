"""A request and a snapshot that pass every check; tests change the one thing they are about."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from risk.core.limits import RiskLimits
from risk.core.outcome import Outcome
from risk.core.request import OrderLine, RequestKind, RiskRequest
from risk.core.snapshot import Freshness, OpenPlan, Reconciliation, Snapshot
from risk.core.states import Environment, Stage
from risk.core.verdict import evaluate

NOW_MS = 1_790_000_000_000


def opening(**changes: Any) -> RiskRequest:
    """Long 0.01 BTC at 60,000 with the stop at 59,000: 600 USD of notional, 10 USD to the stop, 11.32 with fees."""
    request = RiskRequest(
        kind=RequestKind.OPEN,
        symbol="BTCUSDT",
        base_coin="BTC",
        direction=1,
        mark_price=Decimal(60_000),
        lines=(OrderLine(Decimal("0.01"), Decimal(60_000)),),
        qty_step=Decimal("0.001"),
        tick_size=Decimal("0.1"),
        risk_usd=Decimal("11.32"),
        stop_price=Decimal(59_000),
        leverage=Decimal(5),
        maintenance_margin_ratio=Decimal("0.005"),
        reference="signal:1",
    )
    return replace(request, **changes)


def snapshot(**changes: Any) -> Snapshot:
    calm = Snapshot(
        account_id=1,
        environment=Environment.SIMULATED,
        stage=Stage.PAPER,
        equity_usd=Decimal(10_000),
        available_usd=Decimal(10_000),
        freshness=(Freshness("BTCUSDT", NOW_MS - 500, NOW_MS - 60_000),),
        reconciliation=Reconciliation(NOW_MS - 30_000, good=True),
    )
    return replace(calm, **changes)


def plan(
    plan_id: int = 1,
    *,
    base: str = "ETH",
    direction: int = 1,
    risk_usd: Decimal | int | str = 0,
    notional_usd: Decimal | int | str = 100,
    quantity: Decimal | int | str = "0.05",
    margin_usd: Decimal | int | str = 0,
) -> OpenPlan:
    return OpenPlan(
        plan_id,
        f"{base}USDT",
        base,
        direction,
        Decimal(risk_usd),
        Decimal(notional_usd),
        Decimal(quantity),
        Decimal(margin_usd),
    )


def outcome_of(
    code: str,
    request: RiskRequest | None = None,
    seen: Snapshot | None = None,
    limits: RiskLimits | None = None,
    now_ms: int = NOW_MS,
) -> Outcome:
    verdict = evaluate(request or opening(), seen or snapshot(), limits or RiskLimits(), now_ms)
    return next(outcome for outcome in verdict.outcomes if outcome.code == code)
