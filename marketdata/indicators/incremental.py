"""Indicators bar by bar: one `update` a closed bar, constant work, no compiler. Agrees with `batch` to 1e-9."""

import math
from bisect import bisect_left, bisect_right, insort
from collections import deque
from dataclasses import dataclass
from operator import mul

from marketdata.indicators import formulas

NAN = math.nan


class Vwap:
    """VWAP and sigma over the last `bars` bars."""

    __slots__ = ("_bars", "_tp", "_volume")

    def __init__(self, bars: int) -> None:
        self._bars = bars
        self._tp: deque[float] = deque(maxlen=bars)
        self._volume: deque[float] = deque(maxlen=bars)

    def update(self, tp: float, volume: float) -> tuple[float, float]:
        self._tp.append(tp)
        self._volume.append(volume)
        if len(self._tp) < self._bars:
            return NAN, NAN
        weight = sum(self._volume)
        if not weight > 0:
            return NAN, NAN
        vwap = sum(map(mul, self._tp, self._volume)) / weight
        spread = sum([v * (p - vwap) * (p - vwap) for p, v in zip(self._tp, self._volume, strict=True)])
        return vwap, math.sqrt(spread / weight)


class Ema:
    """Exponential mean seeded with its first value; NaN before it."""

    __slots__ = ("_alpha", "_keep", "value")

    def __init__(self, span: int) -> None:
        self._alpha = 2.0 / (span + 1.0)
        self._keep = 1.0 - self._alpha
        self.value = NAN

    def update(self, value: float) -> float:
        old = self.value
        self.value = value if old != old else self._alpha * value + self._keep * old  # only NaN differs from itself
        return self.value


class Atr:
    __slots__ = ("_ema", "_previous_close")

    def __init__(self, span: int) -> None:
        self._ema = Ema(span)
        self._previous_close = NAN

    def update(self, high: float, low: float, close: float) -> float:
        previous, self._previous_close = self._previous_close, close
        if previous != previous:  # only NaN differs from itself
            return NAN
        return self._ema.update(formulas.true_range(high, low, previous))


class Donchian:
    """Extremes of the bars before the current one: each update answers first, then takes the bar in."""

    __slots__ = ("_bars", "_high", "_low")

    def __init__(self, bars: int) -> None:
        self._bars = bars
        self._high: deque[float] = deque(maxlen=bars)
        self._low: deque[float] = deque(maxlen=bars)

    def update(self, high: float, low: float) -> tuple[float, float]:
        answer = (max(self._high), min(self._low)) if len(self._high) == self._bars else (NAN, NAN)
        self._high.append(high)
        self._low.append(low)
        return answer


class ShareAtOrBelow:
    """Where the newest of the last `bars` values stands among them, itself included."""

    __slots__ = ("_bars", "_order", "_sorted")

    def __init__(self, bars: int) -> None:
        self._bars = bars
        self._order: deque[float] = deque()
        self._sorted: list[float] = []

    def update(self, value: float) -> float:
        if value != value:  # only NaN differs from itself
            return NAN
        if len(self._order) == self._bars:
            oldest = self._order.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        self._order.append(value)
        insort(self._sorted, value)
        if len(self._order) < self._bars:
            return NAN
        return bisect_right(self._sorted, value) / self._bars


class ImbalanceProxy:
    __slots__ = ("_flow", "_volume")

    def __init__(self, bars: int) -> None:
        self._flow: deque[float] = deque(maxlen=bars)
        self._volume: deque[float] = deque(maxlen=bars)

    def update(self, high: float, low: float, close: float, volume: float) -> float:
        self._volume.append(volume)
        self._flow.append(volume * formulas.money_flow(high, low, close))
        if len(self._flow) < self._flow.maxlen:  # type: ignore[operator]
            return NAN
        weight = sum(self._volume)
        return sum(self._flow) / weight if weight > 0 else NAN


@dataclass(frozen=True, slots=True)
class Values:
    """Indicators of one 5m bar, prices in quote coin; NaN where not warm."""

    vwap: float
    sigma: float
    atr: float
    donchian_high: float
    donchian_low: float
    atr_percentile: float
    proxy_imbalance: float


class Incremental:
    """All 5m indicators of AVI-5 for one symbol; feed closed bars in order, without holes."""

    __slots__ = ("_atr", "_donchian", "_percentile", "_proxy", "_vwap")

    def __init__(
        self,
        *,
        vwap_bars: int = 20,
        atr_bars: int = 14,
        donchian_bars: int = 20,
        atr_percentile_bars: int = 288,
        proxy_bars: int = 3,
    ) -> None:
        self._vwap = Vwap(vwap_bars)
        self._atr = Atr(atr_bars)
        self._donchian = Donchian(donchian_bars)
        self._percentile = ShareAtOrBelow(atr_percentile_bars)
        self._proxy = ImbalanceProxy(proxy_bars)

    def update(self, high: float, low: float, close: float, volume: float) -> Values:
        vwap, sigma = self._vwap.update((high + low + close) / 3.0, volume)
        atr = self._atr.update(high, low, close)
        top, bottom = self._donchian.update(high, low)
        return Values(
            vwap,
            sigma,
            atr,
            top,
            bottom,
            self._percentile.update(atr / close),
            self._proxy.update(high, low, close, volume),
        )


class Trend:
    """15m trend; `update` with each closed 15m bar answers 1, -1 or 0 (flat while not warm)."""

    __slots__ = ("_count", "_fast", "_slow", "_warmup")

    def __init__(self, *, fast_bars: int = 20, slow_bars: int = 50, warmup_bars: int = 50) -> None:
        self._fast, self._slow = Ema(fast_bars), Ema(slow_bars)
        self._warmup = warmup_bars
        self._count = 0

    def update(self, close: float) -> int:
        self._count += 1
        fast, slow = self._fast.update(close), self._slow.update(close)
        return formulas.trend_of(fast, slow, close) if self._count >= self._warmup else 0
