"""The account as the risk checks want to see it: a frozen snapshot, and a request per plan or order."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Now

from accounts.selectors.trading_accounts import trading_account
from avigrid.common import heartbeats
from avigrid.common.reading import read_once
from avigrid.kernel.errors import Bug, Rejected
from avigrid.kernel.money import ZERO, decimal_from_float
from avigrid.kernel.orders import OrderRole
from marketdata.selectors import bars, instruments, prices
from risk.core.exposure import open_risk_usd
from risk.core.request import OrderLine, RequestKind, RiskRequest
from risk.core.snapshot import BlockedSymbol, DayResult, Freshness, OpenPlan, Reconciliation, Snapshot
from risk.core.states import Environment, Stage
from risk.selectors.limits import limits_of
from trading.avi5.spec import PlanSpec
from trading.models import (
    LIVE_STATUSES,
    LedgerEntry,
    Order,
    Plan,
    Position,
    ReconciliationFinding,
    ReconciliationRun,
    Severity,
)
from trading.selectors.exchange_time import EXECUTION_STALE_S, process_name
from trading.selectors.open_plans import held_positions, newest_wallet, open_findings, open_plans

_BAR_MIN = 5
_FULL_SCOPES = ("start", "reconnect", "positions", "full", "manual")


@dataclass(frozen=True, slots=True)
class MarkPrice:
    """`age_s` is this machine's time since it was heard."""

    mark: Decimal
    bid: Decimal
    ask: Decimal
    age_s: float


def marks_of(symbols: set[str]) -> dict[str, MarkPrice]:
    """From the cache the market-data process fills; a missing one is missing."""
    return {
        symbol: MarkPrice(
            decimal_from_float(quote.mark), decimal_from_float(quote.bid), decimal_from_float(quote.ask), quote.age_s
        )
        for symbol, quote in prices.quotes(symbols).items()
        if quote.mark > 0
    }


def snapshot_of(
    account_id: int,
    *,
    symbol: str,
    stage: Stage,
    now_ms: int,
    marks: dict[str, MarkPrice],
    clock_offset_ms: int = 0,
    for_show: bool = False,
) -> Snapshot:
    """Read under the account's lock. Ages that count wall time (book, reconciliation) are set back from `now_ms`.

    `for_show`: nobody decides on it; how old data and reconciliation are is not looked up.
    """
    account = trading_account(account_id)
    if account is None:
        raise Rejected(f"There is no trading account {account_id}.", code="unknown_account")
    positions = held_positions(account_id)
    plans = open_plans(account_id)
    findings = open_findings(account_id)
    wallet = newest_wallet(account_id)
    unrealised = [_unrealised(row, marks.get(row.symbol)) for row in positions]
    open_loss = -sum((value for value in unrealised if value < 0), ZERO)
    missing = _missing(account_id, wallet is not None, symbol in marks)
    orders = _order_counts(account_id)
    return Snapshot(
        account_id=account_id,
        environment=Environment(account.environment),
        stage=stage,
        equity_usd=(wallet.wallet_balance_usd if wallet else ZERO) + sum(unrealised, ZERO),
        available_usd=wallet.available_usd if wallet else ZERO,
        initial_margin_usd=wallet.initial_margin_usd if wallet else ZERO,
        maintenance_margin_usd=wallet.maintenance_margin_usd if wallet else ZERO,
        open_plans=_open_plans(account_id, plans, positions, marks),
        day=DayResult(realised_usd=realised_since_midnight(account_id, now_ms), open_loss_usd=open_loss),
        freshness=() if for_show else (_freshness(symbol, now_ms, marks.get(symbol)),),
        reconciliation=Reconciliation() if for_show else _reconciliation(account_id, now_ms, findings),
        orders_last_minute=orders["minute"],
        orders_today=orders["day"],
        clock_offset_ms=clock_offset_ms,
        blocked_symbols=_blocked(symbol, plans, findings),
        unavailable=missing,
    )


