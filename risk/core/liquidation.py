"""Where the venue would liquidate. Estimates on the careful side; Bybit V5, Liquidation Price."""

from decimal import Decimal


def cross_liquidation_price(
    *, direction: int, mark_price: Decimal, quantity: Decimal, free_usd: Decimal
) -> Decimal | None:
    """`free_usd` is margin balance minus maintenance margin: what may be lost before liquidation begins.

    None where no positive price liquidates. With nothing free the mark itself liquidates.
    """
    price = mark_price - direction * max(free_usd, Decimal(0)) / quantity
    return price if price > 0 else None


def isolated_liquidation_price(
    *, direction: int, entry_price: Decimal, leverage: Decimal, maintenance_margin_ratio: Decimal
) -> Decimal | None:
    price = entry_price * (1 - direction * (1 / leverage - maintenance_margin_ratio))
    return price if price > 0 else None
