"""Executions into the books, each exactly once: fill, position, order, ledger, slippage and plan in one transaction.

Callers hold the account's lock. Nothing here asks the venue, and nothing here believes an order's status word.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Q, Sum

from avigrid.common import push
from avigrid.kernel.orders import Execution, OrderRole, Side
from risk.services.meters import entry_note
from trading.engine import belief as beliefs
from trading.engine.ledger import FillFact, PositionState, book, fold, slippage_bps
from trading.models import (
    OPEN_PLAN_STATUSES,
    Fill,
    LedgerEntry,
    LedgerKind,
    Order,
    Plan,
    Position,
    SlippageRecord,
)
from trading.services.order_events import belief_of, order_steps_store
from trading.services.times import from_ms, to_ms

FUNDING = "Funding"
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Booking:
    """What one execution did. `fill` is None for funding."""

    account_id: int
    symbol: str
    position_idx: int
    plan_id: int | None
    fill: Fill | None


def execution_book(
    *,
    account_id: int,
    execution: Execution,
    hedge_mode: bool,
    received_at: datetime,
    now: datetime,
    source: str = "stream",
) -> Booking | None:
    """None where this execution is in the books already."""
    if execution.kind == FUNDING:
        return _funding_book(account_id, execution)
    if Fill.objects.filter(exec_id=execution.exec_id).exists():
        return None
    order = _order_of(account_id, execution)
    position_idx = order.position_idx if order else position_idx_of(execution, hedge_mode=hedge_mode)
    executed_at = from_ms(execution.time_ms)
    plan = order.plan if order else _plan_at(account_id, execution.symbol, position_idx, executed_at)
    fill = Fill.objects.create(
        exec_id=execution.exec_id,
        account_id=account_id,
        order=order,
        plan=plan,
        symbol=execution.symbol,
        position_idx=position_idx,
        side=execution.side.value,
        kind=execution.kind,
        price=execution.price,
        quantity=execution.quantity,
        fee_usd=execution.fee_usd,
        is_maker=execution.is_maker,
        venue_order_id=execution.order_id,
        executed_at=executed_at,
        received_at=received_at,
        booked_at=now,
        source=source,
    )
    closed_qty = position_fold(fill)
    if order is not None:
        _order_fill(order, fill, now)
    if plan is not None and order is not None and order.role == OrderRole.ENTRY:
        _entry_note(plan, fill)
    if fill.fee_usd:
        _ledger_write(fill, LedgerKind.FEE, -fill.fee_usd)
    _slippage_write(fill, order, plan, is_entry=closed_qty < fill.quantity)
    if plan is not None:
        plan_totals_refresh(plan)
    push.event(
        "fill",
        {"fill_id": fill.pk, "plan_id": fill.plan_id, "symbol": fill.symbol, "position_idx": fill.position_idx},
    )
    return Booking(account_id, fill.symbol, position_idx, fill.plan_id, fill)


def _entry_note(plan: Plan, fill: Fill) -> None:
    """The plan's first entry starts the anti-churn wait; a grid's re-armed rungs do not prolong it."""
    if not Fill.objects.filter(plan=plan, order__role=OrderRole.ENTRY).exclude(pk=fill.pk).exists():
        entry_note(account_id=plan.account_id, symbol=plan.symbol, direction=plan.direction, at=fill.executed_at)


def position_idx_of(execution: Execution, *, hedge_mode: bool) -> int:
    """Execution frames do not name the position: a closing sell is the long's, an opening one the short's."""
    if not hedge_mode:
        return 0
    is_closing = execution.closed_size > 0
    is_long = (execution.side is Side.BUY) != is_closing
    return 1 if is_long else 2


def position_fold(fill: Fill) -> Decimal:
    """Fold one new fill into its position; one that comes late re-folds what followed. Returns what it closed."""
    position, _ = Position.objects.get_or_create(
        account_id=fill.account_id, symbol=fill.symbol, position_idx=fill.position_idx
    )
    siblings = Fill.objects.filter(
        account_id=fill.account_id, symbol=fill.symbol, position_idx=fill.position_idx
    ).exclude(pk=fill.pk)
    is_late = siblings.filter(
        Q(executed_at__gt=fill.executed_at) | Q(executed_at=fill.executed_at, exec_id__gt=fill.exec_id)
    ).exists()
    if is_late:
        return _refold(position, fill)
    booked = book(state_of(position), _fact(fill))
    _position_store(position, booked.state)
    _realised_store(fill, booked.realised_pnl_usd, booked.closed_qty)
    return booked.closed_qty


def state_of(position: Position) -> PositionState:
    return PositionState(
        size=position.size,
        entry_value_usd=position.entry_value_usd,
        realised_pnl_usd=position.realised_pnl_usd,
        fees_usd=position.fees_usd,
        opened_ms=to_ms(position.opened_at) if position.opened_at else None,
        last_fill_ms=to_ms(position.last_fill_at) if position.last_fill_at else None,
        fill_count=position.fill_count,
    )


def plan_totals_refresh(plan: Plan) -> None:
    """From the fills, whole: cheap (a plan has few) and never off by a lost addition."""
    sums = plan.fills.aggregate(realised=Sum("realised_pnl_usd"), fees=Sum("fee_usd"))
    plan.realised_pnl_usd = sums["realised"] or ZERO
    plan.fees_usd = sums["fees"] or ZERO
    plan.funding_usd = plan.ledger.filter(kind=LedgerKind.FUNDING).aggregate(total=Sum("change_usd"))["total"] or ZERO
    plan.save(update_fields=["realised_pnl_usd", "fees_usd", "funding_usd"])


def _refold(position: Position, newcomer: Fill) -> Decimal:
    rows = {
        row.exec_id: row
        for row in Fill.objects.filter(
            account_id=newcomer.account_id, symbol=newcomer.symbol, position_idx=newcomer.position_idx
        ).select_related("plan")
    }
    rows[newcomer.exec_id] = newcomer
    booked = fold(_fact(row) for row in rows.values())
    closed_qty = ZERO
    touched: dict[int, Plan] = {}
    for entry in booked:
        row = rows[entry.fill.exec_id]
        is_newcomer = row is newcomer
        if is_newcomer:
            closed_qty = entry.closed_qty
        if is_newcomer or row.realised_pnl_usd != entry.realised_pnl_usd:
            _realised_store(row, entry.realised_pnl_usd, entry.closed_qty)
            if row.plan is not None and not is_newcomer:
                touched[row.plan.pk] = row.plan
    _position_store(position, booked[-1].state)
    for plan in touched.values():
        plan_totals_refresh(plan)
    return closed_qty


def _fact(fill: Fill) -> FillFact:
    return FillFact(
        exec_id=fill.exec_id,
        side=Side(fill.side),
        price=fill.price,
        quantity=fill.quantity,
        fee_usd=fill.fee_usd,
        time_ms=to_ms(fill.executed_at),
    )


def _position_store(position: Position, state: PositionState) -> None:
    position.size = state.size
    position.entry_value_usd = state.entry_value_usd
    position.realised_pnl_usd = state.realised_pnl_usd
    position.fees_usd = state.fees_usd
    position.opened_at = from_ms(state.opened_ms) if state.opened_ms is not None else None
    position.last_fill_at = from_ms(state.last_fill_ms) if state.last_fill_ms is not None else None
    position.fill_count = state.fill_count
    position.save()


def _realised_store(fill: Fill, realised: Decimal, closed_qty: Decimal) -> None:
    fill.realised_pnl_usd = realised
    fill.save(update_fields=["realised_pnl_usd"])
    trade = LedgerEntry.objects.filter(account_id=fill.account_id, kind=LedgerKind.TRADE, reference=fill.exec_id)
    if closed_qty:
        if not trade.update(change_usd=realised):
            _ledger_write(fill, LedgerKind.TRADE, realised)
    else:
        trade.delete()


def _ledger_write(fill: Fill, kind: LedgerKind, change_usd: Decimal) -> None:
    LedgerEntry.objects.create(
        account_id=fill.account_id,
        plan_id=fill.plan_id,
        kind=kind,
        symbol=fill.symbol,
        change_usd=change_usd,
        reference=fill.exec_id,
        at=fill.executed_at,
    )


def _order_fill(order: Order, fill: Fill, now: datetime) -> None:
    steps = beliefs.book_fill(belief_of(order), fill.quantity)
    if not order.venue_order_id:
        order.venue_order_id = fill.venue_order_id
    filled_before = order.filled_qty
    value = (order.avg_price or ZERO) * filled_before + fill.price * fill.quantity
    order.avg_price = value / (filled_before + fill.quantity)
    order_steps_store(order=order, steps=steps, now=now, evidence=f"execution {fill.exec_id}")


def _slippage_write(fill: Fill, order: Order | None, plan: Plan | None, *, is_entry: bool) -> None:
    requested = None
    if order is not None:
        requested = order.reference_price or order.price
    elif plan is not None:
        requested = plan.stop_price  # no order of ours: the venue's stop
    if not requested:
        return
    SlippageRecord.objects.create(
        fill=fill,
        plan=plan,
        symbol=fill.symbol,
        is_entry=is_entry,
        is_maker=fill.is_maker,
        requested_price=requested,
        fill_price=fill.price,
        slippage_bps=slippage_bps(side=Side(fill.side), fill_price=fill.price, requested_price=requested),
        at=fill.executed_at,
    )


def _order_of(account_id: int, execution: Execution) -> Order | None:
    orders = Order.objects.filter(account_id=account_id).select_related("plan")
    if execution.order_link_id:
        found = orders.filter(order_link_id=execution.order_link_id).first()
        if found is not None:
            return found
    return orders.filter(venue_order_id=execution.order_id).first() if execution.order_id else None


def _plan_at(account_id: int, symbol: str, position_idx: int, executed_at: datetime) -> Plan | None:
    """Whose position an execution without an order of ours belongs to: the plan open then, else now."""
    plans = Plan.objects.filter(account_id=account_id, symbol=symbol, position_idx=position_idx)
    then = plans.filter(opened_at__lte=executed_at).filter(Q(closed_at__isnull=True) | Q(closed_at__gte=executed_at))
    return then.order_by("-id").first() or plans.filter(status__in=OPEN_PLAN_STATUSES).first()


def _funding_book(account_id: int, execution: Execution) -> Booking | None:
    """`fee_usd` of a funding execution is what we paid; negative was received."""
    at = from_ms(execution.time_ms)
    plans = list(
        Plan.objects.filter(account_id=account_id, symbol=execution.symbol, opened_at__lte=at)
        .filter(Q(closed_at__isnull=True) | Q(closed_at__gte=at))
        .order_by("-id")
    )
    same_side = [plan for plan in plans if plan.direction == execution.side.sign]
    candidates = (same_side or plans) if len(plans) > 1 else plans
    plan = candidates[0] if candidates else None
    _, is_new = LedgerEntry.objects.get_or_create(
        account_id=account_id,
        kind=LedgerKind.FUNDING,
        reference=execution.exec_id,
        defaults={"plan": plan, "symbol": execution.symbol, "change_usd": -execution.fee_usd, "at": at},
    )
    if not is_new:
        return None
    if plan is not None:
        plan_totals_refresh(plan)
    return Booking(account_id, execution.symbol, plan.position_idx if plan else 0, plan.pk if plan else None, None)
