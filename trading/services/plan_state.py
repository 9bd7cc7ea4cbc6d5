"""A plan's rows as the value AVI-5 steps on, and the few things it remembers beyond its orders."""

from dataclasses import dataclass, field
from decimal import Decimal

from django.db.models import Sum

from avigrid.kernel.orders import OrderRole, OrderStatus, Side
from trading.avi5.actions import CloseReason, PlanStatus
from trading.avi5.config import StrategyConfig
from trading.avi5.spec import PlanSpec
from trading.avi5.state import PlanOrder, PlanState
from trading.models import Order, Plan, StrategyVersion
from trading.services.times import to_ms


@dataclass(slots=True)
class PlanMemory:
    """What `Plan.state` holds."""

    notified: list[str] = field(default_factory=list)
    be_requested: bool = False
    entries_stopped_reason: str = ""
    stop_alternative: str = ""
    """A tighter stop that took the place of the plan's: one the venue would have, or one a person set there."""

    @classmethod
    def of(cls, plan: Plan) -> "PlanMemory":
        stored = plan.state or {}
        return cls(
            notified=list(stored.get("notified", ())),
            be_requested=bool(stored.get("be_requested", False)),
            entries_stopped_reason=str(stored.get("entries_stopped_reason", "")),
            stop_alternative=str(stored.get("stop_alternative", "")),
        )

    def to_json(self) -> dict[str, object]:
        return {
            "notified": self.notified,
            "be_requested": self.be_requested,
            "entries_stopped_reason": self.entries_stopped_reason,
            "stop_alternative": self.stop_alternative,
        }


def stop_wanted(plan: Plan) -> Decimal | None:
    """Where the stop should stand: a stop never moves back to a looser price."""
    alternative = PlanMemory.of(plan).stop_alternative
    if plan.stop_price is None or not alternative:
        return plan.stop_price
    tighter = max if plan.direction > 0 else min
    return tighter(plan.stop_price, Decimal(alternative))


def plan_state_of(plan: Plan) -> PlanState:
    """Reads the plan's orders and fills. The caller holds the account's lock."""
    memory = PlanMemory.of(plan)
    opened = plan.opened_at or plan.created_at
    return PlanState(
        spec=PlanSpec.from_json(plan.spec),
        status=PlanStatus(plan.status),
        opened_ms=to_ms(opened),
        orders=tuple(plan_order_of(order) for order in plan.orders.order_by("id")),
        stop_price=plan.stop_price,
        stop_filled_qty=stop_filled_qty(plan),
        be_done=plan.break_even_at is not None,
        be_requested=memory.be_requested,
        entries_stopped=plan.entries_cancelled,
        entries_stopped_reason=CloseReason(memory.entries_stopped_reason) if memory.entries_stopped_reason else None,
        close_reason=CloseReason(plan.close_reason) if plan.close_reason else None,
        notified=frozenset(memory.notified),
    )


def plan_order_of(order: Order) -> PlanOrder:
    return PlanOrder(
        ref=order.order_link_id,
        role=OrderRole(order.role),
        rung=order.rung,
        cycle=order.cycle,
        attempt=order.attempt,
        status=OrderStatus(order.status),
        quantity=order.quantity,
        filled_qty=order.filled_qty,
        avg_price=order.avg_price,
        price=order.price,
        cancel_requested=order.cancel_requested_at is not None,
    )


def stop_filled_qty(plan: Plan) -> Decimal:
    """Closed by the venue's stop, a liquidation or a hand: executions without an order of ours, against the plan."""
    closing = Side.from_direction(-plan.direction)
    total = plan.fills.filter(order__isnull=True, side=closing.value).aggregate(total=Sum("quantity"))["total"]
    return total or Decimal(0)


def config_of(plan: Plan) -> StrategyConfig:
    """The version the plan's signal was decided with; for an adopted plan the active one."""
    if plan.signal is not None:
        return StrategyConfig.from_stored(plan.signal.decision.strategy.config)
    active = StrategyVersion.objects.filter(is_active=True).first()
    return StrategyConfig.from_stored(active.config) if active else StrategyConfig()
