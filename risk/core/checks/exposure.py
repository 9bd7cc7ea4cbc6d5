"""How much is already at stake? Risk counts to the current stop, with unproven and unfilled orders as if filled."""

from decimal import Decimal

from risk.core.exposure import on_symbol, total_risk_usd
from risk.core.limits import RiskLimits
from risk.core.outcome import Number, Outcome, not_asked, shown
from risk.core.request import RiskRequest
from risk.core.snapshot import Snapshot


def max_concurrent(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("max_concurrent", request)
    count, limit = len(snapshot.open_plans) + 1, limits.max_concurrent
    sentence = f"This would be open plan {count}, the limit is {limit}."
    return Outcome("max_concurrent", count <= limit, sentence, {"plans": count, "limit": limit})


def plan_risk_r(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("plan_risk_r", request)
    if request.stop_distance <= 0:
        sentence = f"The stop {request.stop_price} does not lie on the losing side of the entry."
        return Outcome("plan_risk_r", False, sentence, {"stop_distance": request.stop_distance})
    limit = limits.max_plan_risk_r
    return _risk("plan_risk_r", "This plan risks", request.full_risk_usd, limits.r_usd, limit)


def max_total_risk_r(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("max_total_risk_r", request)
    risk_usd = total_risk_usd(snapshot.open_plans) + request.full_risk_usd
    limit = limits.max_total_risk_r
    return _risk("max_total_risk_r", "Open risk would be", risk_usd, limits.r_usd, limit)


def per_symbol_risk_r(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("per_symbol_risk_r", request)
    risk_usd = total_risk_usd(on_symbol(snapshot.open_plans, request.symbol)) + request.full_risk_usd
    words = f"Open risk on {request.symbol} would be"
    return _risk("per_symbol_risk_r", words, risk_usd, limits.r_usd, limits.max_per_symbol_risk_r)


def per_base(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("per_base", request)
    base = request.base_coin
    same_base = [plan for plan in snapshot.open_plans if plan.base_coin == base]
    same_way = [plan for plan in same_base if plan.direction == request.direction]
    count, limit = len(same_base) + 1, limits.max_per_base
    numbers: dict[str, Number] = {"plans": count, "limit": limit, "same_way": len(same_way)}
    if same_way:
        word = "long" if request.direction > 0 else "short"
        return Outcome("per_base", False, f"A {word} plan on {base} is open already.", numbers)
    return Outcome("per_base", count <= limit, f"This would be plan {count} on {base}, the limit is {limit}.", numbers)


def _risk(code: str, words: str, risk_usd: Decimal, r_usd: Decimal, limit_r: Decimal) -> Outcome:
    # Compared as USD: a quotient would round, and a plan of exactly the limit must pass.
    passed = risk_usd <= limit_r * r_usd
    risk_r = risk_usd / r_usd
    numbers: dict[str, Number] = {"risk_r": risk_r, "limit_r": limit_r, "risk_usd": risk_usd, "r_usd": r_usd}
    return Outcome(code, passed, f"{words} {shown(risk_r)} R, the limit is {shown(limit_r)} R.", numbers)