def open_request(
    plan_id: str, spec: PlanSpec, *, mark_price: Decimal, leverage: Decimal, maintenance_margin_ratio: Decimal
) -> RiskRequest:
    """A plan as the risk checks judge it: every rung filled at its worst price."""
    instrument = instruments.instrument(spec.symbol)
    return RiskRequest(
        kind=RequestKind.OPEN,
        symbol=spec.symbol,
        base_coin=instrument.base_coin,
        direction=spec.direction,
        mark_price=mark_price,
        lines=tuple(OrderLine(rung.quantity, rung.price) for rung in spec.rungs),
        qty_step=spec.grain.qty_step,
        tick_size=spec.grain.tick_size,
        risk_usd=spec.planned_loss_usd,
        stop_price=spec.stop,
        leverage=leverage,
        maintenance_margin_ratio=maintenance_margin_ratio,
        reference=plan_id,
    )


def open_plans_of(account_id: int, marks: dict[str, MarkPrice]) -> tuple[OpenPlan, ...]:
    """Intents, unknown and unfilled entries counted as if filled; risk measured to the current stop."""
    return _open_plans(account_id, open_plans(account_id), held_positions(account_id), marks)


def _open_plans(
    account_id: int, plans: list[Plan], positions: list[Position], marks: dict[str, MarkPrice]
) -> tuple[OpenPlan, ...]:
    if not plans:
        return ()
    pending: dict[int, list[Order]] = {}
    entries = Order.objects.filter(plan__in=plans, role=OrderRole.ENTRY.value, status__in=LIVE_STATUSES)
    for order in entries:
        pending.setdefault(order.plan_id, []).append(order)
    held = {(row.symbol, row.position_idx): row for row in positions}
    coins = {row.symbol: row.base_coin for row in instruments.instruments(*{plan.symbol for plan in plans})}
    most = limits_of(account_id).max_leverage
    return tuple(
        _open_plan(
            plan,
            pending.get(plan.pk, []),
            held.get((plan.symbol, plan.position_idx)),
            marks,
            base_coin=coins.get(plan.symbol) or instruments.instrument(plan.symbol).base_coin,
            max_leverage=most,
        )
        for plan in plans
    )


def _open_plan(
    plan: Plan,
    entries: list[Order],
    position: Position | None,
    marks: dict[str, MarkPrice],
    *,
    base_coin: str,
    max_leverage: Decimal,
) -> OpenPlan:
    spec = _spec_of(plan)
    filled = abs(position.size) if position else ZERO
    average = position.entry_value_usd / filled if position and filled else None
    planned = spec.entry if spec else next((order.price for order in entries if order.price), ZERO)
    mark = marks[plan.symbol].mark if plan.symbol in marks else (average or planned)
    stop = plan.stop_price if plan.stop_price is not None else (spec.stop if spec else mark)
    # At the planned price, as the plan's own loss is stated; the limit a little beyond it is the slippage allowed for.
    lines = [OrderLine(order.quantity - order.filled_qty, order.reference_price or order.price) for order in entries]
    risk = open_risk_usd(
        direction=plan.direction,
        stop_price=stop,
        filled_qty=filled,
        avg_price=average,
        pending=lines,
        mark_price=mark,
        exit_fee_ratio=spec.taker_fee if spec else ZERO,
    )
    if spec is None:
        risk = max(risk, plan.r_usd)  # what it may still do nobody can say: at the least what it was meant to risk
    quantity = filled + sum((line.quantity for line in lines), ZERO)
    notional = filled * mark + sum((line.quantity * (line.price or mark) for line in lines), ZERO)
    if spec is not None and may_buy_again(plan, spec):
        # a sold rung is re-armed without a new verdict: until then it counts as if it were
        risk = max(risk, spec.planned_loss_usd)
        quantity, notional = max(quantity, spec.quantity), max(notional, spec.notional_usd)
    return OpenPlan(
        plan_id=plan.pk,
        symbol=plan.symbol,
        base_coin=base_coin,
        direction=plan.direction,
        risk_usd=risk,
        notional_usd=notional,
        quantity=quantity,
        margin_usd=notional / max_leverage,
    )


