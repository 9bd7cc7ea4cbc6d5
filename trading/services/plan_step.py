"""One step of one plan: rows to state, the pure step, its actions back to rows. Idempotent and level-triggered.

Callers hold the account's lock. Stepping twice on the same state writes nothing the second time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from accounts.services.audit import audit
from avigrid.common import push
from avigrid.kernel.orders import OrderStatus
from risk.services.meters import loss_streak_note
from trading.avi5.actions import (
    Action,
    Activate,
    BeginClose,
    CancelOrder,
    CloseReason,
    Finish,
    MoveStop,
    Notice,
    NotifyOnce,
    PlaceOrder,
    StopEntries,
    StopReason,
)
from trading.avi5.plan import next_actions
from trading.avi5.state import MarketView, PlanEvent
from trading.engine.lifecycle import OrderEventKind
from trading.models import Order, Plan
from trading.services.alerts import alert_raise
from trading.services.intents import intent_create, reference_price_of
from trading.services.locking import wake_execution
from trading.services.order_events import order_event_apply
from trading.services.plan_state import PlanMemory, config_of, plan_state_of
from trading.services.times import from_ms

if TYPE_CHECKING:
    from accounts.models import User

_MAX_ROUNDS = 4
_SEVERITIES = {Notice.CLOSE_STUCK: "critical", Notice.EXIT_REFUSED: "warning"}
_SENTENCES = {
    Notice.BREAK_EVEN: "break even",
    Notice.FUNDING: "funding",
    Notice.EXIT_REFUSED: "a take-profit was refused too often and is given up; the stop still stands",
    Notice.CLOSE_STUCK: "the venue refuses to close the position; it is tried again, ever more slowly",
}


def plan_step(
    *,
    plan: Plan,
    market: MarketView,
    now: datetime,
    events: Sequence[PlanEvent] = (),
    actor: "User | str" = "execution",
) -> list[Action]:
    """What was done; `events` are an operator's or the kill switch's wishes, everything else shows in the rows."""
    pending = list(events)
    config = config_of(plan)
    done: list[Action] = []
    for _ in range(_MAX_ROUNDS):
        actions = list(next_actions(plan_state_of(plan), pending, market, config))
        pending = []
        if not actions:
            break
        for action in actions:
            _apply(plan, action, market, now, actor)
        done += actions
        if not plan.is_open:
            break
    if done:
        wake_execution(plan.account_id)
        push.event("plan", {"plan_id": plan.pk, "symbol": plan.symbol, "status": plan.status})
    return done


def _apply(plan: Plan, action: Action, market: MarketView, now: datetime, actor: "User | str") -> None:
    match action:
        case PlaceOrder():
            reference = reference_price_of(plan, action, market.price)
            intent_create(plan=plan, action=action, reference_price=reference, now=now)
        case CancelOrder():
            order_cancel_request(order=plan.orders.get(order_link_id=action.ref), now=now)
        case MoveStop():
            before = plan.stop_price
            plan.stop_price = action.price
            if action.reason is StopReason.BREAK_EVEN:
                plan.break_even_at = from_ms(market.now_ms)
            plan.save(update_fields=["stop_price", "break_even_at"])
            audit(
                actor=actor,
                action="plan.stop_moved",
                obj=plan,
                before={"stop_price": before},
                after={"stop_price": action.price},
                reason=action.reason.value,
            )
        case StopEntries():
            memory = PlanMemory.of(plan)
            memory.entries_stopped_reason = action.reason.value
            plan.entries_cancelled = True
            plan.state = memory.to_json()
            plan.save(update_fields=["entries_cancelled", "state"])
            audit(actor=actor, action="plan.entries_stopped", obj=plan, reason=action.reason.value)
        case BeginClose():
            plan.status, plan.close_reason = "closing", action.reason.value
            plan.save(update_fields=["status", "close_reason"])
            audit(actor=actor, action="plan.closing", obj=plan, reason=action.reason.value)
        case NotifyOnce():
            memory = PlanMemory.of(plan)
            if action.key not in memory.notified:
                memory.notified.append(action.key)
                _memory_store(plan, memory)
            alert_raise(
                kind=action.kind.value,
                severity=_SEVERITIES.get(action.kind, "info"),
                dedupe_key=f"plan{plan.pk}:{action.key}",
                sentence=f"{plan.symbol}: {_SENTENCES[action.kind]}.",
                now=now,
                plan_id=plan.pk,
            )
        case Activate():
            plan.status = "active"
            plan.save(update_fields=["status"])
            alert_raise(
                kind="plan_opened",
                severity="info",
                dedupe_key=f"plan{plan.pk}",
                sentence=f"{plan.symbol}: entered.",
                now=now,
                plan_id=plan.pk,
            )
        case Finish():
            _finish(plan, action, market, now, actor)


def _finish(plan: Plan, action: Finish, market: MarketView, now: datetime, actor: "User | str") -> None:
    plan.status, plan.close_reason = action.status.value, action.reason.value
    plan.closed_at = from_ms(market.now_ms)
    plan.stop_price = None
    plan.save(update_fields=["status", "close_reason", "closed_at", "stop_price"])
    result = plan.realised_pnl_usd - plan.fees_usd + plan.funding_usd
    if plan.fills.exists():
        stopped = plan.close_reason == CloseReason.STOP and result < 0
        loss_streak_note(account_id=plan.account_id, stopped=stopped, at=plan.closed_at)
    audit(
        actor=actor,
        action="plan.finished",
        obj=plan,
        after={"status": plan.status, "result_usd": result},
        reason=plan.close_reason,
    )
    alert_raise(
        kind="plan_closed",
        severity="info",
        dedupe_key=f"plan{plan.pk}",
        sentence=f"{plan.symbol}: {plan.status} ({plan.close_reason}), {result:.2f} USD.",
        now=now,
        plan_id=plan.pk,
    )


def order_cancel_request(*, order: Order, now: datetime) -> None:
    """An intent never sent is withdrawn on the spot; anything else waits for the execution process to cancel it."""
    if order.status == OrderStatus.INTENT:
        order_event_apply(order=order, event=OrderEventKind.WITHDRAW, now=now, evidence="withdrawn before sending")
        return
    if order.cancel_requested_at is None and not OrderStatus(order.status).is_terminal:
        order.cancel_requested_at = now
        order.save(update_fields=["cancel_requested_at"])


def _memory_store(plan: Plan, memory: PlanMemory) -> None:
    plan.state = memory.to_json()
    plan.save(update_fields=["state"])
