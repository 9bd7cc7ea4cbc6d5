"""Margin arithmetic of USDT perpetuals, unified account (Bybit help centre, rules since September 2025).

size > 0 in base coin, `direction` +1 long / -1 short, `entry_value` = sum of price x quantity of what is open.
"""

from collections.abc import Sequence
from decimal import Decimal

from avigrid.exchange.simulator.specs import Tier

ZERO = Decimal(0)
_BREAK_EVEN_FEE = Decimal("0.00055")


def tier_for(tiers: Sequence[Tier], notional: Decimal) -> tuple[int, Tier]:
    """(index, tier) whose limit covers the notional; the last tier for anything larger."""
    for index, tier in enumerate(tiers):
        if notional <= tier.limit_usd:
            return index, tier
    return len(tiers) - 1, tiers[-1]


def fee_to_close(entry_value: Decimal, leverage: Decimal, taker: Decimal, direction: int) -> Decimal:
    """Taker fee at the bankruptcy price e(1 - d/L)."""
    return entry_value * (1 - direction / leverage) * taker


def initial_margin(size: Decimal, price: Decimal, leverage: Decimal, close_fee: Decimal) -> Decimal:
    """Cross: `price` is the mark; isolated: the entry."""
    return size * price / leverage + close_fee


def maintenance_margin(size: Decimal, mark: Decimal, tier: Tier, close_fee: Decimal) -> Decimal:
    return size * mark * tier.mmr - tier.mm_deduction_usd + close_fee


def order_cost(qty: Decimal, price: Decimal, leverage: Decimal, taker: Decimal, direction: int) -> Decimal:
    """What a resting order holds: its margin, its opening fee and the estimated fee to close."""
    value = qty * price
    return value / leverage + value * taker + value * (1 - direction / leverage) * taker


def order_loss(qty: Decimal, price: Decimal, mark: Decimal, direction: int) -> Decimal:
    """Buying above or selling below the mark loses the difference at once."""
    loss = (price - mark) * qty * direction
    return loss if loss > 0 else ZERO


def unrealised(size: Decimal, mark: Decimal, entry_value: Decimal, direction: int) -> Decimal:
    return direction * (mark * size - entry_value)


def break_even(
    size: Decimal, entry_value: Decimal, current_realised: Decimal, taker: Decimal, direction: int
) -> Decimal:
    signed = size * direction
    rate = max(taker, _BREAK_EVEN_FEE)
    return (entry_value * direction - current_realised) / (signed - size * rate)


def cross_liquidation(
    size: Decimal, mark: Decimal, margin_balance: Decimal, maintenance: Decimal, direction: int
) -> Decimal:
    """Bybit's estimate: where this position alone eats what the account has above its maintenance margin."""
    return mark - direction * (margin_balance - maintenance) / size


def isolated_liquidation(
    size: Decimal, entry: Decimal, leverage: Decimal, tier: Tier, extra: Decimal, taker: Decimal, direction: int
) -> Decimal:
    buffer = (extra / (1 - direction * taker) + tier.mm_deduction_usd) / size
    return (entry * (1 - direction / leverage) - direction * buffer) / (1 - direction * tier.mmr)


def bankruptcy_price(entry: Decimal, leverage: Decimal, direction: int) -> Decimal:
    return entry * (1 - direction / leverage)


def price_band(
    mark: Decimal, index: Decimal, premium: Decimal, ratio_x: Decimal, ratio_y: Decimal
) -> tuple[Decimal, Decimal]:
    """(lowest sell, highest buy); `premium` is the 30 s average of mid - mark (set-price-limit page, May 2026)."""
    highest = min(mark * (1 + ratio_y), max(index, mark * (1 + ratio_x) + max(ZERO, premium)))
    lowest = max(mark * (1 - ratio_y), min(index, mark * (1 - ratio_x) + min(ZERO, premium)))
    return lowest, highest
