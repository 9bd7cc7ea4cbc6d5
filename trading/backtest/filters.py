"""An instrument's filters: read off recorded bars where the installation does not know it, and told as one line."""

from decimal import Decimal

import numpy as np

from avigrid.kernel.instrument import Instrument
from avigrid.kernel.money import plain
from trading.avi5.window import Bars

_MOST_DECIMALS = 10


def instrument_from_bars(symbol: str, bars: Bars) -> Instrument:
    """Tick and step are the finest decimals seen in prices and volumes; the smallest order is one step, 5 USD."""
    tick = _grain([bars.open, bars.high, bars.low, bars.close])
    step = _grain([bars.volume])
    return Instrument(
        symbol=symbol,
        base_coin=symbol.removesuffix("USDT"),
        quote_coin="USDT",
        tick_size=tick,
        min_price=tick,
        max_price=Decimal(10) ** 9,
        qty_step=step,
        min_order_qty=step,
        max_limit_qty=Decimal(10) ** 9,
        max_market_qty=Decimal(10) ** 9,
        min_notional=Decimal(5),
        max_leverage=Decimal(100),
        funding_interval_min=480,
    )


def filters_text(known: Instrument) -> str:
    """Everything of an instrument that a replay's result depends on: two results compare only where it is equal."""
    prices = (known.tick_size, known.min_price, known.max_price)
    sizes = (known.qty_step, known.min_order_qty, known.max_limit_qty, known.min_notional)
    return f"{known.symbol} price {' '.join(map(plain, prices))} quantity {' '.join(map(plain, sizes))}"


def _grain(columns: list[np.ndarray]) -> Decimal:
    for decimals in range(_MOST_DECIMALS):
        if all((np.abs(np.round(values, decimals) - values) <= 1e-12 * np.abs(values)).all() for values in columns):
            return Decimal(1).scaleb(-decimals)
    return Decimal(1).scaleb(-_MOST_DECIMALS)
