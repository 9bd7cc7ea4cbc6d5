"""What the strategy decided, bar by bar, and why: tables, filters, one decision in full."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q, QuerySet

from trading.avi5.rules import Rule
from trading.models import Decision
from trading.selectors.desk import RuleRow

PAGE = 50
RULES = tuple(rule.value for rule in Rule)


@dataclass(frozen=True, slots=True)
class RulePair:
    """One rule as it came out for both sides."""

    name: str
    long: RuleRow | None
    short: RuleRow | None

    @property
    def shown_unit(self) -> str:
        """Prices, ratios and directions speak for themselves."""
        return self.long.shown_unit if self.long else ""


@dataclass(frozen=True, slots=True)
class DecisionView:
    decision: Decision
    failed: Sequence[str]
    side: int
    """The side the price leaned to, whose failed rules are listed."""
    signal_status: str

    @property
    def bar_ms(self) -> int:
        return int(self.decision.bar_start.timestamp() * 1000)

    @property
    def bar_s(self) -> int:
        return self.bar_ms // 1000

    @property
    def cursor(self) -> str:
        return f"{self.bar_ms}-{self.decision.pk}"


@dataclass(frozen=True, slots=True)
class DecisionPage:
    rows: Sequence[DecisionView]
    next_cursor: str


def decision_page(
    *,
    symbol: str = "",
    status: str = "",
    failed_rule: str = "",
    before: str = "",
    until: datetime | None = None,
    count: int = PAGE,
) -> DecisionPage:
    """Newest first, from the row after the cursor `before` on; a cursor nobody issued is ignored."""
    rows: QuerySet[Decision] = Decision.objects.prefetch_related("signals").order_by("-bar_start", "-id")
    if symbol:
        rows = rows.filter(symbol=symbol)
    if status:
        rows = rows.filter(status=status)
    if failed_rule in RULES:
        rows = rows.filter(rules__failed__contains=[failed_rule])
    if until is not None:
        rows = rows.filter(bar_start__lte=until)
    position = _position(before)
    if position is not None:
        at, pk = position
        rows = rows.filter(Q(bar_start__lt=at) | Q(bar_start=at, id__lt=pk))
    found = [view_of(row) for row in rows[: count + 1]]
    more = len(found) > count
    return DecisionPage(found[:count], found[count - 1].cursor if more else "")


def decision_of_bar(symbol: str, bar_start: datetime) -> DecisionView | None:
    row = Decision.objects.filter(symbol=symbol, bar_start=bar_start).prefetch_related("signals").first()
    return view_of(row) if row else None


def view_of(decision: Decision) -> DecisionView:
    rules = decision.rules if isinstance(decision.rules, dict) else {}
    signal = next(iter(decision.signals.all()), None)
    return DecisionView(
        decision,
        tuple(rules.get("failed", ())),
        int(decision.indicators.get("side") or decision.direction or 0),
        signal.status if signal else "",
    )


def rule_pairs(decision: Decision) -> list[RulePair]:
    rules = decision.rules if isinstance(decision.rules, dict) else {}
    sides = {name: {row["rule"]: _row(row) for row in rules.get(name, ())} for name in ("long", "short")}
    names = list(dict.fromkeys([*sides["long"], *sides["short"]]))
    return [RulePair(name, sides["long"].get(name), sides["short"].get(name)) for name in names]


def decision_statuses() -> list[str]:
    return sorted(set(Decision.objects.order_by().values_list("status", flat=True).distinct()))


def _row(row: dict[str, object]) -> RuleRow:
    value, threshold = row["value"], row["threshold"]
    return RuleRow(
        str(row["rule"]),
        bool(row["passed"]),
        None if value is None else float(str(value)),
        None if threshold is None else float(str(threshold)),
        str(row["unit"]),
    )


def _position(cursor: str) -> tuple[datetime, int] | None:
    first, _, second = cursor.partition("-")
    if not (first.isdecimal() and second.isdecimal() and len(first) < 16 and len(second) < 16):
        return None
    try:
        return datetime.fromtimestamp(int(first) / 1000, UTC), int(second)
    except (ValueError, OverflowError, OSError):
        return None  # beyond the calendar
