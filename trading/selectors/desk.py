"""What the Desk shows: signal cards and open plans, as plain values for templates."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.selectors.trading_accounts import primary_account
from avigrid.common.reading import read_once
from avigrid.common.spoken import said
from avigrid.kernel.money import ZERO
from marketdata.selectors.prices import Quote, quotes
from trading.avi5.spec import PlanSpec
from trading.models import (
    Fill,
    Order,
    Plan,
    PlanStatus,
    Position,
    Signal,
    SignalStatus,
)
from trading.selectors.exchange_time import ExchangeTime, exchange_time
from trading.selectors.open_plans import held_positions, open_plans

SHOWN_CLOSED_PLANS = 5


@dataclass(frozen=True, slots=True)
class RuleRow:
    name: str
    passed: bool
    value: float | None
    threshold: float | None
    unit: str

    @property
    def shown_unit(self) -> str:
        """Prices, ratios and directions speak for themselves."""
        return self.unit if self.unit in ("s", "bps", "min", "USD", "R") else ""


@dataclass(frozen=True, slots=True)
class SignalCard:
    id: int
    symbol: str
    direction: int
    profile: str
    status: str
    reason: str
    spec: PlanSpec
    score: float | None
    p_win: float | None
    slippage_bps: float | None
    cost_r: float | None
    rules: Sequence[RuleRow]
    shown_at: datetime
    expires_at: datetime
    frees_at: datetime | None
    """These three on this machine's clock, for countdowns."""
    quote: Quote | None

    @property
    def is_placeable(self) -> bool:
        """A queued one is once its wait is over."""
        is_free = self.frees_at is not None and self.frees_at <= timezone.now()
        return self.status == SignalStatus.NEW or (self.status == SignalStatus.QUEUED and is_free)

    @property
    def average_entry(self) -> Decimal:
        quantity = self.spec.quantity
        return self.spec.notional_usd / quantity if quantity else self.spec.entry


@dataclass(frozen=True, slots=True)
class Target:
    price: Decimal
    distance_ratio: Decimal | None
    """From the mark price; None while that is not known."""


@dataclass(frozen=True, slots=True)
class PlanRow:
    plan: Plan
    spec: PlanSpec
    size: Decimal
    average_price: Decimal | None
    mark: Decimal | None
    unrealised_usd: Decimal | None
    """None: something is held and its price is not known; so are both results."""
    net_usd: Decimal | None
    """Realised, unrealised and funding, less fees."""
    net_r: Decimal | None
    stop_distance_ratio: Decimal | None
    take_profits: Sequence[Target]
    """That still rest, the nearest first."""
    entry_filled: Decimal
    entry_planned: Decimal
    working_orders: int
    unknown_orders: int
    is_protected: bool
    is_sent: bool
    is_acknowledged: bool
    """Of the entries: any of them."""

    @property
    def break_even(self) -> str:
        """asked: the stop follows as soon as the price allows; done; or nothing."""
        if self.plan.break_even_at is not None:
            return "done"
        return "asked" if self.plan.is_open and self.plan.state.get("be_requested") else ""

    @property
    def is_on_its_way(self) -> bool:
        """Something between the click and the protected position is still to come."""
        return self.plan.status == PlanStatus.PLACING or not self.is_protected

    @property
    def progress(self) -> str:
        """Where the plan is on its way, one word for the screen."""
        if self.plan.status == PlanStatus.PLACING:
            return _("partly filled") if self.entry_filled else _("sending")
        return said(self.plan.get_status_display()).lower()


def signal_cards() -> list[SignalCard]:
    """On offer or queued, newest first, then the last that fell away (so that nobody wonders)."""
    account = primary_account()
    clock = exchange_time(account.pk) if account else None
    rows = list(
        Signal.objects.select_related("decision")
        .filter(status__in=(SignalStatus.NEW, SignalStatus.QUEUED))
        .order_by("-created_at")[:20]
    )
    rows += list(
        Signal.objects.select_related("decision")
        .exclude(status__in=(SignalStatus.NEW, SignalStatus.QUEUED, SignalStatus.PLACED))
        .order_by("-created_at")[:3]
    )
    prices = quotes({row.symbol for row in rows})
    return [card_of(row, prices.get(row.symbol), clock) for row in rows]


