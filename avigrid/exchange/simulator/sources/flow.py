"""Which way a recorded market leaned, judged by nothing but what has happened so far.

No book was recorded with the bars, so the one shown leans as the trades did: each bar's volume is split by where its
price stands between its low and high, over the bar that forms and the two before it. At a bar's close this is the very
stand-in that a strategy without a recorded book would compute from the bars.
"""

from collections import deque

_BARS = 3
_MOST = 0.9


class Flow:
    """One symbol's. `begin`, then `trade` for each trade, then `end`, bar after bar."""

    __slots__ = ("_closed", "_high", "_last", "_low", "_volume")

    def __init__(self) -> None:
        self._closed: deque[tuple[float, float]] = deque(maxlen=_BARS)
        self._volume = self._high = self._low = self._last = 0.0

    def begin(self, price: float) -> None:
        self._volume = 0.0
        self._high = self._low = self._last = price

    def trade(self, price: float, quantity: float) -> None:
        self._volume += quantity
        self._high, self._low, self._last = max(self._high, price), min(self._low, price), price

    def end(self) -> None:
        self._closed.append((self._signed, self._volume))
        self._volume = 0.0

    @property
    def lean(self) -> float:
        """In [-0.9, 0.9]; above 0 where buyers had the upper hand."""
        bars = list(self._closed)
        if self._volume > 0:
            bars = [*bars[-(_BARS - 1) :], (self._signed, self._volume)]
        volume = sum(volume for _, volume in bars)
        if volume <= 0:
            return 0.0
        signed = sum(signed for signed, _ in bars)
        return max(-_MOST, min(_MOST, signed / volume))

    @property
    def _signed(self) -> float:
        span = self._high - self._low
        return self._volume * (2 * self._last - self._high - self._low) / span if span > 0 else 0.0
