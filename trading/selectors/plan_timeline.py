"""The whole story of a plan: every intent, order event, fill and stop move in order, with what each step took."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.db.models import Min

from accounts.selectors.audit_trail import story_of
from avigrid.common.spoken import worded
from avigrid.kernel.money import ZERO
from trading.models import OPEN_PLAN_STATUSES, Fill, Order, OrderEvent, Plan, PlanStatus, SlippageRecord
from trading.selectors.desk import PlanRow, rows_of

PAGE = 40


@dataclass(frozen=True, slots=True)
class PlanPage:
    rows: Sequence[PlanRow]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened. `took_s`: since what it answers; `kind` groups them by colour and word."""

    at: datetime
    kind: str
    text: str
    detail: str = ""
    took_s: float | None = None
    took_what: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class OrderStory:
    """An order with the milestones of its life, in seconds from the one before."""

    order: Order
    sent_s: float | None
    """Intent committed to sent."""
    acknowledged_s: float | None
    """Sent to acknowledged."""
    filled_s: float | None
    """Sent to the last fill booked."""
    slippage_bps: Decimal | None


@dataclass(slots=True)
class RungStory:
    """One rung of a grid, or one entry and its exits in a swing."""

    rung: int
    cycles: int = 0
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    realised_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO
    slippages: list[Decimal] = field(default_factory=list)

    @property
    def slippage_bps(self) -> Decimal | None:
        return sum(self.slippages, ZERO) / len(self.slippages) if self.slippages else None


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """Where the plan stands; some of it moves with the price."""

    row: PlanRow
    protected_s: float | None
    """First fill booked to stop confirmed by the venue; None once the stop was moved."""
    click_to_fill_s: float | None
    placed_by: str


@dataclass(frozen=True, slots=True)
class PlanStory:
    """What happened to it; only an event of its own adds to that."""

    orders: Sequence[OrderStory]
    rungs: Sequence[RungStory]
    fills: Sequence[Fill]
    moments: Sequence[Moment]


def plan_page(account_id: int, *, which: str = "", symbol: str = "", before: str = "", count: int = PAGE) -> PlanPage:
    """`which`: open, closed, failed or all; newest first, below the plan id `before`."""
    plans = Plan.objects.filter(account_id=account_id).order_by("-id")
    if which == "open":
        plans = plans.filter(status__in=OPEN_PLAN_STATUSES)
    elif which == "closed":
        plans = plans.filter(status=PlanStatus.CLOSED)
    elif which == "failed":
        plans = plans.filter(status__in=(PlanStatus.FAILED, PlanStatus.FAILED_UNDERFILL))
    if symbol:
        plans = plans.filter(symbol=symbol)
    if before.isdecimal() and len(before) < 19:
        plans = plans.filter(pk__lt=int(before))
    found = list(plans[: count + 1])
    more = len(found) > count
    return PlanPage(rows_of(account_id, found[:count]), str(found[count - 1].pk) if more else "")


def plan_facts(plan: Plan) -> PlanFacts:
    row = rows_of(plan.account_id, [plan])[0]
    first = Fill.objects.filter(plan=plan).aggregate(first=Min("booked_at"))["first"]
    return PlanFacts(
        row=row,
        protected_s=_between(first, plan.stop_confirmed_at) if plan.stop_confirmed == row.spec.stop else None,
        click_to_fill_s=_between(plan.created_at, first),
        placed_by=str(plan.placed_by) if plan.placed_by else worded(plan.origin),
    )


def plan_story(plan: Plan) -> PlanStory:
    orders = list(Order.objects.filter(plan=plan).order_by("id"))
    fills = list(Fill.objects.filter(plan=plan).select_related("order", "slippage").order_by("executed_at", "id"))
    events = list(OrderEvent.objects.filter(order__plan=plan).select_related("order").order_by("id"))
    by_order: dict[int, list[Fill]] = defaultdict(list)
    for fill in fills:
        if fill.order_id is not None:
            by_order[fill.order_id].append(fill)
    return PlanStory(
        orders=[_order_story(order, by_order[order.pk]) for order in orders],
        rungs=_rungs(orders, fills),
        fills=fills,
        moments=_moments(plan, orders, events, fills),
    )


def _order_story(order: Order, fills: Sequence[Fill]) -> OrderStory:
    slips = [slip for fill in fills if (slip := _slip(fill)) is not None]
    last = max((fill.booked_at for fill in fills), default=None)
    return OrderStory(
        order=order,
        sent_s=_between(order.created_at, order.submitted_at),
        acknowledged_s=_between(order.submitted_at, order.acknowledged_at),
        filled_s=_between(order.submitted_at, last),
        slippage_bps=sum(slips, ZERO) / len(slips) if slips else None,
    )


