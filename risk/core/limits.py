"""The limits of one account. Every number is a default an admin can change by making a new version."""

from dataclasses import dataclass, fields
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """`r_usd` is the worth of 1R: sizing and every limit in R use this one number."""

    r_usd: Decimal = Decimal(20)
    max_plan_risk_r: Decimal = Decimal(1)
    max_concurrent: int = 5
    max_total_risk_r: Decimal = Decimal(5)
    max_per_base: int = 2
    max_per_symbol_risk_r: Decimal = Decimal(2)
    anti_churn_s: int = 900
    daily_loss_r: Decimal = Decimal(5)
    drawdown_yellow_ratio: Decimal = Decimal("0.10")
    drawdown_orange_ratio: Decimal = Decimal("0.15")
    drawdown_red_ratio: Decimal = Decimal("0.25")
    loss_streak_stops: int = 4
    loss_streak_pause_min: int = 60
    max_leverage: Decimal = Decimal(5)
    max_plan_notional_usd: Decimal = Decimal(25_000)
    max_symbol_notional_usd: Decimal = Decimal(50_000)
    max_margin_ratio: Decimal = Decimal("0.50")
    """Initial margin, this plan included, over equity."""
    liquidation_stop_multiple: Decimal = Decimal(2)
    """The liquidation price lies at least this many stop distances from the entry."""
    orders_per_minute: int = 60
    orders_per_day: int = 5_000
    book_max_age_s: int = 10
    bars_max_age: int = 2
    reconciliation_max_age_s: int = 120
    max_price_deviation_ratio: Decimal = Decimal("0.05")
    max_clock_offset_ms: int = 1_000
    flatten_on_red: bool = False
    """Policy of the kill switch at red drawdown: halt, or halt and flatten."""
    halt_on_critical: bool = False
    """A position that cannot be explained halts its symbol; with this, the whole account."""
    halt_after_errors: int = 20
    """Orders refused by the venue or lost on the way within a minute, after which the account is halted."""
    halt_after_stale_s: int = 60
    """Seconds without a price of a symbol with an open plan, after which the account is halted."""

    def __post_init__(self) -> None:
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not self.drawdown_yellow_ratio <= self.drawdown_orange_ratio <= self.drawdown_red_ratio < 1:
            raise ValueError("drawdown levels must rise: yellow <= orange <= red < 1")
        if self.anti_churn_s < 0 or self.max_concurrent < 0 or self.max_per_base < 0:
            raise ValueError("anti_churn_s, max_concurrent and max_per_base must not be negative")


_POSITIVE = (
    "r_usd",
    "max_plan_risk_r",
    "max_total_risk_r",
    "max_per_symbol_risk_r",
    "daily_loss_r",
    "drawdown_yellow_ratio",
    "loss_streak_stops",
    "loss_streak_pause_min",
    "max_leverage",
    "max_plan_notional_usd",
    "max_symbol_notional_usd",
    "max_margin_ratio",
    "liquidation_stop_multiple",
    "orders_per_minute",
    "orders_per_day",
    "book_max_age_s",
    "bars_max_age",
    "reconciliation_max_age_s",
    "max_price_deviation_ratio",
    "max_clock_offset_ms",
    "halt_after_errors",
    "halt_after_stale_s",
)

# Where a smaller number is the stricter one. The rest: a longer wait is stricter, a larger distance is stricter.
_STRICTER_WHEN_LARGER = frozenset(
    {"anti_churn_s", "loss_streak_pause_min", "liquidation_stop_multiple", "flatten_on_red", "halt_on_critical"}
)


def changed(old: RiskLimits, new: RiskLimits) -> tuple[str, ...]:
    return tuple(field.name for field in fields(RiskLimits) if getattr(old, field.name) != getattr(new, field.name))


def loosened(old: RiskLimits, new: RiskLimits) -> tuple[str, ...]:
    """The limits that permit more than before: the ones a change of which asks for a one-time password."""
    names = []
    for name in changed(old, new):
        grew = getattr(new, name) > getattr(old, name)
        if grew is not (name in _STRICTER_WHEN_LARGER):
            names.append(name)
    return tuple(names)
