"""How trading went, for the Performance page: equity, groups of closed plans, hours, R, and the lines of a file."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db import connection
from django.db.models import Avg, Count, F, Max, Sum
from django.db.models.functions import TruncHour

from avigrid.kernel.money import ZERO
from trading.models import EquitySnapshot, Fill, LedgerEntry, LedgerKind, Plan, PlanStatus, SlippageRecord

CURVE_POINTS = 800
HEAT_DAYS = 14
R_STEP = 0.5
R_REACH = 4.0

# The last reading of each of about CURVE_POINTS equal stretches.
_CURVE = """
    WITH span AS (
        SELECT min(at) AS first, greatest(extract(epoch FROM max(at) - min(at)) / %(points)s, 1) AS step_s
        FROM trading_equitysnapshot WHERE account_id = %(account)s AND at >= %(since)s
    )
    SELECT DISTINCT ON (bucket) extract(epoch FROM at)::float8, equity_usd::float8, adjusted_equity_usd::float8
    FROM (
        SELECT at, equity_usd, adjusted_equity_usd, floor(extract(epoch FROM at - span.first) / span.step_s) AS bucket
        FROM trading_equitysnapshot, span WHERE account_id = %(account)s AND at >= %(since)s
    ) AS reading
    ORDER BY bucket, at DESC
