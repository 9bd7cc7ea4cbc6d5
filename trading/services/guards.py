"""Fat-finger guards on a single order, the last look before it is sent. Pure risk checks over what the books say.

A re-armed rung and a retry pass here too: nobody decides about them again, so the caps on size hold here as well.
"""

from dataclasses import replace
from decimal import Decimal

from django.db.models import F, Sum

from avigrid.kernel.money import ZERO
from avigrid.kernel.orders import OrderRole
from risk.core.checks.margin import notional
from risk.core.checks.orders import on_step, price_band, reduce_only
from risk.core.outcome import Outcome
from risk.core.request import OrderLine, RequestKind, RiskRequest
from risk.core.snapshot import OpenPlan, Snapshot
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
    """The first refusal, or None. Without a mark price an exit's price is not judged; an entry is held back before."""
    spec = PlanSpec.from_json(order.plan.spec)
    position = _position(order)
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
        position_qty=ZERO if position is None else abs(position.size),
        resting_exit_qty=_resting(order),
        reference=order.order_link_id,
    )
    limits = limits_of(order.account_id)
    for check in (price_band, on_step, reduce_only):
        if check is price_band and mark_price is None:
            continue
        outcome = check(request, _NOTHING, limits, 0)
        if not outcome.passed:
            return outcome
    if order.role != OrderRole.ENTRY.value:
        return None
    whole, beside = _sizes(request, order, position, spec)
    outcome = notional(whole, beside, limits, 0)
    return None if outcome.passed else outcome


def _sizes(
    request: RiskRequest, order: Order, position: Position | None, spec: PlanSpec
) -> tuple[RiskRequest, Snapshot]:
    """All the plan holds or has out, this order included, and what else lies on the symbol."""
    own, others_usd = [], ZERO
    if position is not None and position.size:
        # Not above the planned prices, by which the cap was judged: neither slippage nor gains keep a rung away.
        price = min(position.entry_value_usd / abs(position.size), spec.notional_usd / spec.quantity)
        own.append(OrderLine(abs(position.size), price))
    buying = Order.objects.filter(
        account_id=order.account_id, symbol=order.symbol, role=OrderRole.ENTRY.value, status__in=LIVE_STATUSES
    )
    for row in buying:
        line = OrderLine(row.quantity - row.filled_qty, row.reference_price or row.price)
        if row.plan_id == order.plan_id:
            own.append(line)
        else:
            others_usd += line.quantity * request.price_of(line)
    beside = Position.objects.filter(account_id=order.account_id, symbol=order.symbol)
    for held in beside.exclude(position_idx=order.position_idx):
        others_usd += held.entry_value_usd
    others = OpenPlan(0, order.symbol, "", -request.direction, ZERO, others_usd, ZERO)
    return replace(request, lines=tuple(own)), replace(_NOTHING, open_plans=(others,))


def _position(order: Order) -> Position | None:
    """What lies on the plan's own side; another sign there is not its to reduce."""
    position = Position.objects.filter(
        account_id=order.account_id, symbol=order.symbol, position_idx=order.position_idx
    ).first()
    if position is None or (position.size > 0) != (order.plan.direction > 0):
        return None
    return position


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
