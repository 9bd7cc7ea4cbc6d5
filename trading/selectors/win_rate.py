"""How often signals of a like score won.

Counted is every signal that was traded and is over, whatever version made it and whichever account took it: the score
means the same in all of them. A plan that never filled says nothing and is left out; one that filled too little and was
closed again has lost its fees and counts.
"""

from bisect import bisect_right

from django.db.models import Count, Exists, F, OuterRef, Q

from avigrid.kernel.orders import OrderRole
from trading.models import OPEN_PLAN_STATUSES, Fill, Plan

MINIMUM = 30
_TENTHS = tuple(number / 10 for number in range(10))


def p_win(score: float) -> float | None:
    """Laplace-smoothed share of winners in the same tenth of score, 0.3 belonging to [0.3, 0.4); None below 30."""
    tenth = max(bisect_right(_TENTHS, score) - 1, 0)
    over = Plan.objects.exclude(status__in=OPEN_PLAN_STATUSES).filter(signal__score__gte=_TENTHS[tenth])
    if tenth + 1 < len(_TENTHS):
        over = over.filter(signal__score__lt=_TENTHS[tenth + 1])
    entered = Fill.objects.filter(plan=OuterRef("pk"), order__role=OrderRole.ENTRY.value)
    counts = over.filter(Exists(entered)).aggregate(
        total=Count("id"), wins=Count("id", filter=Q(realised_pnl_usd__gt=F("fees_usd") - F("funding_usd")))
    )
    if counts["total"] < MINIMUM:
        return None
    return float((counts["wins"] + 1) / (counts["total"] + 2))
