"""How much of each limit is used up, for the Risk page."""

from dataclasses import dataclass
from decimal import Decimal

from avigrid.kernel.money import ZERO
from risk.core.drawdown import drawdown_ratio
from risk.core.exposure import total_margin_usd, total_notional_usd, total_risk_usd
from risk.core.limits import RiskLimits
from risk.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Usage:
    """`ratio` is value over limit; at 1 the limit is reached. `subject` names the symbol or base, if any."""

    code: str
    subject: str
    unit: str
    value: Decimal
    limit: Decimal
    ratio: Decimal


def usage(snapshot: Snapshot, limits: RiskLimits) -> tuple[Usage, ...]:
    plans, r_usd = snapshot.open_plans, limits.r_usd
    held_usd = max(snapshot.initial_margin_usd, total_margin_usd(plans))
    rows = [
        _row("max_concurrent", "", "plans", Decimal(len(plans)), Decimal(limits.max_concurrent)),
        _row("max_total_risk_r", "", "R", total_risk_usd(plans) / r_usd, limits.max_total_risk_r),
        _row("daily_loss_r", "", "R", max(snapshot.day_loss_usd, ZERO) / r_usd, limits.daily_loss_r),
        _row(
            "drawdown",
            "",
            "ratio",
            drawdown_ratio(snapshot.equity_usd, snapshot.guards.peak_equity_usd),
            limits.drawdown_orange_ratio,
        ),
        _row("loss_streak", "", "stops", Decimal(snapshot.guards.stop_streak), Decimal(limits.loss_streak_stops)),
        _row(
            "order_budget_minute", "", "orders", Decimal(snapshot.orders_last_minute), Decimal(limits.orders_per_minute)
        ),
        _row("order_budget_day", "", "orders", Decimal(snapshot.orders_today), Decimal(limits.orders_per_day)),
    ]
    if snapshot.equity_usd > 0:
        lever = total_notional_usd(plans) / snapshot.equity_usd
        rows.append(_row("leverage", "", "x", lever, limits.max_leverage))
        rows.append(_row("margin", "", "ratio", held_usd / snapshot.equity_usd, limits.max_margin_ratio))
    for symbol in sorted({plan.symbol for plan in plans}):
        mine = [plan for plan in plans if plan.symbol == symbol]
        risk_r = total_risk_usd(mine) / r_usd
        rows.append(_row("per_symbol_risk_r", symbol, "R", risk_r, limits.max_per_symbol_risk_r))
        rows.append(_row("notional", symbol, "USD", total_notional_usd(mine), limits.max_symbol_notional_usd))
    for base in sorted({plan.base_coin for plan in plans}):
        count = sum(plan.base_coin == base for plan in plans)
        rows.append(_row("per_base", base, "plans", Decimal(count), Decimal(limits.max_per_base)))
    return tuple(rows)


def _row(code: str, subject: str, unit: str, value: Decimal, limit: Decimal) -> Usage:
    # A limit of 0 forbids the thing: it counts as reached.
    return Usage(code, subject, unit, value, limit, value / limit if limit else Decimal(1))
