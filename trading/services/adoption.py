"""Taking over what was found at the venue: a position of unknown origin becomes a plan with provenance `adopted`.

Callers hold the account's lock.
"""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from accounts.services.audit import audit
from avigrid.kernel.errors import Rejected
from avigrid.kernel.instrument import Instrument
from avigrid.kernel.money import ZERO, Rounding
from avigrid.kernel.orders import OrderRole, OrderStatus, OrderType, Side, TimeInForce
from avigrid.kernel.portfolio import VenuePosition
from marketdata.selectors.instruments import instrument
from risk.core.states import State, StateSource
from risk.selectors.limits import limits_of
from risk.services.states import tighten
from trading.avi5.config import Profile
from trading.avi5.spec import Grain, PlanSpec, RungSpec
from trading.models import (
    OPEN_PLAN_STATUSES,
    Fill,
    LedgerEntry,
    LedgerKind,
    Order,
    Plan,
    PlanOrigin,
    PlanStatus,
    Position,
)
from trading.selectors.fee_rates import fee_rates_of
from trading.services.folding import plan_totals_refresh, position_fold
from trading.services.intents import installation
from trading.services.times import from_ms

if TYPE_CHECKING:
    from accounts.models import User

_STOP_RATIO = Decimal("0.05")


def old_position_book(*, account_id: int, held: VenuePosition, now: datetime) -> Fill:
    """Older than the venue's history: one fill at its average price stands for all that is not told any more."""
    if held.side is None or held.avg_price is None:
        raise Rejected(f"The position in {held.symbol} has no average price.", code="no_average_price")
    return opening_book(
        account_id=account_id,
        symbol=held.symbol,
        position_idx=held.position_idx,
        side=held.side,
        quantity=held.size,
        price=held.avg_price,
        at_ms=held.created_ms,
        now=now,
    )


def opening_book(
    *,
    account_id: int,
    symbol: str,
    position_idx: int,
    side: Side,
    quantity: Decimal,
    price: Decimal,
    at_ms: int,
    now: datetime,
    plan: Plan | None = None,
) -> Fill:
    """One fill that no execution of the venue's tells of, with provenance `adopted`."""
    fill = Fill.objects.create(
        exec_id=f"adopted-{account_id}-{symbol}-{position_idx}-{at_ms}"[:64],
        account_id=account_id,
        plan=plan,
        symbol=symbol,
        position_idx=position_idx,
        side=side.value,
        kind="Adopted",
        price=price,
        quantity=quantity,
        fee_usd=ZERO,
        is_maker=False,
        executed_at=from_ms(at_ms),
        received_at=now,
        booked_at=now,
        source="adopted",
    )
    position_fold(fill)
    if plan is not None:
        plan_totals_refresh(plan)
    return fill


def position_accept(
    *,
    account_id: int,
    symbol: str,
    position_idx: int,
    held: VenuePosition | None,
    mark_price: Decimal | None,
    exchange_ms: int,
    now: datetime,
    actor: "User | str",
    reason: str = "",
) -> Fill | None:
    """The books take over the venue's size: what differs is booked at the mark. None where nothing differs any more.

    It counts for the plan that is open there, so that it stops believing in what is gone. Raises Rejected
    `no_price`.
    """
    position = Position.objects.filter(account_id=account_id, symbol=symbol, position_idx=position_idx).first()
    booked = position.size if position else ZERO
    missing = (held.signed_size if held else ZERO) - booked
    if not missing:
        return None
    average = abs(position.entry_value_usd / position.size) if position is not None and position.size else None
    price = (held.mark_price or held.avg_price if held else None) or mark_price or average
    if price is None:
        raise Rejected(f"Nobody knows a price of {symbol}.", code="no_price")
    plan = open_plan(account_id, symbol, position_idx)
    fill = opening_book(
        account_id=account_id,
        symbol=symbol,
        position_idx=position_idx,
        side=Side.from_direction(1 if missing > 0 else -1),
        quantity=abs(missing),
        price=price,
        at_ms=exchange_ms,
        now=now,
        plan=plan,
    )
    audit(
        actor=actor,
        action="position.accepted",
        obj=fill,
        before={"symbol": symbol, "position_idx": position_idx, "size": booked},
        after={"size": booked + missing, "price": price},
        reason=reason,
    )
    return fill


