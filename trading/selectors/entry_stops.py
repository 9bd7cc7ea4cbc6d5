"""What keeps entries out of one symbol, whichever plan wants them: in hedge mode the other side has one of its own."""

from dataclasses import dataclass

from trading.models import Plan, PlanStatus
from trading.selectors.findings import critical_symbols


@dataclass(frozen=True, slots=True)
class EntryStops:
    closing: tuple[tuple[str, int], ...]
    """(symbol, plan id) of every plan that is being closed."""
    critical: frozenset[str]
    """Symbols with an open critical finding."""

    def why(self, plan: Plan) -> str:
        """Empty where nothing does."""
        if any(symbol == plan.symbol and pk != plan.pk for symbol, pk in self.closing):
            return "another plan of this symbol is being closed, so nothing opens there"
        if plan.symbol in self.critical:
            return "books and venue do not agree on this symbol, so nothing opens there"
        return ""


def entry_stops(account_id: int) -> EntryStops:
    closing = Plan.objects.filter(account_id=account_id, status=PlanStatus.CLOSING).values_list("symbol", "pk")
    return EntryStops(tuple(closing.order_by("pk")), frozenset(critical_symbols(account_id)))
