"""How much is at stake, in USD and in R."""

from collections.abc import Iterable
from decimal import Decimal

from avigrid.kernel.money import ZERO
from risk.core.request import OrderLine
from risk.core.snapshot import OpenPlan


def open_risk_usd(
    *,
    direction: int,
    stop_price: Decimal,
    filled_qty: Decimal,
    avg_price: Decimal | None,
    pending: Iterable[OrderLine],
    mark_price: Decimal,
    exit_fee_ratio: Decimal = ZERO,
) -> Decimal:
    """The loss at the current stop if every pending entry (intent, open, unknown) fills. Never negative.

    Each part is cut off at zero by itself: profit locked in by one part does not pay for the risk of another.
    """
    risk = ZERO
    if filled_qty and avg_price is not None:
        risk += _leg(direction, avg_price, stop_price, filled_qty, exit_fee_ratio)
    for line in pending:
        price = mark_price if line.price is None else line.price
        risk += _leg(direction, price, stop_price, line.quantity, exit_fee_ratio)
    return risk


def _leg(direction: int, price: Decimal, stop: Decimal, quantity: Decimal, exit_fee_ratio: Decimal) -> Decimal:
    loss_per_unit = (price - stop) * direction
    if loss_per_unit <= 0:
        return ZERO
    return quantity * (loss_per_unit + stop * exit_fee_ratio)


def total_risk_usd(plans: Iterable[OpenPlan]) -> Decimal:
    return sum((plan.risk_usd for plan in plans), ZERO)


def total_notional_usd(plans: Iterable[OpenPlan]) -> Decimal:
    return sum((plan.notional_usd for plan in plans), ZERO)


def total_margin_usd(plans: Iterable[OpenPlan]) -> Decimal:
    return sum((plan.margin_usd for plan in plans), ZERO)


def on_symbol(plans: Iterable[OpenPlan], symbol: str) -> tuple[OpenPlan, ...]:
    return tuple(plan for plan in plans if plan.symbol == symbol)
