"""How far fills were from the price that was asked for. Positive bps cost us money."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Aggregate, Avg, Count, DecimalField, F, Max, QuerySet

from avigrid.kernel.orders import Side
from trading.models import SlippageRecord

_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class SlippageStatistic:
    """One group of fills: their number and the distribution of their slippage."""

    symbol: str
    side: Side
    is_entry: bool
    is_maker: bool
    count: int
    mean_bps: Decimal
    median_bps: Decimal
    p95_bps: Decimal
    worst_bps: Decimal


@dataclass(frozen=True, slots=True)
class SlippageTotal:
    count: int
    mean_bps: Decimal
    median_bps: Decimal
    p95_bps: Decimal


class _Percentile(Aggregate):
    """percentile_cont: between two values it interpolates."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(%(share)s) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = DecimalField(max_digits=38, decimal_places=18)

    def __init__(self, field: str, *, share: float) -> None:
        super().__init__(F(field), share=repr(share))


def slippage_statistics(
    *, since: datetime, until: datetime | None = None, account_id: int | None = None, symbol: str | None = None
) -> list[SlippageStatistic]:
    """Fills with since <= time < until, by symbol, side of the fill, entry or exit, maker or taker; in that order."""
    rows = (
        _records(since, until, account_id, symbol)
        .order_by()
        .values("symbol", "fill__side", "is_entry", "is_maker")
        .annotate(
            count=Count("pk"),
            mean=Avg("slippage_bps"),
            median=_Percentile("slippage_bps", share=0.5),
            p95=_Percentile("slippage_bps", share=0.95),
            worst=Max("slippage_bps"),
        )
        .order_by("symbol", "fill__side", "-is_entry", "-is_maker")
    )
    return [
        SlippageStatistic(
            symbol=row["symbol"],
            side=Side(row["fill__side"]),
            is_entry=row["is_entry"],
            is_maker=row["is_maker"],
            count=row["count"],
            mean_bps=_shown(row["mean"]),
            median_bps=_shown(row["median"]),
            p95_bps=_shown(row["p95"]),
            worst_bps=_shown(row["worst"]),
        )
        for row in rows
    ]


def slippage_total(
    *,
    since: datetime,
    until: datetime | None = None,
    account_id: int | None = None,
    symbol: str | None = None,
    takers_only: bool = False,
) -> SlippageTotal | None:
    """All of them together; None without a fill."""
    rows = _records(since, until, account_id, symbol)
    if takers_only:
        rows = rows.filter(is_maker=False)
    found = rows.aggregate(
        count=Count("pk"),
        mean=Avg("slippage_bps"),
        median=_Percentile("slippage_bps", share=0.5),
        p95=_Percentile("slippage_bps", share=0.95),
    )
    if not found["count"]:
        return None
    return SlippageTotal(found["count"], _shown(found["mean"]), _shown(found["median"]), _shown(found["p95"]))


def entry_slippage_of(plan_ids: list[int]) -> dict[int, Decimal]:
    """Per plan the mean slippage of its entry fills, weighted by quantity: the observed side of the validation gap."""
    sums: dict[int, tuple[Decimal, Decimal]] = {}
    rows = SlippageRecord.objects.filter(plan_id__in=plan_ids, is_entry=True).values_list(
        "plan_id", "slippage_bps", "fill__quantity"
    )
    for plan_id, bps, quantity in rows:
        assert plan_id is not None
        weighted, total = sums.get(plan_id, (Decimal(0), Decimal(0)))
        sums[plan_id] = weighted + bps * quantity, total + quantity
    return {plan_id: _shown(weighted / total) for plan_id, (weighted, total) in sums.items()}


def _records(
    since: datetime, until: datetime | None, account_id: int | None, symbol: str | None
) -> QuerySet[SlippageRecord]:
    rows = SlippageRecord.objects.filter(at__gte=since)
    if until is not None:
        rows = rows.filter(at__lt=until)
    if account_id is not None:
        rows = rows.filter(fill__account_id=account_id)
    return rows if symbol is None else rows.filter(symbol=symbol)


def _shown(value: Decimal | float) -> Decimal:
    return Decimal(value).quantize(_PLACES)
