"""What must be true after every round, each breach as a sentence."""

from collections import Counter
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Count, QuerySet
from django.utils import timezone

from risk.core.states import State
from risk.models import TradingState
from trading.models import (
    LIVE_STATUSES,
    OPEN_PLAN_STATUSES,
    Fill,
    Order,
    OrderEvent,
    OutboxEvent,
    Plan,
    Position,
    ReconciliationFinding,
    Severity,
)
from trading.runtime.doubts import EVIDENCE_WINDOW
from trading.runtime.venue_truth import compare

MAY_APPEAR_FOR = EVIDENCE_WINDOW + timedelta(seconds=20)
"""How long an order without evidence may stay in doubt: the window, and the pauses between the last looks."""


def settled(account_id: int, state: dict[str, Any], *, carry: bool = False) -> bool:
    """Nothing is in flight and both sides agree; worth asking again until the patience ends."""
    doubtful = Order.objects.filter(account=account_id, status__in=("unknown", "submitting", "intent"))
    excused = in_doubt(account_id) if carry else Order.objects.none()
    left = doubtful.exclude(pk__in=excused.values("pk"))
    return not left.exists() and not breaches(account_id, state, excused=excused)


def in_doubt(account_id: int) -> QuerySet[Order]:
    """Cut off in sending, never acknowledged, and missed too recently to say that it never appears."""
    since = timezone.now() - MAY_APPEAR_FOR
    unproven = Order.objects.filter(account=account_id, status="unknown", acknowledged_at=None, filled_qty=0)
    return unproven.filter(is_reserved=True, unknown_since__gt=since)


def breaches(account_id: int, state: dict[str, Any], *, excused: QuerySet[Order] | None = None) -> list[str]:
    may_differ = {f"open_orders:{order.order_link_id}" for order in excused or ()}
    found = [
        f"{row.subject}: venue {row.venue!r}, books {row.books!r}"
        for row in compare(account_id, state).differences
        if row.subject not in may_differ or row.venue
    ]
    found += _doubled(account_id)
    found += _exits(account_id)
    found += _unprotected(account_id)
    found += _told(account_id)
    return found


def _doubled(account_id: int) -> list[str]:
    ours = Fill.objects.filter(account=account_id, order__isnull=False)
    named = set(ours.values_list("order_id", "venue_order_id"))  # DISTINCT would tell parts of one order apart by time
    per_order = Counter(order_id for order_id, _ in named)
    found = [f"order {order_id} filled under {count} venue ids" for order_id, count in per_order.items() if count > 1]
    sends = OrderEvent.objects.filter(order__account=account_id, event="send", is_impossible=False)
    unsent = OrderEvent.objects.filter(order__account=account_id, event="not_sent", is_impossible=False)
    back = dict(unsent.values_list("order").annotate(count=Count("id")))
    for order_id, count in sends.values_list("order").annotate(count=Count("id")):
        if count > 1 + back.get(order_id, 0):
            found.append(f"order {order_id} was sent {count} times, {back.get(order_id, 0)} of them provably in vain")
    over = [row for row in Order.objects.filter(account=account_id) if row.filled_qty > row.quantity]
    return found + [f"{row.order_link_id} is filled beyond its size" for row in over]


def _exits(account_id: int) -> list[str]:
    found = []
    for position in Position.objects.filter(account=account_id):
        exits = Order.objects.filter(
            account=account_id,
            symbol=position.symbol,
            position_idx=position.position_idx,
            reduce_only=True,
            status__in=LIVE_STATUSES,
        )
        resting = sum((row.quantity - row.filled_qty for row in exits), Decimal(0))
        if resting > abs(position.size):
            found.append(f"{position.symbol}/{position.position_idx}: exits {resting} for {position.size}")
    return found


def _told(account_id: int) -> list[str]:
    """What the system itself says must not be: findings, halted symbols, impossible events, plans that cannot go on."""
    findings = ReconciliationFinding.objects.filter(account=account_id, is_open=True, severity=Severity.CRITICAL)
    found = [f"finding {row.kind}: {row.subject}" for row in findings]
    halted = TradingState.objects.filter(account=account_id, symbol__isnull=False).exclude(state=State.ACTIVE)
    found += [f"{row.symbol} is {row.state} ({row.source}: {row.reason})" for row in halted]
    impossible = OrderEvent.objects.filter(order__account=account_id, is_impossible=True)
    found += [f"order {row.order_id}: {row.event} while {row.from_status}" for row in impossible]
    failed = OutboxEvent.objects.filter(kind="plan_step_failed")
    found += [f"plan {row.payload.get('plan_id')}: {row.payload.get('sentence')}" for row in failed]
    return found


def _unprotected(account_id: int) -> list[str]:
    plans = {
        (plan.symbol, plan.position_idx): plan
        for plan in Plan.objects.filter(account=account_id, status__in=OPEN_PLAN_STATUSES)
    }
    found = []
    for position in Position.objects.filter(account=account_id).exclude(size=0):
        plan = plans.get((position.symbol, position.position_idx))
        if plan is None:
            found.append(f"{position.symbol}/{position.position_idx}: {position.size} belongs to no plan")
        elif plan.stop_confirmed is None:
            found.append(f"{position.symbol}/{position.position_idx}: {position.size} has no confirmed stop")
    return found
