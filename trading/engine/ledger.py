"""Fills to position and money, in Decimal. Size, average price, realised PnL and fees come from executions only."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Context, Decimal

from avigrid.kernel.orders import Side

# The grain of the database columns: folding in memory and folding stored rows must agree to the last digit.
_GRAIN = Decimal(1).scaleb(-18)
_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class FillFact:
    reference: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee_usd: Decimal
    time_ms: int
    seq: int = 0
    """The venue's order of what shares a millisecond."""


@dataclass(frozen=True, slots=True)
class PositionState:
    """`size` is signed. `entry_value_usd` = sum(price * quantity) of what is held, never negative."""

    size: Decimal = ZERO
    entry_value_usd: Decimal = ZERO
    realised_pnl_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO
    opened_ms: int | None = None
    last_fill_ms: int | None = None
    fill_count: int = 0

    @property
    def avg_price(self) -> Decimal | None:
        return _CONTEXT.divide(self.entry_value_usd, abs(self.size)) if self.size else None


@dataclass(frozen=True, slots=True)
class Booked:
    state: PositionState
    fill: FillFact
    realised_pnl_usd: Decimal
    """Gross of this fill's fee."""
    closed_qty: Decimal


def order_of(fill: FillFact) -> tuple[int, int, str]:
    """The one order in which fills are folded, whatever order they arrived in."""
    return (fill.time_ms, fill.seq, fill.reference)


def book(state: PositionState, fill: FillFact) -> Booked:
    signed = fill.quantity * fill.side.sign
    held = abs(state.size)
    is_opposite = state.size != 0 and (state.size > 0) != (signed > 0)
    closed = min(fill.quantity, held) if is_opposite else ZERO
    opened = fill.quantity - closed
    realised = ZERO
    entry_value = state.entry_value_usd
    if closed:
        released = entry_value if closed == held else _round(_CONTEXT.divide(entry_value * closed, held))
        gain = fill.price * closed - released
        realised = _round(gain if state.size > 0 else -gain)
        entry_value -= released
    entry_value += fill.price * opened
    size = state.size + signed
    opened_ms = state.opened_ms
    if size == 0:
        opened_ms = None
    elif state.size == 0 or (closed and opened):
        opened_ms = fill.time_ms
    new = replace(
        state,
        size=size,
        entry_value_usd=_round(entry_value),
        realised_pnl_usd=state.realised_pnl_usd + realised,
        fees_usd=state.fees_usd + fill.fee_usd,
        opened_ms=opened_ms,
        last_fill_ms=fill.time_ms,
        fill_count=state.fill_count + 1,
    )
    return Booked(new, fill, realised, closed)


def fold(fills: Iterable[FillFact], start: PositionState | None = None) -> list[Booked]:
    """Every fill once, in `order_of` order; a repeated reference is dropped."""
    state = start or PositionState()
    booked: list[Booked] = []
    seen: set[str] = set()
    for fill in sorted(fills, key=order_of):
        if fill.reference in seen:
            continue
        seen.add(fill.reference)
        booked.append(book(state, fill))
        state = booked[-1].state
    return booked


def slippage_bps(*, side: Side, fill_price: Decimal, requested_price: Decimal) -> Decimal:
    """Positive is worse than asked: paid more or received less."""
    return _round((fill_price - requested_price) / requested_price * 10_000 * side.sign)


def _round(value: Decimal) -> Decimal:
    return value.quantize(_GRAIN, context=_CONTEXT)
