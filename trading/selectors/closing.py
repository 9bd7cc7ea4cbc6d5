"""While a plan of a symbol is being closed nothing opens there: in hedge mode the other side has a plan of its own."""

from trading.models import Plan, PlanStatus


def closing_plans(account_id: int) -> list[tuple[str, int]]:
    """(symbol, plan id) of every plan that is being closed."""
    return list(
        Plan.objects.filter(account_id=account_id, status=PlanStatus.CLOSING).order_by("pk").values_list("symbol", "pk")
    )


def another_closes(plan: Plan, closing: list[tuple[str, int]]) -> bool:
    return any(symbol == plan.symbol and pk != plan.pk for symbol, pk in closing)
