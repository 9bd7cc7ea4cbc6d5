"""Order intents: rows that say what to send, committed before anything is sent."""

from datetime import datetime
from decimal import Decimal

from django.conf import settings

from avigrid.kernel.ids import order_link_id
from avigrid.kernel.orders import OrderIntent, OrderRole, OrderType, Side, TimeInForce
from trading.avi5.actions import PlaceOrder
from trading.avi5.spec import PlanSpec
from trading.models import Order, Plan
from trading.services.plan_state import stop_wanted


def installation() -> str:
    """The prefix of every order of ours."""
    return str(settings.AVIGRID["INSTALLATION"])


def intent_create(*, plan: Plan, action: PlaceOrder, reference_price: Decimal | None, now: datetime) -> Order:
    """Idempotent: the same step of the same plan is the same order, however often it is asked for."""
    order, _ = Order.objects.get_or_create(
        plan=plan,
        role=action.role.value,
        rung=action.rung,
        cycle=action.cycle,
        attempt=action.attempt,
        defaults={
            "order_link_id": order_link_id(
                installation=installation(),
                plan_id=plan.pk,
                role=action.role.value,
                rung=action.rung,
                cycle=action.cycle,
                attempt=action.attempt,
            ),
            "account_id": plan.account_id,
            "symbol": plan.symbol,
            "side": action.side.value,
            "order_type": action.order_type.value,
            "time_in_force": action.time_in_force.value,
            "quantity": action.quantity,
            "price": action.price,
            "reference_price": reference_price,
            "reduce_only": action.reduce_only,
            "position_idx": plan.position_idx,
            "created_at": now,
        },
    )
    return order


def intent_of(order: Order) -> OrderIntent:
    """What the gateway is given."""
    return OrderIntent(
        order_link_id=order.order_link_id,
        symbol=order.symbol,
        side=Side(order.side),
        order_type=OrderType(order.order_type),
        quantity=order.quantity,
        price=order.price,
        time_in_force=TimeInForce(order.time_in_force),
        reduce_only=order.reduce_only,
        position_idx=order.position_idx,
        stop_loss=_stop_of(order),
    )


def _stop_of(order: Order) -> Decimal | None:
    """The plan's stop rides on its entries, so that no fill waits for a call of its own to be protected.

    Not where the stop has moved past the entry's own price: the venue would refuse the order for it.
    """
    if order.role != OrderRole.ENTRY.value or order.price is None:
        return None
    stop = stop_wanted(order.plan)
    if stop is None:
        stop = PlanSpec.from_json(order.plan.spec).stop
    return stop if (order.price - stop) * order.plan.direction > 0 else None


def reference_price_of(plan: Plan, action: PlaceOrder, market_price: Decimal | None) -> Decimal | None:
    """Entries are measured against the planned price, exits against their own or the market's at the decision."""
    if action.role is OrderRole.ENTRY:
        rungs = plan.spec.get("rungs", [])
        for rung in rungs:
            if rung["rung"] == action.rung:
                return Decimal(rung["price"])
    if action.role is OrderRole.CLOSE:
        return market_price or action.price
    return action.price or market_price
