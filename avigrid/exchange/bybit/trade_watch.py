"""Whether the tape is dead or only quiet: a symbol whose bar grows trades, whatever its trade topic says.

Silence alone proves nothing for trades of a sleepy symbol; the volume of the unclosed bar does.
"""

from collections.abc import Callable
from dataclasses import dataclass

from avigrid.kernel.market import Kline


@dataclass(slots=True)
class _Seen:
    interval_min: int
    start_ms: int
    volume: float
    has_moved: bool = True
    """Whether a trade came since the bar last grew: the two topics are not in step with each other."""
    owed_s: float | None = None
    """Since when the bar has grown without any trade."""


class TradeWatch:
    def __init__(self, *, silence_s: float, monotonic: Callable[[], float]) -> None:
        self._silence_s = silence_s
        self._monotonic = monotonic
        self._seen: dict[str, _Seen] = {}

    def traded(self, symbol: str) -> None:
        seen = self._seen.get(symbol)
        if seen is not None:
            seen.has_moved = True
            seen.owed_s = None

    def grew(self, bar: Kline) -> bool:
        """True where the tape of this symbol has owed trades for too long; then the count begins anew."""
        seen = self._seen.get(bar.symbol)
        if seen is None or bar.interval_min < seen.interval_min:
            self._seen[bar.symbol] = _Seen(bar.interval_min, bar.start_ms, bar.volume)
            return False
        if bar.interval_min > seen.interval_min:
            return False  # the shortest interval tells soonest
        has_grown = bar.start_ms == seen.start_ms and bar.volume > seen.volume
        seen.start_ms, seen.volume = bar.start_ms, bar.volume
        if not has_grown:
            return False
        if seen.has_moved:
            seen.has_moved = False
            return False
        now_s = self._monotonic()
        if seen.owed_s is None:
            seen.owed_s = now_s
        if now_s - seen.owed_s <= self._silence_s:
            return False
        seen.owed_s = now_s
        return True

    def forget(self, symbol: str) -> None:
        self._seen.pop(symbol, None)