def card_of(signal: Signal, quote: Quote | None, clock: ExchangeTime | None) -> SignalCard:
    indicators = signal.decision.indicators
    rules = signal.decision.rules["long" if signal.direction > 0 else "short"]
    return SignalCard(
        id=signal.pk,
        symbol=signal.symbol,
        direction=signal.direction,
        profile=signal.profile,
        status=signal.status,
        reason=signal.reason,
        spec=PlanSpec.from_json(signal.spec),
        score=signal.score,
        p_win=signal.p_win,
        slippage_bps=indicators.get("slippage_bps"),
        cost_r=indicators.get("cost_r"),
        rules=[RuleRow(r["rule"], r["passed"], r["value"], r["threshold"], r["unit"]) for r in rules],
        shown_at=on_wall(signal.created_at, clock),
        expires_at=on_wall(signal.valid_until, clock),
        frees_at=on_wall(signal.queued_until, clock) if signal.queued_until else None,
        quote=quote,
    )


def on_wall(moment: datetime, clock: ExchangeTime | None) -> datetime:
    """An exchange time as this machine's clock will show it; unmeasured clocks must not promise more than a minute."""
    if clock is None or clock.rate_ratio <= 0:
        return min(moment, timezone.now() + timedelta(seconds=60))
    exchange_now = datetime.fromtimestamp(clock.now_ms / 1000, UTC)
    return timezone.now() + (moment - exchange_now) / clock.rate_ratio


@read_once
def plan_rows(account_id: int) -> list[PlanRow]:
    """Open plans, oldest first, with what they hold and what they are worth now."""
    return rows_of(account_id, open_plans(account_id))


def closed_plans(account_id: int, count: int = SHOWN_CLOSED_PLANS) -> list[PlanRow]:
    plans = Plan.objects.filter(account=account_id, closed_at__isnull=False).order_by("-closed_at")[:count]
    return rows_of(account_id, list(plans))


def rows_of(account_id: int, plans: list[Plan]) -> list[PlanRow]:
    if not plans:
        return []
    positions = {(p.symbol, p.position_idx): p for p in held_positions(account_id)}
    orders: dict[int, list[Order]] = defaultdict(list)
    for order in Order.objects.filter(plan__in=plans):
        orders[order.plan_id].append(order)
    prices = quotes({plan.symbol for plan in plans})
    return [_row(plan, positions, orders[plan.pk], prices.get(plan.symbol)) for plan in plans]


def _row(
    plan: Plan, positions: dict[tuple[str, int], Position], orders: Sequence[Order], quote: Quote | None
) -> PlanRow:
    spec = PlanSpec.from_json(plan.spec)
    position = positions.get((plan.symbol, plan.position_idx)) if plan.is_open else None
    size = position.size if position else ZERO
    average = abs(position.entry_value_usd / size) if position and size else None
    mark = Decimal(repr(quote.mark)) if quote and quote.mark == quote.mark else None
    unrealised = ZERO if average is None else None if mark is None else (mark - average) * size
    net = None if unrealised is None else plan.realised_pnl_usd + unrealised + plan.funding_usd - plan.fees_usd
    entries = [order for order in orders if order.role == "entry"]
    exits = sorted(
        {o.price for o in orders if o.role == "take_profit" and o.is_reserved and o.price is not None},
        reverse=plan.direction < 0,
    )
    return PlanRow(
        plan=plan,
        spec=spec,
        size=size,
        average_price=average,
        mark=mark,
        unrealised_usd=unrealised,
        net_usd=net,
        net_r=None if net is None else net / plan.r_usd if plan.r_usd else ZERO,
        stop_distance_ratio=abs(mark - plan.stop_price) / mark if mark and plan.stop_price is not None else None,
        take_profits=[Target(price, abs(price - mark) / mark if mark else None) for price in exits],
        entry_filled=sum((order.filled_qty for order in entries), ZERO),
        entry_planned=spec.quantity,
        working_orders=sum(1 for order in orders if order.is_reserved),
        unknown_orders=sum(1 for order in orders if order.status == "unknown"),
        is_protected=size == 0 or plan.stop_confirmed is not None,
        is_sent=any(order.submitted_at is not None for order in entries),
        is_acknowledged=any(order.acknowledged_at is not None for order in entries),
    )


def recent_fills(account_id: int, count: int = 12) -> list[Fill]:
    return list(Fill.objects.filter(account=account_id).select_related("order").order_by("-executed_at", "-id")[:count])
