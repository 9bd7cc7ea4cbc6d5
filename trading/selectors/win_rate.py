"""How often signals of a like score won."""

from django.db.models import Case, Count, F, FloatField, Q, Value, When

from trading.models import Plan, PlanStatus

MINIMUM = 30
_NET = F("realised_pnl_usd") + F("funding_usd") - F("fees_usd")


def p_win(score: float) -> float | None:
    """Laplace-smoothed share of winners among closed plans in the same tenth of score; None below 30 of them."""
    tenth = min(int(score * 10), 9)
    low, high = tenth / 10, (tenth + 1) / 10 if tenth < 9 else 1.01
    closed = Plan.objects.filter(
        status=PlanStatus.CLOSED, signal__score__gte=low, signal__score__lt=high, opened_at__isnull=False
    ).annotate(net=_NET)
    counts = closed.aggregate(
        total=Count("id"), wins=Count(Case(When(Q(net__gt=0), then=Value(1.0)), output_field=FloatField()))
    )
    if counts["total"] < MINIMUM:
        return None
    return float((counts["wins"] + 1) / (counts["total"] + 2))
