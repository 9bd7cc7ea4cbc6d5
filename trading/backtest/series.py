"""Indicators of every bar in one pass, and which bars can be signals. The decision itself stays with `decide_on`."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avigrid.kernel.errors import Rejected
from avigrid.kernel.instrument import FeeRates
from marketdata.indicators import batch
from trading.avi5.config import StrategyConfig
from trading.avi5.decide import Decision, decide_on
from trading.avi5.window import BAR_5M_MS, BAR_15M_MS, Indicators
from trading.backtest.data import FUNDING_MS, MarketData
from trading.backtest.times import utc

type Floats = npt.NDArray[np.float64]
type Ints = npt.NDArray[np.int64]


class MissingWarmUp(Rejected):
    """Fewer bars than the indicators need before the first decision."""

    code = "missing_warm_up"


@dataclass(frozen=True, slots=True, eq=False)
class IndicatorSeries:
    """One value per 5m bar; `trend` and the 15m means are those known at the 5m bar's close."""

    close_ms: Ints
    close: Floats
    vwap: Floats
    sigma: Floats
    atr: Floats
    donchian_high: Floats
    donchian_low: Floats
    atr_percentile: Floats
    proxy: Floats
    ema_fast: Floats
    ema_slow: Floats
    trend: npt.NDArray[np.int8]
    is_warm: npt.NDArray[np.bool_]

    def at(self, i: int) -> Indicators:
        return Indicators(
            close=float(self.close[i]),
            vwap=float(self.vwap[i]),
            sigma=float(self.sigma[i]),
            atr=float(self.atr[i]),
            donchian_high=float(self.donchian_high[i]),
            donchian_low=float(self.donchian_low[i]),
            atr_percentile=float(self.atr_percentile[i]),
            proxy_imbalance=float(self.proxy[i]),
            ema_fast=float(self.ema_fast[i]),
            ema_slow=float(self.ema_slow[i]),
            trend=int(self.trend[i]),
        )


def indicator_series(data: MarketData, config: StrategyConfig) -> IndicatorSeries:
    bars = data.bars_5m
    vwap, sigma = batch.vwap_sigma(batch.typical_price(bars.high, bars.low, bars.close), bars.volume, config.vwap_bars)
    atr = batch.atr(bars.high, bars.low, bars.close, config.atr_bars)
    top, bottom = batch.donchian(bars.high, bars.low, config.donchian_bars)
    close_ms = bars.start_ms + BAR_5M_MS
    fast, slow, trend, closed_15m = _trend_at(data, close_ms, config)
    return IndicatorSeries(
        close_ms=close_ms,
        close=bars.close,
        vwap=vwap,
        sigma=sigma,
        atr=atr,
        donchian_high=top,
        donchian_low=bottom,
        atr_percentile=batch.share_at_or_below(atr / bars.close, config.atr_percentile_bars),
        proxy=batch.imbalance_proxy(bars.high, bars.low, bars.close, bars.volume, config.proxy_bars),
        ema_fast=fast,
        ema_slow=slow,
        trend=trend,
        is_warm=(np.arange(len(bars)) + 1 >= config.warmup_5m_bars) & (closed_15m >= config.warmup_15m_bars),
    )


def first_bar(data: MarketData, series: IndicatorSeries, config: StrategyConfig, from_ms: int | None) -> int:
    """The first bar that closes after `from_ms`. Raises MissingWarmUp where no bar from there on is warm."""
    first = 0 if from_ms is None else int(np.searchsorted(series.close_ms, from_ms, side="right"))
    if not series.is_warm[first:].any():
        raise MissingWarmUp(
            f"{data.symbol}: {len(data.bars_5m)} 5m and {len(data.bars_15m)} 15m bars do not reach past the warm-up of "
            f"{config.warmup_5m_bars} 5m and {config.warmup_15m_bars} 15m bars"
            + ("" if from_ms is None else f" after {utc(from_ms)}"),
            symbol=data.symbol,
        )
    return first


def lacks_books(data: MarketData, series: IndicatorSeries, first: int = 0) -> bool:
    """A warm bar from `first` on has no recorded book: the bar proxy stands in for its imbalance."""
    return bool((series.is_warm & ~data.book.has_book)[first:].any())


