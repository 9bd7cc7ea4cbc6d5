"""What the Desk shows: the top bar of every page, signal cards and open plans, as plain values for templates."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db.models import Sum
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.selectors.trading_accounts import primary_account
from avigrid.common import heartbeats
from avigrid.common.heartbeats import ProcessLife
from avigrid.common.reading import read_once
from avigrid.common.spoken import said
from avigrid.kernel.money import ZERO
from marketdata.selectors.prices import Quote, quotes
from risk.core.states import State
from risk.selectors.guards import effective_state
from risk.selectors.limits import limits_of
from trading.avi5.spec import PlanSpec
from trading.models import (
    Fill,
    LedgerEntry,
    LedgerKind,
    Order,
    OutboxEvent,
    Plan,
    PlanStatus,
    Position,
    ReconciliationRun,
    Signal,
    SignalStatus,
)
from trading.selectors.alive import is_alive, process_label
from trading.selectors.exchange_time import ExchangeTime, exchange_time
from trading.selectors.open_plans import held_positions, newest_wallet, open_findings, open_plans

SHOWN_CLOSED_PLANS = 5
ALERT_SHOWN_S = 20.0


@dataclass(frozen=True, slots=True)
class ProcessChip:
    name: str
    """As people call it."""
    age_s: float
    ok: bool


@dataclass(frozen=True, slots=True)
class ReconciliationBadge:
    status: str
    """good, findings, incomplete, running or never."""
    age_s: float | None
    open_findings: int
    critical: int


@dataclass(frozen=True, slots=True)
class TopBar:
    account_id: int | None
    account: str
    environment: str
    state: State
    processes: Sequence[ProcessChip]
    vital: Sequence[ProcessChip]
    reconciliation: ReconciliationBadge
    equity_usd: Decimal | None
    pnl_today_usd: Decimal
    pnl_today_r: Decimal
    open_risk_r: Decimal
    max_risk_r: Decimal

    @property
    def silent_processes(self) -> int:
        return sum(not chip.ok for chip in self.processes)


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
class PlanRow:
    plan: Plan
    spec: PlanSpec
    size: Decimal
    average_price: Decimal | None
    mark: Decimal | None
    unrealised_usd: Decimal
    net_usd: Decimal
    """Realised, unrealised and funding, less fees."""
    net_r: Decimal
    stop_distance_ratio: Decimal | None
    next_take_profit: Decimal | None
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


def top_bar() -> TopBar:
    account = primary_account()
    lives = heartbeats.lives()
    chips, vital = [_chip(life) for life in lives], _vital_chips(lives)
    if account is None:
        return TopBar(
            None, "", "simulated", State.ACTIVE, chips, vital, ReconciliationBadge("never", None, 0, 0), None,
            ZERO, ZERO, ZERO, ZERO,
        )  # fmt: skip
    limits = limits_of(account.pk)
    equity = newest_wallet(account.pk)
    rows = plan_rows(account.pk)
    open_pnl = sum((row.unrealised_usd for row in rows), ZERO)
    today = realised_today(account.pk) + open_pnl
    return TopBar(
        account_id=account.pk,
        account=account.label,
        environment=account.environment,
        state=effective_state(account.pk),
        processes=chips,
        vital=vital,
        reconciliation=_reconciliation(account.pk),
        equity_usd=equity.equity_usd if equity else None,
        pnl_today_usd=today,
        pnl_today_r=today / limits.r_usd,
        open_risk_r=sum((_open_risk(row) for row in rows), ZERO) / limits.r_usd,
        max_risk_r=limits.max_total_risk_r,
    )


def _vital_chips(lives: Sequence[ProcessLife]) -> list[ProcessChip]:
    """What must live for anything to be traded: market data, execution and the private stream it listens to."""
    chips = []
    for life in lives:
        kind = life.process.partition(":")[0]
        if kind in ("market_data", "execution"):
            chips.append(_chip(life))
        if kind == "execution" and "stream" in life.detail:
            is_up = life.detail["stream"] not in ("down", "connecting")
            chips.append(ProcessChip(_("private stream"), life.age_s, is_alive(life) and is_up))
    return chips


def _chip(life: ProcessLife) -> ProcessChip:
    return ProcessChip(process_label(life.process), life.age_s, is_alive(life))


@read_once
def realised_today(account_id: int) -> Decimal:
    """Trades, fees and funding since 00:00 UTC of the exchange's day, as booked."""
    newest = LedgerEntry.objects.filter(account=account_id).order_by("-at").values_list("at", flat=True).first()
    if newest is None:
        return ZERO
    midnight = newest.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = LedgerEntry.objects.filter(account=account_id, at__gte=midnight).exclude(kind=LedgerKind.TRANSFER)
    return rows.aggregate(total=Sum("change_usd"))["total"] or ZERO


def _open_risk(row: PlanRow) -> Decimal:
    """Loss at the current stop of everything that is filled or may still be."""
    if row.plan.status == PlanStatus.CLOSING:
        return ZERO
    stop = row.plan.stop_price if row.plan.stop_price is not None else row.spec.stop
    filled = ZERO
    if row.average_price is not None:
        filled = (row.average_price - stop) * row.plan.direction * abs(row.size)
    waiting = (row.spec.entry - stop) * row.plan.direction * max(row.entry_planned - row.entry_filled, ZERO)
    return max(filled + (waiting if not row.plan.entries_cancelled else ZERO), ZERO)


@read_once
def _reconciliation(account_id: int) -> ReconciliationBadge:
    run = ReconciliationRun.objects.filter(account=account_id, finished_at__isnull=False).first()
    severities = [finding.severity for finding in open_findings(account_id)]
    if run is None or run.finished_at is None:
        return ReconciliationBadge("never", None, len(severities), severities.count("critical"))
    age_s = (timezone.now() - run.finished_at).total_seconds()
    return ReconciliationBadge(run.status, age_s, len(severities), severities.count("critical"))


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
    unrealised = (mark - average) * size if mark is not None and average is not None else ZERO
    net = plan.realised_pnl_usd + unrealised + plan.funding_usd - plan.fees_usd
    entries = [order for order in orders if order.role == "entry"]
    exits = sorted(
        (o.price for o in orders if o.role == "take_profit" and o.is_reserved and o.price is not None),
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
        net_r=net / plan.r_usd if plan.r_usd else ZERO,
        stop_distance_ratio=abs(mark - plan.stop_price) / mark if mark and plan.stop_price is not None else None,
        next_take_profit=exits[0] if exits else None,
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


def fresh_alerts(count: int = 4) -> list[OutboxEvent]:
    """What people were told in the last minute, newest first."""
    since = timezone.now() - timedelta(seconds=ALERT_SHOWN_S)
    return list(OutboxEvent.objects.filter(created_at__gte=since).order_by("-id")[:count])
