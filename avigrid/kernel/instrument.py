"""What may be traded and in which grain."""

from dataclasses import dataclass
from decimal import Decimal

from avigrid.kernel.money import Rounding, floor_to_step, to_multiple


@dataclass(frozen=True, slots=True)
class Instrument:
    """A USDT perpetual. Prices in quote coin, quantities in base coin (Bybit V5, Get Instruments Info)."""

    symbol: str
    base_coin: str
    quote_coin: str
    tick_size: Decimal
    min_price: Decimal
    max_price: Decimal
    qty_step: Decimal
    min_order_qty: Decimal
    max_limit_qty: Decimal
    max_market_qty: Decimal
    min_notional: Decimal
    max_leverage: Decimal
    funding_interval_min: int
    price_limit_ratio_x: Decimal = Decimal("0.01")
    price_limit_ratio_y: Decimal = Decimal("0.02")
    status: str = "Trading"
    price_scale: int = 2

    def price(self, value: Decimal, rounding: Rounding) -> Decimal:
        return to_multiple(value, self.tick_size, rounding)

    def quantity(self, value: Decimal) -> Decimal:
        """Rounded down to the step; may come out below `min_order_qty`."""
        return floor_to_step(value, self.qty_step)

    def is_below_minimum(self, quantity: Decimal, price: Decimal) -> bool:
        return quantity < self.min_order_qty or quantity * price < self.min_notional


@dataclass(frozen=True, slots=True)
class RiskTier:
    """One row of the venue's risk-limit table; `limit_usd` is the tier's upper notional."""

    symbol: str
    tier: int
    limit_usd: Decimal
    maintenance_margin_ratio: Decimal
    initial_margin_ratio: Decimal
    max_leverage: Decimal
    mm_deduction_usd: Decimal


@dataclass(frozen=True, slots=True)
class FeeRates:
    """Ratios of notional: Decimal("0.00055") is 0.055 %."""

    taker: Decimal = Decimal("0.00055")
    maker: Decimal = Decimal("0.0002")
