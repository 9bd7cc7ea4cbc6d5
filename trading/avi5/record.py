"""How actions change the stored state, without a database: the replay and the tests use it, and it is the
reference for the service that does the same with rows."""

from collections.abc import Sequence
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


def record(plan: PlanState, actions: Sequence[Action]) -> PlanState:
    """The state after all of `actions` were written down; new orders are intents."""
    if not actions:
        return plan
    changes: dict[str, object] = {}
    placed: list[PlanOrder] = []
    cancelled: set[str] = set()
    notified: set[str] = set()
    for action in actions:
        match action:
            case PlaceOrder():
                placed.append(_intent(action))
            case CancelOrder(ref):
                cancelled.add(ref)
            case MoveStop(price, reason):
                changes["stop_price"] = price
                if reason is StopReason.BREAK_EVEN:
                    changes["be_done"] = True
            case StopEntries(reason):
                changes |= {"entries_stopped": True, "entries_stopped_reason": reason}
            case BeginClose(reason):
                changes |= {"status": PlanStatus.CLOSING, "close_reason": reason}
            case NotifyOnce(_, key):
                notified.add(key)
            case Activate():
                changes["status"] = PlanStatus.ACTIVE
            case Finish(status, reason):
                changes |= {"status": status, "close_reason": reason}
    if placed or cancelled:
        kept = plan.orders
        if cancelled:
            kept = tuple([replace(o, cancel_requested=True) if o.ref in cancelled else o for o in kept])
        orders = (*kept, *placed)
        if not changes and not notified:
            return plan.with_orders(orders)
        changes["orders"] = orders
    if not notified <= plan.notified:
        changes["notified"] = plan.notified | notified
    if not changes:
        return plan
    changed = replace(plan, **changes)  # type: ignore[arg-type]
    return changed if "orders" in changes else changed.with_sums_of(plan)


def _intent(action: PlaceOrder) -> PlanOrder:
    return PlanOrder(
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