"""


@dataclass(frozen=True, slots=True)
class Curve:
    """`drawdown_ratio`: equity without transfers against the highest reading shown so far; never above 0."""

    time_s: Sequence[float]
    equity_usd: Sequence[float]
    drawdown_ratio: Sequence[float]


@dataclass(frozen=True, slots=True)
class ClosedPlan:
    plan: Plan
    net_usd: Decimal
    net_r: Decimal


@dataclass(frozen=True, slots=True)
class Totals:
    """Of closed plans in which something filled. A ratio without meaning (no trade, no loss) is None."""

    trades: int
    win_rate: float | None
    profit_factor: Decimal | None
    expectancy_r: Decimal | None
    gross_usd: Decimal
    fees_usd: Decimal
    funding_usd: Decimal
    net_usd: Decimal
    best_r: Decimal | None
    worst_r: Decimal | None
    average_hold_s: float | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    name: str
    trades: int
    wins: int
    net_usd: Decimal
    net_r: Decimal
    fees_usd: Decimal


@dataclass(frozen=True, slots=True)
class LegRow:
    """Fills of one role and rung; slippage is the plain mean of its records, positive costs us."""

    role: str
    rung: int
    fills: int
    realised_usd: Decimal
    fees_usd: Decimal
    slippage_bps: Decimal | None


@dataclass(frozen=True, slots=True)
class HeatCell:
    """`level`: -4 to 4, of the largest hour shown; 0 for nothing."""

    hour: int
    net_usd: Decimal | None
    level: int


@dataclass(frozen=True, slots=True)
class HeatDay:
    day: date
    net_usd: Decimal
    cells: Sequence[HeatCell]


@dataclass(frozen=True, slots=True)
class RBin:
    """Plans that ended with at least `low_r` and less than `high_r`."""

    low_r: float
    count: int

    @property
    def high_r(self) -> float:
        return self.low_r + R_STEP


@dataclass(frozen=True, slots=True)
class SlippageRow:
    is_entry: bool
    is_maker: bool
    count: int
    mean_bps: Decimal
    worst_bps: Decimal


def curve(account_id: int, since: datetime) -> Curve:
    with connection.cursor() as cursor:
        cursor.execute(_CURVE, {"points": CURVE_POINTS, "account": account_id, "since": since})
        rows = cursor.fetchall()
    peak, falls = -math.inf, []
    for _, _, adjusted in rows:
        peak = max(peak, adjusted)
        falls.append(min(adjusted / peak - 1, 0.0) if peak > 0 else 0.0)
    return Curve([row[0] for row in rows], [row[1] for row in rows], falls)


def closed_plans_since(account_id: int, since: datetime) -> list[ClosedPlan]:
    """Traded ones, oldest first."""
    rows = (
        Plan.objects.filter(account_id=account_id, closed_at__gte=since, status=PlanStatus.CLOSED)
        .annotate(fill_count=Count("fills"))
        .filter(fill_count__gt=0)
        .order_by("closed_at", "id")
    )
    return [_closed(plan) for plan in rows]


def _closed(plan: Plan) -> ClosedPlan:
    net = plan.realised_pnl_usd + plan.funding_usd - plan.fees_usd
    return ClosedPlan(plan, net, net / plan.r_usd if plan.r_usd else ZERO)


def totals(plans: Sequence[ClosedPlan]) -> Totals:
    won = sum((row.net_usd for row in plans if row.net_usd > 0), ZERO)
    lost = -sum((row.net_usd for row in plans if row.net_usd < 0), ZERO)
    rs = [row.net_r for row in plans]
    held = [
        (row.plan.closed_at - row.plan.opened_at).total_seconds()
        for row in plans
        if row.plan.closed_at and row.plan.opened_at
    ]
    return Totals(
        trades=len(plans),
        win_rate=sum(row.net_usd > 0 for row in plans) / len(plans) if plans else None,
        profit_factor=won / lost if lost > 0 else None,
        expectancy_r=sum(rs, ZERO) / len(rs) if rs else None,
        gross_usd=sum((row.plan.realised_pnl_usd for row in plans), ZERO),
        fees_usd=sum((row.plan.fees_usd for row in plans), ZERO),
        funding_usd=sum((row.plan.funding_usd for row in plans), ZERO),
        net_usd=sum((row.net_usd for row in plans), ZERO),
        best_r=max(rs, default=None),
        worst_r=min(rs, default=None),
        average_hold_s=sum(held) / len(held) if held else None,
    )


def by_symbol(plans: Iterable[ClosedPlan]) -> list[GroupRow]:
    return sorted(_grouped((row.plan.symbol, row) for row in plans), key=lambda group: group.net_usd, reverse=True)


def by_direction(plans: Iterable[ClosedPlan]) -> list[GroupRow]:
    return _grouped(("long" if row.plan.direction > 0 else "short", row) for row in plans)


def _grouped(pairs: Iterable[tuple[str, ClosedPlan]]) -> list[GroupRow]:
    groups: dict[str, list[ClosedPlan]] = defaultdict(list)
    for name, row in pairs:
        groups[name].append(row)
    return [
        GroupRow(
            name,
            len(rows),
            sum(row.net_usd > 0 for row in rows),
            sum((row.net_usd for row in rows), ZERO),
            sum((row.net_r for row in rows), ZERO),
            sum((row.plan.fees_usd for row in rows), ZERO),
        )
        for name, rows in sorted(groups.items())
    ]


def by_leg(account_id: int, since: datetime) -> list[LegRow]:
    rows = (
        Fill.objects.filter(account_id=account_id, executed_at__gte=since)
        .order_by()
        .values("order__role", "order__rung")
        .annotate(
            fills=Count("id"), realised=Sum("realised_pnl_usd"), fees=Sum("fee_usd"), slip=Avg("slippage__slippage_bps")
        )
    )
    legs = [
        LegRow(
            row["order__role"] or "stop",
            row["order__rung"] or 0,
            row["fills"],
            row["realised"] or ZERO,
            row["fees"] or ZERO,
            row["slip"],
        )
        for row in rows
    ]
    return sorted(legs, key=lambda leg: (leg.role, leg.rung))


def heat(account_id: int, now: datetime) -> list[HeatDay]:
    """Booked changes (trades, fees, funding) by UTC day and hour, the newest day first."""
    since = (now - timedelta(days=HEAT_DAYS - 1)).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = (
        LedgerEntry.objects.filter(account_id=account_id, at__gte=since)
        .exclude(kind=LedgerKind.TRANSFER)
        .order_by()
        .annotate(hour=TruncHour("at", tzinfo=UTC))
        .values_list("hour")
        .annotate(total=Sum("change_usd"))
    )
    found: dict[date, dict[int, Decimal]] = defaultdict(dict)
    for hour, total in rows:
        found[hour.date()][hour.hour] = total
    most = max((abs(value) for hours in found.values() for value in hours.values()), default=ZERO)
    return [
        HeatDay(
            day,
            sum(hours.values(), ZERO),
            [HeatCell(hour, hours.get(hour), _level(hours.get(hour), most)) for hour in range(24)],
        )
        for day, hours in sorted(found.items(), reverse=True)
    ]


def _level(value: Decimal | None, most: Decimal) -> int:
    if not value or not most:
        return 0
    step = min(4, math.ceil(abs(value) / most * 4))
    return step if value > 0 else -step


def r_histogram(plans: Sequence[ClosedPlan]) -> list[RBin]:
    """Steps of half an R; the ends gather what lies beyond. Empty without plans."""
    if not plans:
        return []
    count = round(2 * R_REACH / R_STEP)
    bins = [0] * count
    for row in plans:
        place = math.floor((float(row.net_r) + R_REACH) / R_STEP)
        bins[max(0, min(count - 1, place))] += 1
    return [RBin(-R_REACH + index * R_STEP, number) for index, number in enumerate(bins)]


def slippage(account_id: int, since: datetime) -> list[SlippageRow]:
    rows = (
        SlippageRecord.objects.filter(fill__account_id=account_id, at__gte=since)
        .order_by()
        .values("is_entry", "is_maker")
        .annotate(count=Count("id"), mean=Avg("slippage_bps"), worst=Max("slippage_bps"))
        .order_by("-is_entry", "is_maker")
    )
    return [SlippageRow(r["is_entry"], r["is_maker"], r["count"], r["mean"], r["worst"]) for r in rows]


PLAN_COLUMNS = (
    "plan", "symbol", "direction", "profile", "status", "ended_by", "placed_at", "opened_at", "closed_at", "r_usd",
    "gross_usd", "fees_usd", "funding_usd", "net_usd", "net_r",
)  # fmt: skip


def plan_lines(account_id: int) -> Iterator[tuple[str, ...]]:
    """Every plan as a line of text cells, oldest first, for a file."""
    plans = Plan.objects.filter(account_id=account_id).annotate(
        net=F("realised_pnl_usd") + F("funding_usd") - F("fees_usd")
    )
    for plan in plans.order_by("pk").iterator(chunk_size=1000):
        moments = [at.isoformat() if at else "" for at in (plan.created_at, plan.opened_at, plan.closed_at)]
        amounts = (plan.r_usd, plan.realised_pnl_usd, plan.fees_usd, plan.funding_usd, plan.net)
        yield (
            str(plan.pk),
            plan.symbol,
            "long" if plan.direction > 0 else "short",
            plan.profile,
            plan.status,
            plan.close_reason,
            *moments,
            *(f"{value.normalize():f}" for value in amounts),
            f"{plan.net / plan.r_usd:.4f}" if plan.r_usd else "",
        )


def newest_booking(account_id: int) -> datetime | None:
    """In exchange time: ranges count back from it, whatever the wall says."""
    reading = EquitySnapshot.objects.filter(account_id=account_id).aggregate(at=Max("at"))["at"]
    entry = LedgerEntry.objects.filter(account_id=account_id).aggregate(at=Max("at"))["at"]
    return max((at for at in (reading, entry) if at is not None), default=None)