def _spec_of(plan: Plan) -> PlanSpec | None:
    """None where it cannot be read: one bad row must not keep everybody from deciding."""
    try:
        return PlanSpec.from_json(plan.spec)
    except Bug:
        return None


def may_buy_again(plan: Plan, spec: PlanSpec) -> bool:
    is_running = plan.status in ("placing", "active") and not plan.entries_cancelled
    return is_running and spec.is_grid and plan.break_even_at is None


def realised_since_midnight(account_id: int, now_ms: int) -> Decimal:
    """Net of fees and funding, transfers left out, since 00:00 UTC of exchange time."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return _realised_since(account_id, now.replace(hour=0, minute=0, second=0, microsecond=0))


@read_once
def _realised_since(account_id: int, midnight: datetime) -> Decimal:
    rows = LedgerEntry.objects.filter(account_id=account_id, at__gte=midnight).exclude(kind="transfer")
    return rows.aggregate(total=Sum("change_usd"))["total"] or ZERO


def _unrealised(position: Position, mark: MarkPrice | None) -> Decimal:
    if mark is None:
        return ZERO
    value = abs(position.size) * mark.mark
    return value - position.entry_value_usd if position.size > 0 else position.entry_value_usd - value


def _freshness(symbol: str, now_ms: int, mark: MarkPrice | None) -> Freshness:
    newest_ms = bars.newest_start_ms(symbol, _BAR_MIN)
    return Freshness(
        symbol=symbol,
        book_ms=None if mark is None else now_ms - int(mark.age_s * 1000),
        bar_end_ms=None if newest_ms is None else newest_ms + _BAR_MIN * 60_000,
        bar_interval_min=_BAR_MIN,
    )


def _reconciliation(account_id: int, now_ms: int, findings: list[ReconciliationFinding]) -> Reconciliation:
    run = (
        ReconciliationRun.objects.filter(account_id=account_id, finished_at__isnull=False, scope__in=_FULL_SCOPES)
        .exclude(status="incomplete")
        .annotate(age=Now() - F("finished_at"))
        .order_by("-id")
        .first()
    )
    if run is None:
        return Reconciliation()
    unexplained = any(row.severity == Severity.CRITICAL and row.kind == "position_mismatch" for row in findings)
    return Reconciliation(finished_ms=now_ms - int(run.age.total_seconds() * 1000), good=not unexplained)


def _blocked(symbol: str, plans: list[Plan], findings: list[ReconciliationFinding]) -> tuple[BlockedSymbol, ...]:
    blocked = []
    if any(plan.symbol == symbol and plan.status == "closing" for plan in plans):
        blocked.append(BlockedSymbol(symbol, "a plan is being closed"))
    if any(row.symbol == symbol and row.kind in ("position_foreign", "position_mismatch") for row in findings):
        blocked.append(BlockedSymbol(symbol, "a position there is not explained"))
    return tuple(blocked)


def _missing(account_id: int, has_wallet: bool, has_price: bool) -> tuple[str, ...]:
    missing = []
    age_s = heartbeats.age_s(process_name(account_id))
    if age_s is None or age_s > EXECUTION_STALE_S:
        missing.append("the execution process")
    if not has_wallet:
        missing.append("the wallet")
    if not has_price:
        missing.append("the price feed")
    return tuple(missing)


def _order_counts(account_id: int) -> dict[str, int]:
    """By this machine's clock: the venue counts real time too."""
    day = Order.objects.filter(account_id=account_id, created_at__gte=Now() - timedelta(days=1))
    return day.aggregate(
        minute=Count("id", filter=Q(created_at__gte=Now() - timedelta(minutes=1))),
        day=Count("id"),
    )
