"""Bars from a seeded generator: drifting prices with trends, so that every rule passes now and then."""

from dataclasses import replace
from decimal import Decimal

import numpy as np

from avigrid.kernel.instrument import Instrument
from tests.unit.trading.avi5.builders import instrument
from trading.avi5.window import BAR_5M_MS, Bars
from trading.backtest.data import FundingHistory, MarketData, prepare

START_MS = 1_758_672_000_000
"""2025-09-24 00:00 UTC."""


def bars(count: int, *, seed: int = 1, start: float = 1000.0, volatility: float = 0.003, tick: float = 0.1) -> Bars:
    rng = np.random.default_rng(seed)
    drift = np.repeat(rng.normal(0, volatility / 4, count // 60 + 1), 60)[:count]
    steps = drift + rng.normal(0, volatility, count) * np.repeat(rng.uniform(0.4, 1.6, count // 40 + 1), 40)[:count]
    close = np.round(start * np.exp(np.cumsum(steps)) / tick) * tick
    open_ = np.concatenate([[start], close[:-1]])
    reach = start * volatility * rng.exponential(0.5, (2, count))
    high = np.ceil((np.maximum(open_, close) + reach[0]) / tick) * tick
    low = np.floor((np.minimum(open_, close) - reach[1]) / tick) * tick
    low = np.maximum(low, tick)
    times = START_MS + BAR_5M_MS * np.arange(count, dtype=np.int64)
    values = [np.round(x, 6) for x in (open_, high, low, close)]
    return Bars(times, *values, np.round(rng.uniform(1, 100, count), 3))


def market(count: int = 4000, **options: float) -> MarketData:
    made = bars(count, **options)  # type: ignore[arg-type]
    hours = range(0, count * BAR_5M_MS, 8 * 3_600_000)
    rates = [(START_MS + offset, 0.0001 * (1 + offset % 5) - 0.0002) for offset in hours]
    return prepare("TESTUSDT", made, funding=FundingHistory.of(rates))


def filters() -> Instrument:
    return replace(instrument(symbol="TESTUSDT"), max_price=Decimal(10**9), max_market_qty=Decimal(10**9))
