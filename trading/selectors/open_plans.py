"""What is open and held, as plain rows; several parts of a page ask for them."""

from avigrid.common.reading import read_once
from trading.models import OPEN_PLAN_STATUSES, EquitySnapshot, Plan, Position, ReconciliationFinding


@read_once
def open_plans(account_id: int) -> list[Plan]:
    """Oldest first."""
    return list(Plan.objects.filter(account_id=account_id, status__in=OPEN_PLAN_STATUSES).order_by("id"))


@read_once
def held_positions(account_id: int) -> list[Position]:
    return list(Position.objects.filter(account_id=account_id).exclude(size=0))


@read_once
def newest_wallet(account_id: int) -> EquitySnapshot | None:
    return EquitySnapshot.objects.filter(account_id=account_id).order_by("-at").first()


@read_once
def open_findings(account_id: int) -> list[ReconciliationFinding]:
    return list(ReconciliationFinding.objects.filter(account_id=account_id, is_open=True))
