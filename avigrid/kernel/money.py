"""Decimal arithmetic for prices, quantities and money. Every rounding names its direction; floats never enter."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import Enum

ZERO = Decimal(0)


class Rounding(Enum):
    DOWN = ROUND_FLOOR
    UP = ROUND_CEILING
    NEAREST = ROUND_HALF_EVEN


def decimal_from_float(value: float) -> Decimal:
    """The named crossing from float64 (indicators) to Decimal (orders): the shortest text that reads back the same."""
    return Decimal(repr(float(value)))


def to_multiple(value: Decimal, step: Decimal, rounding: Rounding) -> Decimal:
    """`value` moved to a multiple of `step` (> 0) in the named direction."""
    if step <= 0:
        raise ValueError(f"step must be positive, got {step}")
    return (value / step).to_integral_value(rounding=rounding.value) * step


def floor_to_step(quantity: Decimal, step: Decimal) -> Decimal:
    return to_multiple(quantity, step, Rounding.DOWN)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    return value % step == 0


def plain(value: Decimal) -> str:
    """Text for the wire: no exponent, no trailing zeros ("65114.2", "0.001", "0")."""
    text = format(value.normalize(), "f")
    return "0" if text == "-0" else text


def bps_between(actual: Decimal, reference: Decimal) -> Decimal:
    """(actual - reference) / reference in basis points; reference must not be 0."""
    return (actual - reference) / reference * 10_000
