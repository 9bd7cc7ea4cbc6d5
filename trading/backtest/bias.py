"""Checks that a decision depends on nothing it could not know, and on no more history than the live window holds."""

from dataclasses import dataclass, replace

import numpy as np

from avigrid.kernel.instrument import FeeRates
from trading.avi5.config import StrategyConfig
from trading.avi5.decide import Decision, decide
from trading.avi5.window import BAR_15M_MS, MarketWindow, indicators_at_end
from trading.backtest.data import MarketData, prepare
from trading.backtest.series import decision_at, indicator_series, next_funding_ms

TOLERANCE = 1e-9
_VALUES = ("vwap", "sigma", "atr", "donchian_high", "donchian_low", "atr_percentile", "ema_fast", "ema_slow")


@dataclass(frozen=True, slots=True)
class Finding:
    """`differing` names the bars (start_ms) whose decision changed."""

    name: str
    checked: int
    differing: tuple[int, ...]
    sentence: str

    @property
    def is_checked(self) -> bool:
        """False: there was too little to look at, which says nothing."""
        return self.checked > 0

    @property
    def is_clean(self) -> bool:
        return not self.differing


def check_lookahead(
    data: MarketData, config: StrategyConfig, *, cuts: int = 12, seed: int = 7, fees: FeeRates | None = None
) -> Finding:
    """Cut history at random bars: the last decisions before each cut must be what they are with all of it."""
    fees = fees or FeeRates()
    full = indicator_series(data, config)
    count, first = len(data.bars_5m), config.warmup_5m_bars
    if count <= first or not full.is_warm[first:].any():
        return Finding("lookahead", 0, (), f"not checked: {count} 5m bars do not reach past the warm-up of {first}")
    rng = np.random.default_rng(seed)
    differing: list[int] = []
    checked = 0
    for cut in sorted(rng.integers(first, count, size=cuts).tolist()):
        part = truncated(data, cut + 1)
        series = indicator_series(part, config)
        for i in range(max(0, cut - 20), cut + 1):
            checked += 1
            if not same(
                decision_at(part, series, i, config, fees), decision_at(data, full, i, config, fees), tolerance=0.0
            ):
                differing.append(int(data.bars_5m.start_ms[i]))
    return Finding(
        "lookahead",
        checked,
        tuple(differing),
        f"{checked} decisions at {cuts} random ends of history: {len(differing)} changed when later bars were known",
    )


def check_warm_up(
    data: MarketData, config: StrategyConfig, *, samples: int = 60, seed: int = 7, fees: FeeRates | None = None
) -> Finding:
    """Decide from the live window alone: longer history (all of it) must give the same decision.

    The sentence also tells how many decisions would differ with the bare warm-up, where the slow EMA still remembers
    its seed: that is why the live window is longer.
    """
    fees = fees or FeeRates()
    full = indicator_series(data, config)
    closed_15m = np.searchsorted(data.bars_15m.start_ms + BAR_15M_MS, full.close_ms, side="right")
    behind = np.arange(1, len(data.bars_5m) + 1)
    longer = np.flatnonzero((behind > config.history_5m_bars) & (closed_15m > config.history_15m_bars))
    if not len(longer):
        return Finding(
            "warm_up",
            0,
            (),
            f"not checked: {len(data.bars_5m)} 5m and {len(data.bars_15m)} 15m bars are not more than the live window "
            f"takes, {config.history_5m_bars} and {config.history_15m_bars}",
        )
    rng = np.random.default_rng(seed)
    picked = sorted(rng.choice(longer, size=samples).tolist())
    differing = [
        int(data.bars_5m.start_ms[i])
        for i in picked
        if not same(_from_window(data, i, config, fees), decision_at(data, full, i, config, fees))
    ]
    bare = sum(
        _from_window(data, i, config, fees, bare=True).direction != decision_at(data, full, i, config, fees).direction
        or _trend(data, i, config) != int(full.trend[i])
        for i in picked
    )
    return Finding(
        "warm_up",
        len(picked),
        tuple(differing),
        f"{len(picked)} decisions from the live window ({config.history_5m_bars} 5m, {config.history_15m_bars} 15m "
        f"bars): {len(differing)} differ from full history; from the bare warm-up ({config.warmup_15m_bars} 15m bars) "
        f"{bare} would have another trend or direction",
    )


def same(a: Decision, b: Decision, *, tolerance: float = TOLERANCE) -> bool:
    """Equal direction and rule outcomes; values within a relative tolerance (NaN equals NaN)."""
    if (a.direction, a.status, a.failed_rules) != (b.direction, b.status, b.failed_rules):
        return False
    pairs = [(getattr(a.indicators, name), getattr(b.indicators, name)) for name in _VALUES]
    pairs += [(a.imbalance, b.imbalance), (a.score, b.score), (a.cost_r, b.cost_r)]
    return all(_close(x, y, tolerance) for x, y in pairs)


def truncated(data: MarketData, bars: int) -> MarketData:
    """The same data as if it had been looked at when 5m bar `bars - 1` closed."""
    end_ms = int(data.bars_5m.start_ms[bars - 1]) + 300_000
    closed = int(np.searchsorted(data.bars_15m.start_ms + BAR_15M_MS, end_ms, side="right"))
    known = {
        int(data.bars_5m.start_ms[i]): data.book.at(data.symbol, i) for i in np.flatnonzero(data.book.has_book).tolist()
    }
    return prepare(
        data.symbol,
        data.bars_5m.part(0, bars),
        bars_15m=data.bars_15m.part(0, closed),
        funding=data.funding,
        features={start: book for start, book in known.items() if book is not None and start < end_ms},
    )


def window_at(data: MarketData, i: int) -> MarketWindow:
    """Everything that had closed when 5m bar i closed."""
    end_ms = int(data.bars_5m.start_ms[i]) + 300_000
    closed = int(np.searchsorted(data.bars_15m.start_ms + BAR_15M_MS, end_ms, side="right"))
    return MarketWindow(data.symbol, data.bars_5m.part(0, i + 1), data.bars_15m.part(0, closed))


def _from_window(data: MarketData, i: int, config: StrategyConfig, fees: FeeRates, *, bare: bool = False) -> Decision:
    window = window_at(data, i)
    deep_5m = config.warmup_5m_bars if bare else config.history_5m_bars
    deep_15m = config.warmup_15m_bars if bare else config.history_15m_bars
    window = replace(window, bars_5m=window.bars_5m.tail(deep_5m), bars_15m=window.bars_15m.tail(deep_15m))
    return decide(
        window,
        data.book.at(data.symbol, i),
        config,
        now_ms=window.close_ms,
        next_funding_ms=next_funding_ms(window.close_ms),
        fees=fees,
    )


def _trend(data: MarketData, i: int, config: StrategyConfig) -> int:
    window = window_at(data, i)
    bare = replace(window, bars_15m=window.bars_15m.tail(config.warmup_15m_bars))
    return indicators_at_end(bare, config).trend


def _close(a: float, b: float, tolerance: float) -> bool:
    if a != a or b != b:  # NaN
        return a != a and b != b
    return abs(a - b) <= tolerance * max(abs(a), abs(b))
