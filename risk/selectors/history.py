"""What was decided and changed, newest first."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from risk.core.states import State
from risk.models import RiskDecision, TradingStateChange


def state_changes(account_id: int | None = None) -> QuerySet[TradingStateChange]:
    """The kill-switch history; of every account without an id."""
    rows = TradingStateChange.objects.select_related("changed_by", "account").order_by("-id")
    return rows if account_id is None else rows.filter(account_id=account_id)


def decisions(
    account_id: int | None = None, *, symbol: str | None = None, ruling: str | None = None
) -> QuerySet[RiskDecision]:
    rows = RiskDecision.objects.select_related("decided_by", "account").order_by("-id")
    if account_id is not None:
        rows = rows.filter(account_id=account_id)
    if symbol is not None:
        rows = rows.filter(symbol=symbol)
    return rows if ruling is None else rows.filter(ruling=ruling)


def halted_since(moment: str) -> Exists:
    """For a query over rows with an account and a symbol: was either HALTED at or after the row's `moment`?"""
    halts = TradingStateChange.objects.filter(
        Q(symbol__isnull=True) | Q(symbol=OuterRef("symbol")),
        account_id=OuterRef("account_id"),
        after=State.HALTED,
        at__gte=OuterRef(moment),
    )
    return Exists(halts)
