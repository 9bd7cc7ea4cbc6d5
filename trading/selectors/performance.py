"""How trading went, from the daily roll-ups."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import Sum

from trading.models import PerformanceDay

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Performance:
    """`profit_factor` is None where nothing was lost; ratios are None without plans."""

    plans: int
    wins: int
    net_usd: Decimal
    sum_r: Decimal
    won_usd: Decimal
    lost_usd: Decimal

    @property
    def win_rate(self) -> Decimal | None:
        return Decimal(self.wins) / self.plans if self.plans else None

    @property
    def profit_factor(self) -> Decimal | None:
        return self.won_usd / self.lost_usd if self.lost_usd else None

    @property
    def expectancy_r(self) -> Decimal | None:
        return self.sum_r / self.plans if self.plans else None


def performance(account_id: int, *, since: date, until: date | None = None) -> Performance:
    """Days with since <= day <= until."""
    rows = PerformanceDay.objects.filter(account_id=account_id, day__gte=since)
    if until is not None:
        rows = rows.filter(day__lte=until)
    found = rows.aggregate(**{name: Sum(name) for name in ("plans", "wins", "sum_r", "won_usd", "lost_usd")})
    won, lost = found["won_usd"] or ZERO, found["lost_usd"] or ZERO
    return Performance(found["plans"] or 0, found["wins"] or 0, won - lost, found["sum_r"] or ZERO, won, lost)


def performance_days(account_id: int, *, since: date) -> list[PerformanceDay]:
    """Oldest first."""
    return list(PerformanceDay.objects.filter(account_id=account_id, day__gte=since).order_by("day"))
