"""Can the account carry it? Caps on leverage, notional and margin; liquidation stays well beyond the stop."""

from decimal import Decimal

from avigrid.kernel.money import ZERO
from risk.core.exposure import on_symbol, total_margin_usd, total_notional_usd, total_risk_usd
from risk.core.limits import RiskLimits
from risk.core.liquidation import cross_liquidation_price, isolated_liquidation_price
from risk.core.outcome import Number, Outcome, not_asked, share, shown
from risk.core.request import RiskRequest
from risk.core.snapshot import Snapshot


def leverage(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    """The symbol's own setting, and everything open against equity."""
    if not request.opens:
        return not_asked("leverage", request)
    limit = limits.max_leverage
    notional_usd = total_notional_usd(snapshot.open_plans) + request.notional_usd
    used = notional_usd / snapshot.equity_usd if snapshot.equity_usd > 0 else None
    passed = request.leverage <= limit and notional_usd <= limit * snapshot.equity_usd
    numbers: dict[str, Number] = {"setting": request.leverage, "account": used, "limit": limit}
    account = f"{shown(used)}x" if used is not None else "undefined without equity"
    sentence = f"Leverage: setting {shown(request.leverage)}x, account {account}, limit {shown(limit)}x."
    return Outcome("leverage", passed, sentence, numbers)


def notional(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("notional", request)
    plan_usd = request.notional_usd
    symbol_usd = total_notional_usd(on_symbol(snapshot.open_plans, request.symbol)) + plan_usd
    passed = plan_usd <= limits.max_plan_notional_usd and symbol_usd <= limits.max_symbol_notional_usd
    sentence = (
        f"Notional {shown(plan_usd)} USD (limit {shown(limits.max_plan_notional_usd)}), "
        f"on {request.symbol} {shown(symbol_usd)} USD (limit {shown(limits.max_symbol_notional_usd)})."
    )
    numbers: dict[str, Number] = {
        "plan_usd": plan_usd,
        "plan_limit_usd": limits.max_plan_notional_usd,
        "symbol_usd": symbol_usd,
        "symbol_limit_usd": limits.max_symbol_notional_usd,
    }
    return Outcome("notional", passed, sentence, numbers)


def margin(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("margin", request)
    needed_usd = request.notional_usd / request.leverage
    # The wallet does not know orders that are committed but not yet sent: our own sum may be the larger one.
    held_usd = max(snapshot.initial_margin_usd, total_margin_usd(snapshot.open_plans))
    unseen_usd = held_usd - snapshot.initial_margin_usd
    free_usd = snapshot.available_usd - unseen_usd
    limit_usd = limits.max_margin_ratio * snapshot.equity_usd
    passed = needed_usd <= free_usd and held_usd + needed_usd <= limit_usd
    sentence = (
        f"Margin needed {shown(needed_usd)} of {shown(free_usd)} USD free; in use it would be "
        f"{shown(held_usd + needed_usd)} USD, limit {shown(limit_usd)} USD "
        f"({share(limits.max_margin_ratio)} of equity)."
    )
    numbers: dict[str, Number] = {
        "needed_usd": needed_usd,
        "free_usd": free_usd,
        "used_usd": held_usd + needed_usd,
        "limit_usd": limit_usd,
    }
    return Outcome("margin", passed, sentence, numbers)


def liquidation(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    """Everything fills, every other plan hits its stop first, and still the liquidation price is far enough away."""
    if not request.opens:
        return not_asked("liquidation", request)
    entry, direction = request.entry_price, request.direction
    price = _liquidation_price(request, snapshot)
    needed = limits.liquidation_stop_multiple * abs(request.stop_distance)
    away = None if price is None else (entry - price) * direction
    passed = away is None or away >= needed
    numbers: dict[str, Number] = {"liquidation_price": price, "distance": away, "limit_distance": needed}
    if away is None:
        return Outcome("liquidation", True, "No price would liquidate this position.", numbers)
    sentence = (
        f"Liquidation at about {shown(price or ZERO, 6)} lies {shown(away, 6)} from the entry, "
        f"at least {shown(needed, 6)} is asked ({shown(limits.liquidation_stop_multiple)} stop distances)."
    )
    return Outcome("liquidation", passed, sentence, numbers)


def _liquidation_price(request: RiskRequest, snapshot: Snapshot) -> Decimal | None:
    direction, entry = request.direction, request.entry_price
    if snapshot.isolated_margin:
        return isolated_liquidation_price(
            direction=direction,
            entry_price=entry,
            leverage=request.leverage,
            maintenance_margin_ratio=request.maintenance_margin_ratio,
        )
    mates = [plan for plan in on_symbol(snapshot.open_plans, request.symbol) if plan.direction == direction]
    quantity = request.quantity + sum((plan.quantity for plan in mates), ZERO)
    free_usd = (
        snapshot.equity_usd
        - snapshot.maintenance_margin_usd
        - request.notional_usd * request.maintenance_margin_ratio
        - total_risk_usd(snapshot.open_plans)
    )
    if quantity <= 0:
        return None  # refused as a size already
    return cross_liquidation_price(direction=direction, mark_price=entry, quantity=quantity, free_usd=free_usd)