def next_funding_ms(now_ms: int) -> int:
    return (now_ms // FUNDING_MS + 1) * FUNDING_MS


def decision_at(
    data: MarketData,
    series: IndicatorSeries,
    i: int,
    config: StrategyConfig,
    fees: FeeRates,
) -> Decision:
    """The decision on bar i, taken at the moment it closed."""
    close_ms = int(series.close_ms[i])
    return decide_on(
        series.at(i),
        data.book.at(data.symbol, i),
        config,
        symbol=data.symbol,
        bar_start_ms=close_ms - BAR_5M_MS,
        close_ms=close_ms,
        is_warm=bool(series.is_warm[i]),
        now_ms=close_ms,
        next_funding_ms=next_funding_ms(close_ms),
        fees=fees,
    )


def candidates(
    data: MarketData, series: IndicatorSeries, config: StrategyConfig, fees: FeeRates
) -> npt.NDArray[np.int8]:
    """Per bar 1, -1 or 0: all rules in one pass over the arrays.

    A screen: `decide_on` has the last word on every bar this lets through, and tests compare both on all bars.
    """
    hour = series.close_ms // 3_600_000 % 24
    theta = np.array([config.theta_at(h) for h in range(24)])[hour]
    to_funding_min = (FUNDING_MS - series.close_ms % FUNDING_MS) / 60_000
    imbalance, lean, spread, depth = book_columns(data, series, config)
    has_book = data.book.has_book
    slippage = np.where(series.atr_percentile > config.volatile_percentile, config.slippage_volatile_bps, 0.0)
    slippage = config.slippage_bps + slippage + np.where(depth < config.thin_depth_usd, config.slippage_thin_bps, 0.0)
    fee_ratio = float(fees.taker) + float(fees.maker)
    distance = config.atr_mult_x * series.atr
    distance = np.where(distance > 0, distance, np.nan)
    cost_r = (fee_ratio + slippage / 1e4) * series.close / distance
    common = (
        series.is_warm
        & ~np.isin(hour, config.dead_hours)
        & (to_funding_min >= config.min_to_funding_min)
        & (cost_r <= config.max_cost_r)
        & (~has_book | ((spread <= config.max_spread_bps) & (depth >= config.min_depth_usd)))
    )
    found = np.zeros(len(series.close), dtype=np.int8)
    for direction in (1, -1):
        trigger = series.vwap + direction * config.trigger_sigma_x * series.sigma
        furthest = series.vwap + direction * config.max_sigma_x * series.sigma
        passed = (
            common
            & (series.trend == direction)
            & (direction * (series.close - trigger) > 0)
            & (direction * (series.close - furthest) <= 0)
            & (direction * imbalance >= theta)
            & (~has_book | (direction * lean > 0))
        )
        found[passed] = direction
    return found


def book_columns(
    data: MarketData, series: IndicatorSeries, config: StrategyConfig
) -> tuple[Floats, Floats, Floats, Floats]:
    """Imbalance (the proxy where no book was recorded), microprice - mid, spread and depth; too old is NaN."""
    book = data.book
    fresh = np.abs(book.time_ms - series.close_ms) <= config.max_feature_age_ms
    return (
        np.where(book.has_book, np.where(fresh, book.imbalance, np.nan), series.proxy),
        np.where(fresh, book.microprice - book.mid, np.nan),
        np.where(fresh, book.spread_bps, np.nan),
        np.where(fresh, book.depth_usd, np.nan),
    )


def _trend_at(
    data: MarketData, close_ms: Ints, config: StrategyConfig
) -> tuple[Floats, Floats, npt.NDArray[np.int8], Ints]:
    """15m values as known at each moment, and how many 15m bars had closed by then."""
    bars = data.bars_15m
    closed = np.searchsorted(bars.start_ms + BAR_15M_MS, close_ms, side="right").astype(np.int64)
    fast, slow = batch.ema(bars.close, config.trend_fast_bars), batch.ema(bars.close, config.trend_slow_bars)
    trend = batch.trend(fast, slow, bars.close)
    known = closed >= config.warmup_15m_bars
    at = np.where(known, closed - 1, 0)
    if not len(bars):
        nothing = np.full(len(close_ms), np.nan)
        return nothing, nothing, np.zeros(len(close_ms), dtype=np.int8), closed
    return (
        np.where(known, fast[at], np.nan),
        np.where(known, slow[at], np.nan),
        np.where(known, trend[at], 0).astype(np.int8),
        closed,
    )
