"""Positions, realised money and plan totals, folded from stored fills. Callers hold the account's lock."""

from collections.abc import Sequence
from decimal import Decimal

from django.db.models import Sum

from avigrid.kernel.orders import Side
from trading.engine.ledger import Booked, FillFact, PositionState, fold
from trading.models import Fill, LedgerEntry, LedgerKind, Plan, Position
from trading.services.times import from_ms, to_ms

ZERO = Decimal(0)


def position_fold(fill: Fill) -> Decimal:
    """One new fill into its position; returns what it closed."""
    return positions_fold([fill])[fill.pk]


def positions_fold(fills: Sequence[Fill]) -> dict[int, Decimal]:
    """Stored new fills of ONE position, folded in the order they happened; late ones re-fold what followed.

    Sets their realised PnL, writes the ledger's trades, and returns what each closed, by fill id.
    """
    one = fills[0]
    position, _ = Position.objects.get_or_create(
        account_id=one.account_id, symbol=one.symbol, position_idx=one.position_idx
    )
    siblings = Fill.objects.filter(account_id=one.account_id, symbol=one.symbol, position_idx=one.position_idx).exclude(
        pk__in=[fill.pk for fill in fills]
    )
    first = min((fill.executed_at, fill.seq, fill.reference) for fill in fills)
    # compared here, because the database may sort text by other rules
    if any((row.executed_at, row.seq, row.reference) > first for row in siblings.filter(executed_at__gte=first[0])):
        return _refold(position, list(siblings.select_related("plan")), fills)
    booked = fold([_fact(fill) for fill in fills], state_of(position))
    _position_store(position, booked[-1].state)
    return _realised_store({fill.reference: fill for fill in fills}, booked, new=fills)


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


def _refold(position: Position, siblings: Sequence[Fill], fills: Sequence[Fill]) -> dict[int, Decimal]:
    rows = {row.reference: row for row in (*siblings, *fills)}
    before = {row.reference: row.realised_pnl_usd for row in siblings}
    booked = fold([_fact(row) for row in rows.values()])
    _position_store(position, booked[-1].state)
    closed = _realised_store(rows, booked, new=fills)
    touched = {
        row.plan.pk: row.plan
        for row in siblings
        if row.plan is not None and row.realised_pnl_usd != before[row.reference]
    }
    for plan in touched.values():
        plan_totals_refresh(plan)
    return closed


def _fact(fill: Fill) -> FillFact:
    return FillFact(
        reference=fill.reference,
        side=Side(fill.side),
        price=fill.price,
        quantity=fill.quantity,
        fee_usd=fill.fee_usd,
        time_ms=to_ms(fill.executed_at),
        seq=fill.seq,
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


def _realised_store(rows: dict[str, Fill], booked: Sequence[Booked], *, new: Sequence[Fill]) -> dict[int, Decimal]:
    """Realised PnL of every fill that is new or came out differently, and its trade entry in the ledger."""
    fresh = {fill.reference for fill in new}
    changed, closed = [], {}
    for entry in booked:
        row = rows[entry.fill.reference]
        if entry.fill.reference in fresh:
            closed[row.pk] = entry.closed_qty
        if row.realised_pnl_usd != entry.realised_pnl_usd or (entry.fill.reference in fresh and entry.closed_qty):
            row.realised_pnl_usd = entry.realised_pnl_usd
            changed.append((row, entry.closed_qty))
    if not changed:
        return closed
    Fill.objects.bulk_update([row for row, _ in changed], ["realised_pnl_usd"])
    LedgerEntry.objects.filter(
        account_id=new[0].account_id, kind=LedgerKind.TRADE, reference__in=[row.reference for row, _ in changed]
    ).delete()
    LedgerEntry.objects.bulk_create(
        ledger_entry(row, LedgerKind.TRADE, row.realised_pnl_usd) for row, quantity in changed if quantity
    )
    return closed


def ledger_entry(fill: Fill, kind: LedgerKind, change_usd: Decimal) -> LedgerEntry:
    return LedgerEntry(
        account_id=fill.account_id,
        plan_id=fill.plan_id,
        kind=kind,
        symbol=fill.symbol,
        change_usd=change_usd,
        reference=fill.reference,
        at=fill.executed_at,
    )
