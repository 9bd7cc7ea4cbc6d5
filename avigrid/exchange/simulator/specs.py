"""The instruments of the simulated venue: filters, fees and risk tiers."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

D = Decimal


@dataclass(frozen=True, slots=True)
class Tier:
    """One row of the risk-limit table. `limit_usd` is the upper notional; ratios are fractions (0.005 = 0.5 %)."""

    limit_usd: Decimal
    mmr: Decimal
    max_leverage: Decimal
    mm_deduction_usd: Decimal = D(0)

    @property
    def imr(self) -> Decimal:
        return 1 / self.max_leverage


def tiers_from_steps(steps: tuple[tuple[str, str, str], ...]) -> tuple[Tier, ...]:
    """Rows (limit, mmr, max leverage); deduction(n) = limit(n-1) x (mmr(n) - mmr(n-1)) + deduction(n-1)."""
    tiers: list[Tier] = []
    for limit, mmr, leverage in steps:
        deduction = D(0)
        if tiers:
            last = tiers[-1]
            deduction = last.limit_usd * (D(mmr) - last.mmr) + last.mm_deduction_usd
        tiers.append(Tier(D(limit), D(mmr), D(leverage), deduction))
    return tuple(tiers)


@dataclass(frozen=True, slots=True)
class InstrumentSpec:
    """A USDT perpetual as Bybit's instruments-info describes it."""

    symbol: str
    base_coin: str
    tick_size: Decimal
    qty_step: Decimal
    max_limit_qty: Decimal
    max_market_qty: Decimal
    tiers: tuple[Tier, ...]
    price_scale: int = 2
    max_price: Decimal = D("1999999.80")
    min_notional: Decimal = D(5)
    max_leverage: Decimal = D(100)
    funding_interval_min: int = 480
    funding_cap: Decimal = D("0.005")
    limit_ratio_x: Decimal = D("0.01")
    limit_ratio_y: Decimal = D("0.02")
    symbol_id: int = 1
    launch_ms: int = 1_584_230_400_000
    status: str = "Trading"

    @property
    def min_price(self) -> Decimal:
        return self.tick_size

    @property
    def min_qty(self) -> Decimal:
        """Bybit: minOrderQty == qtyStep on every row."""
        return self.qty_step


@dataclass(frozen=True, slots=True)
class Fees:
    """Ratios of executed value."""

    taker: Decimal = D("0.00055")
    maker: Decimal = D("0.0002")

    @classmethod
    def none(cls) -> Self:
        return cls(D(0), D(0))
