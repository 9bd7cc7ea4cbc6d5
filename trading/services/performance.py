"""Closed plans rolled up by UTC day. Idempotent: a day is counted anew whenever something of it may have changed."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Max

from trading.models import PerformanceDay, Plan, PlanStatus

ZERO = Decimal(0)
REVISED_DAYS = 3
"""Fees and funding of a plan may be booked late; older days stand."""


def performance_roll_up(*, account_id: int, now: datetime) -> int:
    """Counts the days since the last one counted, and the newest few again. Returns how many days were written."""
    closed = Plan.objects.filter(account_id=account_id, closed_at__isnull=False, opened_at__isnull=False)
    newest = closed.aggregate(newest=Max("closed_at"))["newest"]
    if newest is None:
        return 0
    last = PerformanceDay.objects.filter(account_id=account_id).aggregate(last=Max("day"))["last"]
    first_day = None if last is None else last - timedelta(days=REVISED_DAYS)
    if first_day is not None:
        closed = closed.filter(closed_at__gte=datetime.combine(first_day, time(), UTC))
    by_day: dict[date, list[Plan]] = {}
    for plan in closed.filter(status__in=(PlanStatus.CLOSED, PlanStatus.FAILED_UNDERFILL)).order_by("closed_at"):
        if plan.closed_at is not None and _had_a_fill(plan):
            by_day.setdefault(plan.closed_at.astimezone(UTC).date(), []).append(plan)
    with transaction.atomic():
        for day, plans in by_day.items():
            PerformanceDay.objects.update_or_create(
                account_id=account_id, day=day, defaults={**_sums(plans), "updated_at": now}
            )
    return len(by_day)


def _had_a_fill(plan: Plan) -> bool:
    """Whoever traded paid a fee or moved money."""
    return bool(plan.fees_usd or plan.realised_pnl_usd or plan.funding_usd)


def _sums(plans: Iterable[Plan]) -> dict[str, int | Decimal]:
    plans = list(plans)
    nets = [plan.realised_pnl_usd + plan.funding_usd - plan.fees_usd for plan in plans]
    return {
        "plans": len(plans),
        "wins": sum(net > 0 for net in nets),
        "gross_usd": sum((plan.realised_pnl_usd for plan in plans), ZERO),
        "fees_usd": sum((plan.fees_usd for plan in plans), ZERO),
        "funding_usd": sum((plan.funding_usd for plan in plans), ZERO),
        "won_usd": sum((net for net in nets if net > 0), ZERO),
        "lost_usd": -sum((net for net in nets if net < 0), ZERO),
        "sum_r": sum((net / plan.r_usd for net, plan in zip(nets, plans, strict=True) if plan.r_usd), ZERO),
    }
