"""The hidden mid prices of a made-up market: correlated symbols, clustered volatility, regimes, jumps, order-flow
imbalance.

A function of (seed, characters, anchor): minute after minute from an anchor midnight, so two runs that start on the
same day see the same prices at the same times. float64 throughout; the edge to Decimal is where trades and levels are
made.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avigrid.exchange.simulator.sources.catalogue import Character

Floats = NDArray[np.float64]

SECONDS = 60
_FLOW_MEMORY_S = 25.0
_FLOW_SPREAD = 0.36
_FLOW_PULL = 0.035
_JUMP_PER_MIN = 1 / 420
_OWN_JUMP_PER_MIN = 1 / 2_400
_TREND_PER_MIN = 0.000045


@dataclass(frozen=True, slots=True)
class Minute:
    """Arrays over [second, symbol] (mids, imbalance) or [symbol]; `opens` is the mid the minute began at."""

    index: int
    opens: Floats
    mids: Floats
    imbalance: Floats
    vol_ratio: Floats
    activity: Floats


class MarketProcess:
    """Regimes: +1 trending up, -1 down, 0 ranging around where it began; the symbols share one factor by their
    betas.
    """

    def __init__(self, characters: Sequence[Character], *, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._n = len(characters)
        self._beta = np.array([c.beta for c in characters])
        sigma_1s = np.array([c.sigma_5m for c in characters]) / math.sqrt(300)
        self._sigma = sigma_1s
        self._factor_sigma = 0.0013 / math.sqrt(300) * 0.85
        own_variance = sigma_1s**2 - (self._beta * self._factor_sigma) ** 2
        self._own_sigma = np.sqrt(np.maximum(own_variance, 0.25 * sigma_1s**2))
        self._base = np.log(np.array([c.base_price for c in characters]))
        self._log_price = self._base.copy()
        self._level = 0.0
        self._slow_vol = 0.0
        self._fast_vol = 0.0
        self._own_vol = np.zeros(self._n)
        self._flow = np.zeros(self._n)
        self._regime = 0
        self._regime_left = 0
        self._range_level = 0.0
        self._index = 0
        steps = np.arange(SECONDS)
        keep = math.exp(-1 / _FLOW_MEMORY_S)
        self._flow_decay = keep ** (steps + 1)
        lag = steps[:, None] - steps[None, :]
        self._flow_mix = np.where(lag >= 0, keep ** np.maximum(lag, 0), 0.0) * math.sqrt(1 - keep * keep)

    def minute(self) -> Minute:
        """The next minute; indexes count from the anchor."""
        index = self._index
        self._index += 1
        rng = self._rng
        vol_ratio, activity = self._volatility(index)
        drift = self._drift(float(vol_ratio.mean()))
        jump = self._jump(vol_ratio)

        noise = rng.standard_normal((SECONDS, self._n))
        flow = self._flow_decay[:, None] * self._flow + self._flow_mix @ noise
        self._flow = flow[-1]
        imbalance = np.tanh(_FLOW_SPREAD * flow + 0.16 * self._regime)

        factor = rng.standard_normal((SECONDS, 1)) * self._factor_sigma
        own = rng.standard_normal((SECONDS, self._n)) * self._own_sigma
        steps = (factor * self._beta + own) * vol_ratio
        steps += drift * self._beta / SECONDS
        steps += _FLOW_PULL * self._sigma * vol_ratio * imbalance
        steps += jump
        opens = np.exp(self._log_price)
        path = self._log_price + np.cumsum(steps, axis=0)
        # A weak pull home keeps a market that runs for weeks within reason.
        self._log_price = path[-1] + (self._base - path[-1]) / 28_800
        self._level = float(np.mean((self._log_price - self._base) / self._beta))
        return Minute(index, opens, np.exp(path), imbalance, vol_ratio, activity)

    def _volatility(self, index: int) -> tuple[Floats, Floats]:
        rng = self._rng
        hour = (index // 60) % 24
        of_day = 0.85 + 0.45 * math.exp(-((hour - 14.5) ** 2) / 10) + 0.15 * math.exp(-((hour - 1.0) ** 2) / 3)
        z = rng.standard_normal(2)
        self._slow_vol += -self._slow_vol / 150 + 0.048 * float(z[0])
        self._fast_vol += -self._fast_vol / 22 + 0.10 * float(z[1])
        self._own_vol += -self._own_vol / 60 + 0.04 * rng.standard_normal(self._n)
        shared = of_day * math.exp(self._slow_vol + self._fast_vol - 0.28)
        vol_ratio = np.clip(shared * np.exp(self._own_vol), 0.4, 8.0)
        activity = np.clip(vol_ratio**1.15 * np.exp(0.25 * rng.standard_normal(self._n)), 0.15, 12.0)
        return vol_ratio, activity

    def _drift(self, vol: float) -> float:
        """Per minute, of the shared factor; quiet markets trend slowly."""
        if self._regime_left <= 0:
            pick = float(self._rng.random())
            self._regime = 1 if pick < 0.32 else -1 if pick < 0.61 else 0
            self._regime_left = 60 + int(self._rng.exponential(170))
            self._range_level = self._level
        self._regime_left -= 1
        if self._regime:
            return self._regime * _TREND_PER_MIN * min(1.5, vol)
        return (self._range_level - self._level) / 80

    def _jump(self, vol_ratio: Floats) -> Floats:
        """Rare moves spread over some seconds; a shared one also wakes volatility."""
        rng = self._rng
        out = np.zeros((SECONDS, self._n))
        chance = rng.random(self._n + 1)
        if chance[0] < _JUMP_PER_MIN:
            size = float(rng.uniform(0.0015, 0.008)) * (1 if rng.random() < 0.5 else -1)
            start, length = int(rng.integers(0, 35)), int(rng.integers(4, 25))
            weights = self._beta * rng.uniform(0.7, 1.3, self._n)
            out[start : start + length] += size * weights / length
            self._fast_vol += 0.9
        for column in np.nonzero(chance[1:] < _OWN_JUMP_PER_MIN)[0]:
            start = int(rng.integers(0, 50))
            out[start : start + 6, column] += float(rng.normal(0, 0.004)) / 6
        return out
