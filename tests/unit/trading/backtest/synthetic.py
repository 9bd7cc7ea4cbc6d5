"""Bars and books from a seeded generator: drifting prices with trends, so that every rule passes now and then."""

from dataclasses import replace
from decimal import Decimal

import numpy as np

from avigrid.kernel.instrument import Instrument
from avigrid.kernel.market import BookFeatures
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


def books(made: Bars, *, share: float = 1.0, stale_share: float = 0.0, seed: int = 1) -> dict[int, BookFeatures]:
    """By bar: mostly leaning with the bar, wide or thin now and then; `stale_share` of them sampled too early."""
    rng = np.random.default_rng(seed)
    found = {}
    for i in np.flatnonzero(rng.random(len(made)) < share).tolist():
        close = float(made.close[i])
        side = (1.0 if close >= made.open[i] else -1.0) * rng.choice([1.0, -1.0], p=[0.8, 0.2])
        found[int(made.start_ms[i])] = BookFeatures(
            symbol="TESTUSDT",
            time_ms=int(made.start_ms[i]) + BAR_5M_MS + (-60_000 if rng.random() < stale_share else 40),
            mid=close,
            imbalance=float(side * rng.random()),
            microprice=close + float(side * rng.choice([0.0, 0.01], p=[0.1, 0.9])),
            spread_bps=float(rng.choice([1.0, 5.0, 5.1], p=[0.7, 0.2, 0.1])),
            depth_usd=float(rng.choice([2e6, 4e5, 4e4], p=[0.6, 0.3, 0.1])),
        )
    return found


def minutes(made: Bars, *, share: float = 1.0, seed: int = 1, tick: float = 0.1) -> Bars:
    """1m bars inside `share` of the 5m bars, in any order of extremes; the others have none."""
    rng = np.random.default_rng(seed)
    at = np.flatnonzero(rng.random(len(made)) < share)
    count = len(at)
    low, high = made.low[at][:, None], made.high[at][:, None]
    between = np.round((low + (high - low) * rng.random((count, 4))) / tick) * tick
    points = np.column_stack([made.open[at], np.clip(between, low, high), made.close[at]])
    highs, lows = np.maximum(points[:, :-1], points[:, 1:]), np.minimum(points[:, :-1], points[:, 1:])
    highs[np.arange(count), rng.integers(0, 5, count)] = made.high[at]
    lows[np.arange(count), rng.integers(0, 5, count)] = made.low[at]
    starts = (made.start_ms[at][:, None] + 60_000 * np.arange(5)).ravel()
    values = [np.round(x.ravel(), 6) for x in (points[:, :-1], highs, lows, points[:, 1:])]
    return Bars(starts, *values, np.round(rng.uniform(0.2, 20, 5 * count), 3))


def market(
    count: int = 4000, *, book_share: float = 0.0, stale_share: float = 0.0, minute_share: float = 0.0, **options: float
) -> MarketData:
    made = bars(count, **options)  # type: ignore[arg-type]
    seed = int(options.get("seed", 1))
    hours = range(0, count * BAR_5M_MS, 8 * 3_600_000)
    rates = [(START_MS + offset, 0.0001 * (1 + offset % 5) - 0.0002) for offset in hours]
    return prepare(
        "TESTUSDT",
        made,
        bars_1m=minutes(made, share=minute_share, seed=seed) if minute_share else None,
        funding=FundingHistory.of(rates),
        features=books(made, share=book_share, stale_share=stale_share, seed=seed),
    )


def filters() -> Instrument:
    return replace(instrument(symbol="TESTUSDT"), max_price=Decimal(10**9), max_market_qty=Decimal(10**9))
