"""Executions into the books, each exactly once: fill, position, order, ledger, slippage and plan in one transaction.

Callers hold the account's lock. Nothing here asks the venue, and nothing here believes an order's status word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Q

from avigrid.common import push
from avigrid.kernel.orders import Execution, OrderRole, Side, execution_reference
from risk.services.meters import entry_note
from trading.engine import belief as beliefs
from trading.engine.belief import Step
from trading.engine.ledger import slippage_bps
from trading.models import (
    Fill,
    LedgerEntry,
    LedgerKind,
    Plan,
    SlippageRecord,
)
from trading.services.folding import ledger_entry, plan_totals_refresh, positions_fold
from trading.services.order_batch import OrderBatch
from trading.services.order_events import belief_of
from trading.services.times import from_ms

FUNDING = "Funding"
_RECENT_PLANS = 50
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Booking:
    """What one execution did. `fill` is None for funding."""

    account_id: int
    symbol: str
    position_idx: int
    plan_id: int | None
    fill: Fill | None


@dataclass(frozen=True, slots=True)
class Arrival:
    execution: Execution
    received_at: datetime


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
    booked = executions_book(
        account_id=account_id,
        arrivals=[Arrival(execution, received_at)],
        hedge_mode=hedge_mode,
        now=now,
        source=source,
    )
    return booked[0] if booked else None


def executions_book(
    *,
    account_id: int,
    arrivals: Sequence[Arrival],
    hedge_mode: bool,
    now: datetime,
    source: str = "stream",
    orders: OrderBatch | None = None,
) -> list[Booking]:
    """Those that were not in the books yet. A hundred cost little more queries than one.

    With `orders` their rows wait for that batch's `store`.
    """
    unseen = _unseen(account_id, arrivals)
    bookings = [
        booking
        for arrival in unseen
        if arrival.execution.kind == FUNDING
        for booking in [_funding_book(account_id, arrival.execution)]
        if booking is not None
    ]
    trades = [arrival for arrival in unseen if arrival.execution.kind != FUNDING]
    if not trades:
        return bookings
    batch = orders or OrderBatch(account_id, [arrival.execution for arrival in trades])
    fills = _fills_create(account_id, trades, batch, hedge_mode=hedge_mode, now=now, source=source)
    closed: dict[int, Decimal] = {}
    for key in sorted({(fill.symbol, fill.position_idx) for fill in fills}):
        closed |= positions_fold([fill for fill in fills if (fill.symbol, fill.position_idx) == key])
    _orders_fill(fills, batch, now)
    if orders is None:
        batch.store()
    _entries_note(fills)
    LedgerEntry.objects.bulk_create(ledger_entry(fill, LedgerKind.FEE, -fill.fee_usd) for fill in fills if fill.fee_usd)
    records = [
        _slippage(fill, arrival.execution, is_entry=closed[fill.pk] < fill.quantity)
        for fill, arrival in zip(fills, trades, strict=True)
    ]
    SlippageRecord.objects.bulk_create(record for record in records if record)
    for plan in {fill.plan_id: fill.plan for fill in fills}.values():
        if plan is not None:
            plan_totals_refresh(plan)
    for fill in {(fill.plan_id, fill.symbol, fill.position_idx): fill for fill in fills}.values():
        push.event(
            "fill",
            {"fill_id": fill.pk, "plan_id": fill.plan_id, "symbol": fill.symbol, "position_idx": fill.position_idx},
        )
    bookings += [Booking(account_id, fill.symbol, fill.position_idx, fill.plan_id, fill) for fill in fills]
    return bookings


def _unseen(account_id: int, arrivals: Sequence[Arrival]) -> list[Arrival]:
    first = {arrival.execution.reference: arrival for arrival in reversed(arrivals)}
    known = booked_references(account_id, [arrival.execution for arrival in first.values()])
    return [arrival for reference, arrival in reversed(first.items()) if reference not in known]


def booked_references(account_id: int, rows: Sequence[Execution]) -> set[str]:
    """Those of these executions that are in the books as fills."""
    fills = Fill.objects.filter(account_id=account_id, exec_id__in={row.exec_id for row in rows})
    return {execution_reference(*key) for key in fills.values_list("exec_id", "venue_order_id")}


def _fills_create(
    account_id: int, trades: Sequence[Arrival], orders: OrderBatch, *, hedge_mode: bool, now: datetime, source: str
) -> list[Fill]:
    plans = _Plans(account_id)
    fills = []
    for arrival in trades:
        row = arrival.execution
        order = orders.of(row)
        position_idx = order.position_idx if order else position_idx_of(row, hedge_mode=hedge_mode)
        executed_at = from_ms(row.time_ms)
        plan = order.plan if order else plans.at(row.symbol, position_idx, executed_at)
        fills.append(
            Fill(
                exec_id=row.exec_id,
                account_id=account_id,
                order=order,
                plan=plan,
                symbol=row.symbol,
                position_idx=position_idx,
                side=row.side.value,
                kind=row.kind,
                price=row.price,
                quantity=row.quantity,
                fee_usd=row.fee_usd,
                is_maker=row.is_maker,
                venue_order_id=row.order_id,
                executed_at=executed_at,
                seq=row.seq,
                received_at=arrival.received_at,
                booked_at=now,
                source=source,
            )
        )
    return Fill.objects.bulk_create(fills)


def _entries_note(fills: Sequence[Fill]) -> None:
    """The plan's first entry starts the anti-churn wait; a grid's re-armed rungs do not prolong it."""
    entries: dict[int, list[Fill]] = {}
    for fill in fills:
        if fill.order is not None and fill.order.role == OrderRole.ENTRY:
            entries.setdefault(fill.order.plan_id, []).append(fill)
    for plan_id, mine in entries.items():
        earlier = Fill.objects.filter(plan_id=plan_id, order__role=OrderRole.ENTRY).exclude(
            pk__in=[fill.pk for fill in mine]
        )
        if not earlier.exists():
            plan = mine[0].plan
            assert plan is not None
            at = min(fill.executed_at for fill in mine)
            entry_note(account_id=plan.account_id, symbol=plan.symbol, direction=plan.direction, at=at)


def position_idx_of(execution: Execution, *, hedge_mode: bool) -> int:
    """Execution frames do not name the position: a closing sell is the long's, an opening one the short's."""
    if not hedge_mode:
        return 0
    is_closing = execution.closed_size > 0
    is_long = (execution.side is Side.BUY) != is_closing
    return 1 if is_long else 2


def _orders_fill(fills: Sequence[Fill], orders: OrderBatch, now: datetime) -> None:
    """Each order once, with all of its fills of this batch."""
    for order in {fill.order.pk: fill.order for fill in fills if fill.order is not None}.values():
        mine = [fill for fill in fills if fill.order_id == order.pk]
        steps: list[Step] = []
        belief = belief_of(order)
        value = (order.avg_price or ZERO) * order.filled_qty
        for fill in mine:
            steps += beliefs.book_fill(belief, fill.quantity)
            belief = steps[-1].belief
            value += fill.price * fill.quantity
        order.venue_order_id = order.venue_order_id or mine[0].venue_order_id
        order.avg_price = value / belief.filled_qty
        orders.writes.take(order, steps, now=now, evidence=f"execution {mine[-1].exec_id}")


def _slippage(fill: Fill, execution: Execution, *, is_entry: bool) -> SlippageRecord | None:
    requested = None
    if fill.order is not None:
        requested = fill.order.reference_price or fill.order.price
    elif fill.plan is not None:
        # The stop that stood at the venue, also where the plan is over by now; a hand or a liquidation: the mark.
        stop = fill.plan.stop_confirmed or fill.plan.stop_price
        requested = stop if execution.is_stop else execution.mark_price
    if not requested:
        return None
    return SlippageRecord(
        fill=fill,
        plan=fill.plan,
        symbol=fill.symbol,
        is_entry=is_entry,
        is_maker=fill.is_maker,
        requested_price=requested,
        fill_price=fill.price,
        slippage_bps=slippage_bps(side=Side(fill.side), fill_price=fill.price, requested_price=requested),
        at=fill.executed_at,
    )


class _Plans:
    """Whose position an execution without an order of ours belongs to: the plan open then, else now."""

    def __init__(self, account_id: int) -> None:
        self._account_id = account_id
        self._known: dict[tuple[str, int], list[Plan]] = {}

    def at(self, symbol: str, position_idx: int, executed_at: datetime) -> Plan | None:
        plans = self._of(symbol, position_idx)
        for plan in plans:
            if (
                plan.opened_at
                and plan.opened_at <= executed_at
                and (not plan.closed_at or plan.closed_at >= executed_at)
            ):
                return plan
        return next((plan for plan in plans if plan.is_open), None)

    def _of(self, symbol: str, position_idx: int) -> list[Plan]:
        """Newest first; a few are enough, for an execution is days late at most."""
        key = (symbol, position_idx)
        if key not in self._known:
            plans = Plan.objects.filter(account_id=self._account_id, symbol=symbol, position_idx=position_idx)
            self._known[key] = list(plans.select_related("signal__decision").order_by("-id")[:_RECENT_PLANS])
        return self._known[key]


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
        reference=execution.reference,
        defaults={"plan": plan, "symbol": execution.symbol, "change_usd": -execution.fee_usd, "at": at},
    )
    if not is_new:
        return None
    if plan is not None:
        plan_totals_refresh(plan)
    return Booking(account_id, execution.symbol, plan.position_idx if plan else 0, plan.pk if plan else None, None)
