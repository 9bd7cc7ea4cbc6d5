"""What a decision looks at: closed bars, oldest first, and the indicator values of the newest one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avigrid.kernel.errors import Bug, InvalidCandle
from marketdata.indicators import formulas
from trading.avi5.config import StrategyConfig

type Floats = npt.NDArray[np.float64]
type Millis = npt.NDArray[np.int64]

BAR_5M_MS = 300_000
BAR_15M_MS = 900_000


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Closed bars of one interval without gaps; `start_ms` int64[n], the rest float64[n], oldest first."""

    start_ms: Millis
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.start_ms)

    def tail(self, count: int) -> "Bars":
        return self.part(max(0, len(self) - count), len(self))

    def part(self, first: int, last: int) -> "Bars":
        cut = slice(first, last)
        return Bars(
            self.start_ms[cut], self.open[cut], self.high[cut], self.low[cut], self.close[cut], self.volume[cut]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Closes:
    """Closed bars of which only the close is known: all that the trend is made of."""

    start_ms: Millis
    close: Floats

    def __len__(self) -> int:
        return len(self.start_ms)

    def tail(self, count: int) -> "Closes":
        return self.part(max(0, len(self) - count), len(self))

    def part(self, first: int, last: int) -> "Closes":
        return Closes(self.start_ms[first:last], self.close[first:last])


@dataclass(frozen=True, slots=True, eq=False)
class MarketWindow:
    """Bars up to the decision: the newest 5m bar is the one decided on; 15m bars closed at or before its close.

    More history than `StrategyConfig.history_*_bars` is ignored, so that a live and a replayed decision agree to the
    byte as soon as both have that much.
    """

    symbol: str
    bars_5m: Bars
    bars_15m: Bars | Closes

    @property
    def bar_start_ms(self) -> int:
        return int(self.bars_5m.start_ms[-1])

    @property
    def close_ms(self) -> int:
        """The moment the decided bar closed."""
        return self.bar_start_ms + BAR_5M_MS


@dataclass(frozen=True, slots=True)
class Indicators:
    """Values at one bar's close. Prices in quote coin; `trend` 1 up, -1 down, 0 flat; ratios of 1; NaN = not warm."""

    close: float
    vwap: float
    sigma: float
    atr: float
    donchian_high: float
    donchian_low: float
    atr_percentile: float
    proxy_imbalance: float
    ema_fast: float
    ema_slow: float
    trend: int


def check_continuous(bars: Bars | Closes, step_ms: int) -> None:
    steps = np.diff(bars.start_ms)
    holes = np.flatnonzero(steps != step_ms)
    if len(holes):
        at = int(bars.start_ms[holes[0]])
        raise InvalidCandle(f"bars do not follow each other after {at}: {len(holes)} holes", code="gap", start_ms=at)


def check_window(window: MarketWindow) -> None:
    """Raises InvalidCandle for a hole, or unless the newest 15m bar is the last to close at or before the decision."""
    if not len(window.bars_5m):
        raise Bug("a market window needs at least one 5m bar", symbol=window.symbol)
    check_continuous(window.bars_5m, BAR_5M_MS)
    check_continuous(window.bars_15m, BAR_15M_MS)
    if not len(window.bars_15m):
        return
    newest_end = int(window.bars_15m.start_ms[-1]) + BAR_15M_MS
    wanted_end = window.close_ms // BAR_15M_MS * BAR_15M_MS
    if newest_end != wanted_end:
        raise InvalidCandle(
            f"{window.symbol}: the newest 15m bar must close at {wanted_end}, it closes at {newest_end}",
            code="trend_bar",
            wanted_ms=wanted_end,
            got_ms=newest_end,
        )


def indicators_at_end(window: MarketWindow, config: StrategyConfig) -> Indicators:
    """The indicators of the window's last 5m bar, from at most `history_*_bars` of history."""
    bars = window.bars_5m.tail(config.history_5m_bars)
    high, low, close, volume = bars.high.tolist(), bars.low.tolist(), bars.close.tolist(), bars.volume.tolist()
    count = len(close)
    vwap = sigma = donchian_high = donchian_low = proxy = formulas.NAN
    if count >= config.vwap_bars:
        first = count - config.vwap_bars
        tp = [(high[i] + low[i] + close[i]) / 3.0 for i in range(first, count)]
        vwap, sigma = formulas.vwap_sigma(tp, volume[first:], 0, config.vwap_bars)
    if count > config.donchian_bars:
        donchian_high = max(high[count - 1 - config.donchian_bars : count - 1])
        donchian_low = min(low[count - 1 - config.donchian_bars : count - 1])
    if count >= config.proxy_bars:
        proxy = formulas.imbalance_proxy(high, low, close, volume, count - config.proxy_bars, count)
    atr, percentile = _atr_and_percentile(high, low, close, config)
    trend_closes = window.bars_15m.tail(config.history_15m_bars).close.tolist()
    fast = slow = formulas.NAN
    trend = 0
    if len(trend_closes) >= config.warmup_15m_bars:
        fast, slow = _ema(trend_closes, config.trend_fast_bars), _ema(trend_closes, config.trend_slow_bars)
        trend = formulas.trend_of(fast, slow, trend_closes[-1])
    return Indicators(
        close=close[-1],
        vwap=vwap,
        sigma=sigma,
        atr=atr,
        donchian_high=donchian_high,
        donchian_low=donchian_low,
        atr_percentile=percentile,
        proxy_imbalance=proxy,
        ema_fast=fast,
        ema_slow=slow,
        trend=trend,
    )


def _ema(values: list[float], span: int) -> float:
    alpha = 2.0 / (span + 1.0)
    keep = 1.0 - alpha
    mean = values[0]
    for value in values[1:]:
        mean = alpha * value + keep * mean
    return mean


def _atr_and_percentile(
    high: list[float], low: list[float], close: list[float], config: StrategyConfig
) -> tuple[float, float]:
    alpha = 2.0 / (config.atr_bars + 1.0)
    keep = 1.0 - alpha
    atr = formulas.NAN
    shares: list[float] = []
    for i in range(1, len(close)):
        reach = formulas.true_range(high[i], low[i], close[i - 1])
        atr = reach if i == 1 else alpha * reach + keep * atr
        shares.append(atr / close[i])
    if len(shares) < config.atr_percentile_bars:
        return atr, formulas.NAN
    return atr, formulas.share_at_or_below(shares, len(shares) - config.atr_percentile_bars, len(shares))
