"""The formulas of AVI-5's indicators, each written once, over one window, as plain loops.

They run as they stand on lists (a live decision) and compiled by numba on arrays (`batch`): one source, same floats.
Series are float64, oldest first. A value that is not warm, or not defined, is NaN.
"""

import math
from collections.abc import Sequence

NAN = math.nan
type Series = Sequence[float]


def vwap_sigma(tp: Series, volume: Series, first: int, last: int) -> tuple[float, float]:
    """Volume-weighted mean and standard deviation of `tp` over the bars [first, last); NaN without volume."""
    weight = 0.0
    total = 0.0
    for i in range(first, last):
        weight += volume[i]
        total += tp[i] * volume[i]
    if not weight > 0.0:
        return NAN, NAN
    vwap = total / weight
    spread = 0.0
    for i in range(first, last):
        spread += volume[i] * (tp[i] - vwap) * (tp[i] - vwap)
    return vwap, math.sqrt(spread / weight)


def true_range(high: float, low: float, previous_close: float) -> float:
    return max(high - low, abs(high - previous_close), abs(low - previous_close))


def highest(values: Series, first: int, last: int) -> float:
    best = values[first]
    for i in range(first + 1, last):
        if values[i] > best:
            best = values[i]
    return best


def lowest(values: Series, first: int, last: int) -> float:
    best = values[first]
    for i in range(first + 1, last):
        if values[i] < best:
            best = values[i]
    return best


def share_at_or_below(values: Series, first: int, last: int) -> float:
    """Share of values[first:last] that are <= the last of them; NaN if one is NaN."""
    current = values[last - 1]
    count = 0
    for i in range(first, last):
        if math.isnan(values[i]):
            return NAN
        if values[i] <= current:
            count += 1
    return count / (last - first)


def money_flow(high: float, low: float, close: float) -> float:
    """Where the close lies inside its bar, from -1 (low) to 1 (high); 0 for a bar without range."""
    if high == low:
        return 0.0
    return ((close - low) - (high - close)) / (high - low)


def imbalance_proxy(high: Series, low: Series, close: Series, volume: Series, first: int, last: int) -> float:
    """Stands in for the book's imbalance where no book was recorded; NaN without volume."""
    weight = 0.0
    total = 0.0
    for i in range(first, last):
        weight += volume[i]
        if high[i] != low[i]:
            total += volume[i] * ((close[i] - low[i]) - (high[i] - close[i])) / (high[i] - low[i])
    if not weight > 0.0:
        return NAN
    return total / weight


def trend_of(ema_fast: float, ema_slow: float, close: float) -> int:
    """1 up, -1 down, 0 flat (NaN anywhere is flat)."""
    if ema_fast > ema_slow and close > ema_slow:
        return 1
    if ema_fast < ema_slow and close < ema_slow:
        return -1
    return 0
