"""The road a plan is replayed on: fine bars as plain lists, with what was known at each of them."""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from trading.avi5.config import StrategyConfig
from trading.avi5.window import BAR_5M_MS
from trading.backtest.data import FUNDING_MS, MarketData
from trading.backtest.series import IndicatorSeries, book_columns, next_funding_ms


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Index k is a fine bar. `trend[k]` is known when bar k has closed, `slippage_bps[k]` when it opens."""

    start_ms: list[int]
    end_ms: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    trend: list[int]
    slippage_bps: list[float]
    bar_of: list[int]
    """The 5m bar a fine bar belongs to."""
    first_of: list[int]
    funding_at: list[int]
    """Fine bars that open at a funding moment."""
    funding_rate: list[float]
    funding_missing: int

    def first_ending_at(self, time_ms: int) -> int:
        return bisect_left(self.end_ms, time_ms)


def build_track(data: MarketData, series: IndicatorSeries, config: StrategyConfig) -> Track:
    fine = data.fine
    count = len(data.bars_5m)
    sizes = np.diff(data.fine_of_5m)
    bar_of = np.repeat(np.arange(count), sizes)
    is_last = np.append(bar_of[1:] != bar_of[:-1], True)
    *_, depth = book_columns(data, series, config)
    slippage = (
        config.slippage_bps
        + np.where(series.atr_percentile > config.volatile_percentile, config.slippage_volatile_bps, 0.0)
        + np.where(depth < config.thin_depth_usd, config.slippage_thin_bps, 0.0)
    )
    trend = series.trend.astype(np.int64)
    before = np.maximum(bar_of - 1, 0)
    funding_at = np.flatnonzero(fine.start_ms % FUNDING_MS == 0)
    rates, missing = data.funding.rates_at(fine.start_ms[funding_at])
    return Track(
        start_ms=fine.start_ms.tolist(),
        end_ms=np.append(fine.start_ms[1:], data.bars_5m.start_ms[-1] + BAR_5M_MS).tolist(),
        open=fine.open.tolist(),
        high=fine.high.tolist(),
        low=fine.low.tolist(),
        close=fine.close.tolist(),
        trend=np.where(is_last, trend[bar_of], trend[before]).tolist(),
        slippage_bps=slippage[before].tolist(),
        bar_of=bar_of.tolist(),
        first_of=data.fine_of_5m.tolist(),
        funding_at=funding_at.tolist(),
        funding_rate=rates.tolist(),
        funding_missing=missing,
    )


def first_touch(
    track: Track,
    bars: range,
    direction: int,
    *,
    floor: float,
    roof: float,
    gain: float,
    turn: int,
    funding_exit_ms: int,
) -> int | None:
    """The first bar that reaches a level, closes at the gain, turns the trend, or (above 0) nears a funding moment.

    Levels are signed by `direction`. Most of a replay's bars are only looked at here: nothing is called per bar.
    """
    low, high, close, trend, end_ms = track.low, track.high, track.close, track.trend, track.end_ms
    if direction > 0:
        for j in bars:
            if low[j] <= floor or high[j] >= roof or close[j] >= gain or trend[j] == turn:
                return j
            if funding_exit_ms and next_funding_ms(end_ms[j]) - end_ms[j] < funding_exit_ms:
                return j
    else:
        for j in bars:
            if -high[j] <= floor or -low[j] >= roof or -close[j] >= gain or trend[j] == turn:
                return j
            if funding_exit_ms and next_funding_ms(end_ms[j]) - end_ms[j] < funding_exit_ms:
                return j
    return None
