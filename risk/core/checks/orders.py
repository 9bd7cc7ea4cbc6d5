"""Fat fingers: orders that cannot be meant."""

from decimal import Decimal

from avigrid.kernel.money import is_multiple
from risk.core.limits import RiskLimits
from risk.core.outcome import Number, Outcome, not_asked, share, shown
from risk.core.request import RequestKind, RiskRequest
from risk.core.snapshot import Snapshot


def price_band(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    """An entry may not lie far from mark on either side, an exit not on the giving-away side (take-profits lie far)."""
    if request.kind not in (RequestKind.OPEN, RequestKind.EXIT, RequestKind.CLOSE):
        return not_asked("price_band", request)
    mark, limit = request.mark_price, limits.max_price_deviation_ratio
    away = [(line.price - mark) * -request.direction for line in request.lines if line.price is not None]
    worst = max((abs(gap) if request.opens else gap for gap in away), default=Decimal(0))
    ratio = max(worst, Decimal(0)) / mark
    sentence = f"The price farthest from mark {shown(mark, 8)} is {share(ratio)} away, the limit is {share(limit)}."
    numbers: dict[str, Number] = {"deviation_ratio": ratio, "limit_ratio": limit, "mark_price": mark}
    return Outcome("price_band", worst <= limit * mark, sentence, numbers)


def on_step(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    """Every quantity positive and on the quantity step, every price positive and on the tick."""
    if not request.lines:
        return not_asked("on_step", request)
    for line in request.lines:
        if line.quantity <= 0 or (request.qty_step > 0 and not is_multiple(line.quantity, request.qty_step)):
            sentence = f"The size {line.quantity} is not a positive multiple of {request.qty_step}."
            return Outcome("on_step", False, sentence, {"quantity": line.quantity, "qty_step": request.qty_step})
        price = line.price
        if price is not None and (price <= 0 or (request.tick_size > 0 and not is_multiple(price, request.tick_size))):
            sentence = f"The price {price} is not a positive multiple of {request.tick_size}."
            return Outcome("on_step", False, sentence, {"price": price, "tick_size": request.tick_size})
    return Outcome("on_step", True, "Sizes and prices lie on their steps.")


def reduce_only(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    """A resting exit shares the position with the exits that rest already; a close may replace them."""
    if not request.kind.reduces_only:
        return not_asked("reduce_only", request)
    resting = request.resting_exit_qty if request.kind is RequestKind.EXIT else Decimal(0)
    asked, held = request.quantity + resting, request.position_qty
    sentence = f"Reduce-only size {shown(asked, 8)}, resting exits included; the position is {shown(held, 8)}."
    return Outcome("reduce_only", asked <= held, sentence, {"quantity": asked, "position_qty": held})


def stop_move(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    """A stop that stands moves only in the position's favour; one that is missing may be set anywhere."""
    if request.kind is not RequestKind.PROTECT:
        return not_asked("stop_move", request)
    new, old = request.stop_price, request.current_stop_price
    numbers: dict[str, Number] = {"stop_price": new, "current_stop_price": old}
    if new is None:
        return Outcome("stop_move", False, "A stop needs a price.", numbers)
    if old is None:
        return Outcome("stop_move", True, "The position has no stop yet.", numbers)
    passed = (new - old) * request.direction >= 0
    verb = "reduces" if passed else "would add"
    return Outcome("stop_move", passed, f"Moving the stop from {old} to {new} {verb} risk.", numbers)
