"""Indicators over whole series, compiled. Arrays are float64[n], oldest first, without NaN; answers float64[n].

Sums run over each window from its oldest bar on, exactly as `formulas` does, so both give the same floats; bars are
worked on in blocks only so that the processor can do several at once.
"""

import math

import numpy as np
import numpy.typing as npt

from marketdata.indicators import formulas
from marketdata.indicators.jit import compiler, inlined

type Floats = npt.NDArray[np.float64]

_BLOCK = 512
_true_range = inlined(formulas.true_range)
kernel = compiler(__file__, formulas.__file__)


@kernel
def typical_price(high: Floats, low: Floats, close: Floats) -> Floats:
    out = np.empty(len(close))
    for i in range(len(close)):
        out[i] = (high[i] + low[i] + close[i]) / 3.0
    return out


@kernel
def vwap_sigma(tp: Floats, volume: Floats, bars: int) -> tuple[Floats, Floats]:
    """VWAP and volume-weighted deviation over the last `bars` bars, the current one included."""
    n = len(tp)
    vwap = np.full(n, np.nan)
    sigma = np.full(n, np.nan)
    weight = np.empty(_BLOCK)
    total = np.empty(_BLOCK)
    spread = np.empty(_BLOCK)
    for start in range(0, n - bars + 1, _BLOCK):
        size = min(_BLOCK, n - bars + 1 - start)
        weight[:size] = 0.0
        total[:size] = 0.0
        spread[:size] = 0.0
        for k in range(bars):
            v = volume[start + k : start + k + size]
            p = tp[start + k : start + k + size]
            for i in range(size):
                weight[i] += v[i]
                total[i] += p[i] * v[i]
        first = start + bars - 1
        mean = vwap[first : first + size]
        for i in range(size):
            mean[i] = total[i] / weight[i] if weight[i] > 0.0 else np.nan
        for k in range(bars):
            v = volume[start + k : start + k + size]
            p = tp[start + k : start + k + size]
            for i in range(size):
                spread[i] += v[i] * (p[i] - mean[i]) * (p[i] - mean[i])
        for i in range(size):
            sigma[first + i] = math.sqrt(spread[i] / weight[i]) if weight[i] > 0.0 else np.nan
    return vwap, sigma


@kernel
def ema(values: Floats, span: int) -> Floats:
    """Seeded with the first value."""
    out = np.empty(len(values))
    alpha = 2.0 / (span + 1.0)
    keep = 1.0 - alpha
    mean = np.nan
    for i in range(len(values)):
        mean = values[i] if i == 0 else alpha * values[i] + keep * mean
        out[i] = mean
    return out


@kernel
def atr(high: Floats, low: Floats, close: Floats, span: int) -> Floats:
    """NaN on the first bar, seeded with the first true range."""
    n = len(close)
    out = np.full(n, np.nan)
    alpha = 2.0 / (span + 1.0)
    keep = 1.0 - alpha
    mean = np.nan
    for i in range(1, n):
        reach = _true_range(high[i], low[i], close[i - 1])
        mean = reach if i == 1 else alpha * reach + keep * mean
        out[i] = mean
    return out


@kernel
def donchian(high: Floats, low: Floats, bars: int) -> tuple[Floats, Floats]:
    """Highest high and lowest low of the `bars` bars BEFORE the current one.

    Series are cut into stretches of `bars`; a window lies over the end of one and the start of the next, so that two
    running extremes, one from each side, answer it without looking back.
    """
    n = len(high)
    top = np.empty(n)
    bottom = np.empty(n)
    top[: min(bars, n)] = np.nan
    bottom[: min(bars, n)] = np.nan
    high_to_end = np.empty(bars)
    low_to_end = np.empty(bars)
    for start in range(0, n - bars, bars):
        highest, lowest = high[start + bars - 1], low[start + bars - 1]
        for k in range(bars - 1, -1, -1):
            h, lo = high[start + k], low[start + k]
            highest = h if h > highest else highest
            lowest = lo if lo < lowest else lowest
            high_to_end[k] = highest
            low_to_end[k] = lowest
        highest, lowest = high_to_end[bars - 1], low_to_end[bars - 1]
        for i in range(start + bars, min(start + 2 * bars, n)):
            h, lo = high_to_end[i - start - bars], low_to_end[i - start - bars]
            top[i] = h if h > highest else highest
            bottom[i] = lo if lo < lowest else lowest
            highest = high[i] if high[i] > highest else highest
            lowest = low[i] if low[i] < lowest else lowest
            if i == start + bars:
                highest, lowest = high[i], low[i]
    return top, bottom


@kernel
def share_at_or_below(values: Floats, bars: int) -> Floats:
    """Share of the last `bars` values, the current included, that are <= the current; leading NaN are not warm."""
    n = len(values)
    out = np.full(n, np.nan)
    warm = 0
    while warm < n and np.isnan(values[warm]):
        warm += 1
    count = np.empty(_BLOCK, dtype=np.int32)
    for start in range(warm, n - bars + 1, _BLOCK):
        size = min(_BLOCK, n - bars + 1 - start)
        current = values[start + bars - 1 : start + bars - 1 + size]
        count[:size] = 0
        for k in range(bars):
            past = values[start + k : start + k + size]
            for i in range(size):
                count[i] += past[i] <= current[i]
        for i in range(size):
            out[start + bars - 1 + i] = count[i] / bars
    return out


@kernel
def imbalance_proxy(high: Floats, low: Floats, close: Floats, volume: Floats, bars: int) -> Floats:
    """Volume-weighted place of the close inside its bar, over the last `bars` bars; NaN without volume."""
    n = len(close)
    out = np.full(n, np.nan)
    for i in range(bars - 1, n):
        weight = 0.0
        total = 0.0
        for j in range(i - bars + 1, i + 1):
            weight += volume[j]
            if high[j] != low[j]:
                total += volume[j] * ((close[j] - low[j]) - (high[j] - close[j])) / (high[j] - low[j])
        if weight > 0.0:
            out[i] = total / weight
    return out


@kernel
def trend(ema_fast: Floats, ema_slow: Floats, close: Floats) -> npt.NDArray[np.int8]:
    """1 up, -1 down, 0 flat."""
    out = np.zeros(len(close), dtype=np.int8)
    for i in range(len(close)):
        if ema_fast[i] > ema_slow[i] and close[i] > ema_slow[i]:
            out[i] = 1
        elif ema_fast[i] < ema_slow[i] and close[i] < ema_slow[i]:
            out[i] = -1
    return out
