"""How actions change the stored state, without a database: the replay and the tests use it, and it is the
reference for the service that does the same with rows."""

from collections.abc import Iterable
from dataclasses import replace

from avigrid.kernel.money import ZERO
from avigrid.kernel.orders import OrderStatus
from trading.avi5.actions import (
    Action,
    Activate,
    BeginClose,
    CancelOrder,
    Finish,
    MoveStop,
    NotifyOnce,
    PlaceOrder,
    PlanStatus,
    StopEntries,
    StopReason,
)
from trading.avi5.state import PlanOrder, PlanState


def order_ref(action: PlaceOrder) -> str:
    return f"{action.role.value[0]}{action.rung}-{action.cycle}-{action.attempt}"


def record(plan: PlanState, actions: Iterable[Action]) -> PlanState:
    """The state after all of `actions` were written down; new orders are intents."""
    for action in actions:
        plan = _record_one(plan, action)
    return plan


def _record_one(plan: PlanState, action: Action) -> PlanState:
    match action:
        case PlaceOrder():
            order = PlanOrder(
                ref=order_ref(action),
                role=action.role,
                rung=action.rung,
                cycle=action.cycle,
                attempt=action.attempt,
                status=OrderStatus.INTENT,
                quantity=action.quantity,
                filled_qty=ZERO,
                avg_price=None,
                price=action.price,
            )
            return replace(plan, orders=(*plan.orders, order))
        case CancelOrder(ref):
            orders = tuple(replace(o, cancel_requested=True) if o.ref == ref else o for o in plan.orders)
            return replace(plan, orders=orders)
        case MoveStop(price, reason):
            return replace(plan, stop_price=price, be_done=plan.be_done or reason is StopReason.BREAK_EVEN)
        case StopEntries(reason):
            return replace(plan, entries_stopped=True, entries_stopped_reason=reason)
        case BeginClose(reason):
            return replace(plan, status=PlanStatus.CLOSING, close_reason=reason)
        case NotifyOnce(_, key):
            return replace(plan, notified=plan.notified | {key})
        case Activate():
            return replace(plan, status=PlanStatus.ACTIVE)
        case Finish(status, reason):
            return replace(plan, status=status, close_reason=reason)
