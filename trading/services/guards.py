"""Fat-finger guards on a single order, the last look before it is sent. Pure risk checks over what the books say."""

from decimal import Decimal

from django.db.models import F, Sum

from avigrid.kernel.money import ZERO
from avigrid.kernel.orders import OrderRole
from risk.core.checks.orders import on_step, price_band, reduce_only
from risk.core.outcome import Outcome
from risk.core.request import OrderLine, RequestKind, RiskRequest
from risk.core.snapshot import Snapshot
from risk.core.states import Environment, Stage
from risk.selectors.limits import limits_of
from trading.avi5.spec import PlanSpec
from trading.models import LIVE_STATUSES, Order, Position

_KINDS = {
    OrderRole.ENTRY.value: RequestKind.OPEN,
    OrderRole.TAKE_PROFIT.value: RequestKind.EXIT,
    OrderRole.CLOSE.value: RequestKind.CLOSE,
}


def order_guard(order: Order, *, mark_price: Decimal | None) -> Outcome | None:
    """The first refusal, or None. Without a mark price the price is judged against the plan's own entry."""
    spec = PlanSpec.from_json(order.plan.spec)
    request = RiskRequest(
        kind=_KINDS[order.role],
        symbol=order.symbol,
        base_coin="",
        direction=order.plan.direction,
        mark_price=mark_price if mark_price is not None else spec.entry,
        lines=(OrderLine(order.quantity, order.price),),
        qty_step=spec.grain.qty_step,
        tick_size=spec.grain.tick_size,
        stop_price=spec.stop,
        position_qty=_held(order),
        resting_exit_qty=_resting(order),
        reference=order.order_link_id,
    )
    limits = limits_of(order.account_id)
    for check in (price_band, on_step, reduce_only):
        outcome = check(request, _NOTHING, limits, 0)
        if not outcome.passed:
            return outcome
    return None


def _held(order: Order) -> Decimal:
    position = Position.objects.filter(
        account_id=order.account_id, symbol=order.symbol, position_idx=order.position_idx
    ).first()
    if position is None or (position.size > 0) != (order.plan.direction > 0):
        return ZERO
    return abs(position.size)


def _resting(order: Order) -> Decimal:
    others = Order.objects.filter(
        account_id=order.account_id,
        symbol=order.symbol,
        position_idx=order.position_idx,
        reduce_only=True,
        status__in=LIVE_STATUSES,
    ).exclude(pk=order.pk)
    return others.exclude(status="intent").aggregate(total=Sum(F("quantity") - F("filled_qty")))["total"] or ZERO


# The order checks look at the request and the limits only.
_NOTHING = Snapshot(
    account_id=0, environment=Environment.SIMULATED, stage=Stage.PAPER, equity_usd=ZERO, available_usd=ZERO
)