def position_adopt(
    *, account_id: int, held: VenuePosition, exchange_ms: int, now: datetime, actor: "User | str", reason: str = ""
) -> Plan:
    """A plan around the booked position: no more entries, a stop (the venue's own, else 5 % away), closable by anybody.

    The symbol is tightened to REDUCING: somebody should look. Raises Rejected `not_booked`, `plan_open`.
    """
    if open_plan(account_id, held.symbol, held.position_idx) is not None:
        raise Rejected(f"The position in {held.symbol} belongs to a plan.", code="plan_open")
    position = Position.objects.filter(
        account_id=account_id, symbol=held.symbol, position_idx=held.position_idx
    ).first()
    if position is None or position.size == 0:
        raise Rejected(f"The books hold nothing in {held.symbol}.", code="not_booked")
    grain = instrument(held.symbol)
    direction = 1 if position.size > 0 else -1
    quantity = abs(position.size)
    average = position.entry_value_usd / quantity
    stop = held.stop_loss or grain.price(
        average * (1 - direction * _STOP_RATIO), Rounding.DOWN if direction > 0 else Rounding.UP
    )
    spec = _spec(grain, direction=direction, quantity=quantity, average=average, stop=stop, account_id=account_id)
    plan = Plan.objects.create(
        account_id=account_id,
        origin=PlanOrigin.ADOPTED,
        symbol=held.symbol,
        direction=direction,
        position_idx=held.position_idx,
        profile=spec.profile.value,
        spec=spec.to_json(),
        state={"entries_stopped_reason": "cancelled"},
        status=PlanStatus.ACTIVE,
        stop_price=stop,
        entries_cancelled=True,
        r_usd=spec.r_usd,
        created_at=now,
        opened_at=from_ms(exchange_ms),
    )
    entry = Order.objects.create(
        order_link_id=f"{installation()}-{plan.pk}-e0-0-0",
        plan=plan,
        account_id=account_id,
        role=OrderRole.ENTRY.value,
        symbol=held.symbol,
        side=Side.from_direction(direction).value,
        order_type=OrderType.LIMIT.value,
        time_in_force=TimeInForce.GTC.value,
        quantity=quantity,
        price=spec.entry,
        position_idx=held.position_idx,
        status=OrderStatus.FILLED.value,
        filled_qty=quantity,
        avg_price=average,
        venue_filled_qty=quantity,
        is_reserved=False,
        created_at=now,
        submitted_at=now,
        closed_at=now,
        reason="stands for a position that was found",
    )
    _claim(position, plan, entry)
    plan_totals_refresh(plan)
    audit(
        actor=actor,
        action="position.adopted",
        obj=plan,
        after={"symbol": held.symbol, "size": position.size, "average": average, "stop": stop},
        reason=reason,
    )
    tighten(
        account_id=account_id,
        symbol=held.symbol,
        to=State.REDUCING,
        source=StateSource.RECONCILIATION,
        reason=f"A position of {quantity.normalize():f} {held.symbol} was adopted.",
        actor=actor,
        now=now,
    )
    return plan


def open_plan(account_id: int, symbol: str, position_idx: int) -> Plan | None:
    return Plan.objects.filter(
        account_id=account_id, symbol=symbol, position_idx=position_idx, status__in=OPEN_PLAN_STATUSES
    ).first()


def _claim(position: Position, plan: Plan, entry: Order) -> None:
    """The fills that built what is held now, with their fees: what was bought and sold before is nobody's."""
    unclaimed = Fill.objects.filter(
        account_id=plan.account_id,
        symbol=plan.symbol,
        position_idx=plan.position_idx,
        side=entry.side,
        plan__isnull=True,
        executed_at__gte=position.opened_at or plan.created_at,
    )
    references = [fill.reference for fill in unclaimed]
    LedgerEntry.objects.filter(
        account_id=plan.account_id, kind__in=(LedgerKind.FEE, LedgerKind.TRADE), reference__in=references
    ).update(plan=plan)
    unclaimed.update(plan=plan, order=entry)


def _spec(
    grain: Instrument, *, direction: int, quantity: Decimal, average: Decimal, stop: Decimal, account_id: int
) -> PlanSpec:
    entry = grain.price(average, Rounding.NEAREST)
    loss = max((average - stop) * direction, ZERO) * quantity
    fees = fee_rates_of(account_id, grain.symbol).rates
    return PlanSpec(
        symbol=grain.symbol,
        direction=direction,
        profile=Profile.SWING,
        entry=entry,
        stop=stop,
        distance=abs(entry - stop),
        rungs=(
            RungSpec(
                rung=0,
                price=entry,
                limit_price=entry,
                quantity=quantity,
                is_post_only=False,
                take_profit=None,
                loss_usd=loss,
            ),
        ),
        take_profits=(),
        r_usd=limits_of(account_id).r_usd,
        planned_loss_usd=loss,
        expected_fees_usd=entry * quantity * fees.taker,
        taker_fee=fees.taker,
        maker_fee=fees.maker,
        grain=Grain(
            tick_size=grain.tick_size,
            qty_step=grain.qty_step,
            min_order_qty=grain.min_order_qty,
            min_notional=grain.min_notional,
            max_limit_qty=grain.max_limit_qty,
            max_market_qty=grain.max_market_qty,
        ),
        refusal=None,
        config_hash="adopted",
    )
