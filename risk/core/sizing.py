"""How large may a plan be, so that its loss at the stop, fees included, is no more than what it may risk?"""

from dataclasses import dataclass
from decimal import Decimal

from avigrid.kernel.instrument import FeeRates, Instrument
from avigrid.kernel.money import ZERO
from risk.core.exposure import on_symbol, total_risk_usd
from risk.core.limits import RiskLimits
from risk.core.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Size:
    """`quantity` is on the step, 0 where not even the smallest order fits; `risk_usd` what it really risks."""

    quantity: Decimal
    risk_usd: Decimal
    below_minimum: bool


def size_for_risk(*, risk_usd: Decimal, entry: Decimal, stop: Decimal, instrument: Instrument, fees: FeeRates) -> Size:
    """AVI-5 section 3: `floor_step(R / (|entry - stop| + entry * (taker + taker)))`, entry and stop already snapped."""
    per_unit = abs(entry - stop) + entry * fees.taker * 2
    if entry == stop or risk_usd <= 0:
        return Size(ZERO, ZERO, below_minimum=True)
    quantity = instrument.quantity(risk_usd / per_unit)
    return Size(quantity, quantity * per_unit, below_minimum=instrument.is_below_minimum(quantity, entry))


def risk_room_usd(snapshot: Snapshot, limits: RiskLimits, symbol: str) -> Decimal:
    """What a new plan on `symbol` may risk now: the smallest of plan, symbol and total room; never negative."""
    total = limits.max_total_risk_r * limits.r_usd - total_risk_usd(snapshot.open_plans)
    on_this = limits.max_per_symbol_risk_r * limits.r_usd - total_risk_usd(on_symbol(snapshot.open_plans, symbol))
    return max(min(limits.max_plan_risk_r * limits.r_usd, on_this, total), ZERO)
