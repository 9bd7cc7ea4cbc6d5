"""What an account held before the venue's history begins: today's position less everything the history tells.

Only a first look at an account needs it: from then on the books themselves say what was held. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal

from avigrid.kernel.money import ZERO
from trading.engine.ledger import FillFact, order_of

_CONTEXT = Context(prec=60, rounding=ROUND_HALF_EVEN)
_GRAIN = Decimal(1).scaleb(-12)


@dataclass(frozen=True, slots=True)
class Opening:
    """`size` is signed. `is_held_still`: some of it is part of today's position."""

    size: Decimal
    price: Decimal
    is_held_still: bool


def opening_of(
    fills: Sequence[FillFact], *, held_size: Decimal, held_price: Decimal | None, direction: int = 0
) -> Opening | None:
    """None where the history explains all, or where no opening could explain it.

    `direction` is that of a hedge-mode position, which is never the other way round. The price is the one that leads
    to the venue's own average today; where nothing of it is left, or the venue names none, the first fill's.
    """
    size = held_size - sum((fill.quantity * fill.side.sign for fill in fills), ZERO)
    if size == 0 or size * direction < 0:
        return None
    told = sorted(fills, key=order_of)
    share, rest = _path(size, told)
    price = told[0].price if told else held_price
    if share and held_size and held_price is not None:
        led_to = _CONTEXT.divide(held_price * abs(held_size) - rest, share).quantize(_GRAIN, context=_CONTEXT)
        price = led_to if led_to > 0 else price
    return Opening(size, price, is_held_still=bool(share)) if price else None


def _path(size: Decimal, fills: Sequence[FillFact]) -> tuple[Decimal, Decimal]:
    """Today's entry value as share * opening price + rest: reductions thin both, a flip or a flat moment ends it."""
    share, rest = abs(size), ZERO
    for fill in fills:
        signed = fill.quantity * fill.side.sign
        held = abs(size)
        closed = min(fill.quantity, held) if size * signed < 0 else ZERO
        if closed:
            share = _CONTEXT.divide(share * (held - closed), held)
            rest = _CONTEXT.divide(rest * (held - closed), held)
        rest += (fill.quantity - closed) * fill.price
        size += signed
    return share, rest