def _rungs(orders: Sequence[Order], fills: Sequence[Fill]) -> list[RungStory]:
    """By rung of the order; fills without an order of ours (the venue's stop) count for none."""
    stories: dict[int, RungStory] = {}
    cycles: dict[int, set[int]] = defaultdict(set)
    for order in orders:
        stories.setdefault(order.rung, RungStory(order.rung))
        if order.role == "take_profit" and order.filled_qty:
            cycles[order.rung].add(order.cycle)
    for fill in fills:
        if fill.order is None:
            continue
        story = stories.setdefault(fill.order.rung, RungStory(fill.order.rung))
        if fill.order.role == "entry":
            story.bought += fill.quantity
        else:
            story.sold += fill.quantity
        story.realised_usd += fill.realised_pnl_usd
        story.fees_usd += fill.fee_usd
        slip = _slip(fill)
        if slip is not None:
            story.slippages.append(slip)
    for rung, done in cycles.items():
        stories[rung].cycles = len(done)
    return [stories[rung] for rung in sorted(stories)]


def _moments(plan: Plan, orders: Sequence[Order], events: Sequence[OrderEvent], fills: Sequence[Fill]) -> list[Moment]:
    moments = [Moment(plan.created_at, "plan", "placed", f"{plan.profile}, R {plan.r_usd.normalize():f} USDT")]
    for order in orders:
        price = f" @ {order.price.normalize():f}" if order.price is not None else " market"
        text = f"{order.role} {order.rung + 1}.{order.cycle + 1}: {order.side} {order.quantity.normalize():f}{price}"
        moments.append(Moment(order.created_at, "intent", text, order.order_link_id))
        if order.cancel_requested_at:
            moments.append(Moment(order.cancel_requested_at, "intent", f"cancel wanted: {_name(order)}"))
    for event in events:
        took, what = _event_took(event)
        moments.append(
            Moment(
                event.at,
                "order",
                f"{_name(event.order)}: {event.from_status} → {event.to_status}",
                f"{event.event}{': ' + event.evidence if event.evidence else ''}",
                took,
                what,
                is_bad=event.is_impossible or event.to_status in ("unknown", "rejected"),
            )
        )
    for fill in fills:
        slip = _slip(fill)
        detail = f"{'maker' if fill.is_maker else 'taker'}, fee {fill.fee_usd:.4f}"
        if slip is not None:
            detail += f", slippage {slip:+.1f} bps"
        text = f"{fill.side} {fill.quantity.normalize():f} @ {fill.price.normalize():f}"
        took = _between(fill.received_at, fill.booked_at)
        name = _name(fill.order) if fill.order else "stop at the venue"
        moments.append(Moment(fill.booked_at, "fill", f"{name}: {text}", detail, took, "received to booked"))
    moments += _stop_moments(plan)
    return sorted(moments, key=lambda moment: moment.at)


def _stop_moments(plan: Plan) -> list[Moment]:
    """Stop moves and operator wishes are in the audit trail, where nobody can rewrite them."""
    moments = []
    for entry in story_of("trading.plan", plan.pk):
        who = str(entry.actor) if entry.actor else entry.actor_name
        if entry.action == "plan.stop_moved":
            before = (entry.before or {}).get("stop_price")
            after = (entry.after or {}).get("stop_price")
            text = f"stop {_short(before)} → {_short(after)}" if before else f"stop wanted at {_short(after)}"
            moments.append(Moment(entry.at, "stop", text, entry.reason))
        else:
            name = entry.action.removeprefix("plan.").replace("_", " ")
            moments.append(Moment(entry.at, "plan", name, ", ".join(part for part in (who, entry.reason) if part)))
    if plan.stop_confirmed_at is not None:
        price = f" at {plan.stop_confirmed.normalize():f}" if plan.stop_confirmed is not None else ""
        moments.append(Moment(plan.stop_confirmed_at, "stop", f"stop last confirmed by the venue{price}"))
    return moments


def _event_took(event: OrderEvent) -> tuple[float | None, str]:
    order = event.order
    if event.event == "send":
        return _between(order.created_at, event.at), "intent to sent"
    if order.submitted_at and event.from_status in ("submitting", "unknown"):
        return _between(order.submitted_at, event.at), "since sent"
    return None, ""


def _name(order: Order) -> str:
    return f"{order.role} {order.rung + 1}.{order.cycle + 1}"


def _slip(fill: Fill) -> Decimal | None:
    record: SlippageRecord | None = getattr(fill, "slippage", None)
    return record.slippage_bps if record is not None else None


def _short(price: object) -> str:
    return "–" if price is None else f"{Decimal(str(price)).normalize():f}"


def _between(first: datetime | None, second: datetime | None) -> float | None:
    """Seconds; None where either did not happen, or the second came first."""
    if first is None or second is None or second < first:
        return None
    return (second - first).total_seconds()


def plan_symbols(account_id: int) -> list[str]:
    names = Plan.objects.filter(account_id=account_id).order_by().values_list("symbol", flat=True).distinct()
    return sorted(names)
