"""What a person may ask of an open plan. The wish is committed; the execution process carries it to the venue."""

from datetime import datetime
from typing import TYPE_CHECKING

from django.utils import timezone

from accounts.services.audit import audit
from avigrid.kernel.errors import Rejected
from trading.avi5.state import EventKind, MarketView, PlanEvent
from trading.models import Plan, PlanStatus
from trading.selectors.exchange_time import exchange_time
from trading.selectors.risk_view import marks_of
from trading.services.locking import account_transaction, wake_execution
from trading.services.plan_state import PlanMemory
from trading.services.plan_step import plan_step
from trading.services.times import to_ms

if TYPE_CHECKING:
    from accounts.models import User


def plan_close(*, plan_id: int, user: "User | str", reason: str = "", now: datetime | None = None) -> Plan:
    """Cancel what rests, close what is held. Asking twice changes nothing. Raises Rejected `plan_over`."""
    return _command(plan_id, user, EventKind.OPERATOR_CLOSE, "plan.close_asked", reason, now)


def plan_cancel_entries(*, plan_id: int, user: "User | str", reason: str = "", now: datetime | None = None) -> Plan:
    """Nothing more is bought for this plan; its exits stay. Raises Rejected `plan_over`."""
    return _command(plan_id, user, EventKind.CANCEL_ENTRIES, "plan.cancel_entries_asked", reason, now)


def plan_break_even(*, plan_id: int, user: "User | str", reason: str = "", now: datetime | None = None) -> Plan:
    """The stop moves to break-even as soon as the price allows. Raises Rejected `plan_over`, `nothing_held`."""
    return _command(plan_id, user, EventKind.OPERATOR_BREAK_EVEN, "plan.break_even_asked", reason, now)


def plan_kill(*, plan_id: int, actor: "User | str", reason: str, now: datetime | None = None) -> Plan:
    """The kill switch flattens: like a close, with its own reason in the books."""
    return _command(plan_id, actor, EventKind.KILL_SWITCH, "plan.killed", reason, now)


def _command(plan_id: int, user: "User | str", kind: EventKind, action: str, reason: str, now: datetime | None) -> Plan:
    account_id = Plan.objects.values_list("account_id", flat=True).get(pk=plan_id)
    with account_transaction(account_id):
        plan = Plan.objects.get(pk=plan_id)
        if not plan.is_open:
            raise Rejected(f"Plan {plan_id} is over: {plan.status}.", code="plan_over", plan_id=plan_id)
        if kind is EventKind.OPERATOR_BREAK_EVEN:
            _break_even_want(plan)
        audit(actor=user, action=action, obj=plan, before={"status": plan.status}, reason=reason)
        clock = exchange_time(account_id)
        at_ms = to_ms(now or timezone.now()) if now is not None or clock is None else clock.now_ms
        mark = marks_of({plan.symbol}).get(plan.symbol)
        price = mark.mark if mark is not None else None
        # Entries wait for the execution process, which knows more of the market than this door does.
        market = MarketView(now_ms=at_ms, price=price, entries_allowed=False)
        plan_step(plan=plan, market=market, now=timezone.now(), events=[PlanEvent(kind, at_ms)], actor=user)
        wake_execution(account_id, "plan")
        return plan


def _break_even_want(plan: Plan) -> None:
    if plan.status != PlanStatus.ACTIVE:
        raise Rejected("There is no position whose stop could be moved.", code="nothing_held", plan_id=plan.pk)
    memory = PlanMemory.of(plan)
    memory.be_requested = True
    plan.state = memory.to_json()
    plan.save(update_fields=["state"])
