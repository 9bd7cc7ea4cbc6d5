"""Bars of one series, built from its own prints. Minutes are kept exactly; longer bars are folded from them.

Values are integers in the series' own units, so that a bar is exactly what its trades make it. An empty minute opens
and closes at the previous close with volume 0.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

MINUTE_MS = 60_000
DAY_MS = 86_400_000
INTERVALS = ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W", "M")
_KEEP = 40_000

Bar = tuple[int, int, int, int, int, int, int]
"""start_ms, open, high, low, close, volume, turnover."""
OnClose = Callable[[str, Bar, int], None]
"""(interval, closed bar, start of the next)."""


def bar_start(interval: str, ms: int) -> int:
    if interval == "D":
        return ms - ms % DAY_MS
    if interval == "W":
        return ms - (ms - 4 * DAY_MS) % (7 * DAY_MS)
    if interval == "M":
        day = datetime.fromtimestamp(ms / 1000, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp() * 1000)
    return ms - ms % (int(interval) * MINUTE_MS)


def bar_end(interval: str, start_ms: int) -> int:
    """First millisecond after the bar."""
    if interval == "D":
        return start_ms + DAY_MS
    if interval == "W":
        return start_ms + 7 * DAY_MS
    if interval == "M":
        return bar_start("M", start_ms + 32 * DAY_MS)
    return start_ms + int(interval) * MINUTE_MS


def fold(left: Bar, right: Bar) -> Bar:
    """Two neighbouring bars as one; the left one gives start and open."""
    return (
        left[0],
        left[1],
        right[2] if right[2] > left[2] else left[2],
        right[3] if right[3] < left[3] else left[3],
        right[4],
        left[5] + right[5],
        left[6] + right[6],
    )


@dataclass(slots=True)
class Part:
    """The open bar of a longer interval, [start_ms, end_ms), and what its closed minutes came to."""

    interval: str
    start_ms: int = -1
    end_ms: int = -1
    bar: Bar | None = None

    def begin(self, start_ms: int) -> None:
        self.start_ms, self.end_ms, self.bar = start_ms, bar_end(self.interval, start_ms), None


class Bars:
    def __init__(self, on_close: OnClose | None = None) -> None:
        self._on_close = on_close
        self._closed: dict[str, list[Bar]] = {interval: [] for interval in INTERVALS}
        self._parts = {interval: Part(interval) for interval in INTERVALS[1:]}
        self._next_end = -1
        """When the first of the longer bars closes: until then an empty minute changes none of them."""
        self._start = -1
        self._open = self._high = self._low = self._close = self._volume = self._turnover = 0

    @property
    def last(self) -> int | None:
        return self._close if self._start >= 0 else None

    def load(self, interval_min: int, bars: Iterable[Bar]) -> None:
        """Bars before the first print; also folded into every longer interval they divide."""
        source = str(interval_min)
        loaded = list(bars)
        for interval in INTERVALS:
            whole = interval in "DWM" or int(interval) % interval_min == 0
            if interval == source:
                self._closed[interval] = loaded
            elif whole:
                self._closed[interval], partial = self._folded(interval, loaded, source)
                if partial is not None:
                    self._parts[interval].begin(partial[0])
                    self._parts[interval].bar = partial
        if loaded and self._start < 0:
            end = bar_end(source, loaded[-1][0])
            self._begin_first(end, loaded[-1][4])

    @staticmethod
    def _folded(interval: str, bars: list[Bar], source: str) -> tuple[list[Bar], Bar | None]:
        done: list[Bar] = []
        current: Bar | None = None
        for bar in bars:
            start = bar_start(interval, bar[0])
            grows = current is not None and current[0] == start
            current = fold(current, bar) if grows and current is not None else (start, *bar[1:])
            if bar_end(source, bar[0]) >= bar_end(interval, start):
                done.append(current)
                current = None
        return done, current

    def _begin_first(self, start_ms: int, price: int) -> None:
        for part in self._parts.values():
            if not part.start_ms <= start_ms < part.end_ms:
                part.begin(bar_start(part.interval, start_ms))
        self._next_end = min(part.end_ms for part in self._parts.values())
        self._begin(start_ms, price)

    def _begin(self, start_ms: int, price: int) -> None:
        self._start = start_ms
        self._open = self._high = self._low = self._close = price
        self._volume = self._turnover = 0

    def print(self, ms: int, price: int, qty: int = 0) -> None:
        """A trade (or a value with qty 0); time never runs backwards. A bar opens at the previous close, as Bybit's."""
        if self._start < 0:
            self._begin_first(ms - ms % MINUTE_MS, price)
        elif ms >= self._start + MINUTE_MS:
            self.roll(ms)
        if price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._close = price
        self._volume += qty
        self._turnover += price * qty

    def roll(self, now_ms: int) -> None:
        """Closes every minute that ended by `now_ms`."""
        while self._start >= 0 and self._start + MINUTE_MS <= now_ms:
            minute = self._minute()
            following = self._start + MINUTE_MS
            self._finish("1", minute, following)
            if minute[5] or minute[2] != minute[3] or following >= self._next_end:
                self._grow(minute, following)
            self._begin(following, minute[4])

    def _grow(self, minute: Bar, following: int) -> None:
        """One closed minute into every longer bar; those that end with it are closed."""
        for part in self._parts.values():
            bar = (part.start_ms, *minute[1:]) if part.bar is None else fold(part.bar, minute)
            if following >= part.end_ms:
                self._finish(part.interval, bar, following)
                part.begin(following)
            else:
                part.bar = bar
        self._next_end = min(part.end_ms for part in self._parts.values())

    def _finish(self, interval: str, bar: Bar, following: int) -> None:
        rows = self._closed[interval]
        rows.append(bar)
        if len(rows) > _KEEP:
            del rows[: _KEEP // 4]
        if self._on_close is not None:
            self._on_close(interval, bar, following)

    def _minute(self) -> Bar:
        return (self._start, self._open, self._high, self._low, self._close, self._volume, self._turnover)

    def current(self, interval: str) -> Bar | None:
        """The open bar."""
        if self._start < 0:
            return None
        minute = self._minute()
        if interval == "1":
            return minute
        part = self._parts[interval]
        return (part.start_ms, *minute[1:]) if part.bar is None else fold(part.bar, minute)

    def closed(self, interval: str) -> list[Bar]:
        return self._closed[interval]

    def select(self, interval: str, start: int | None, end: int | None, limit: int) -> list[Bar]:
        """Oldest first, open bar included. Only start: the first `limit` from it; otherwise the newest `limit`."""
        rows = self._closed[interval]
        current = self.current(interval)
        low = 0 if start is None else bisect_left(rows, (bar_start(interval, start),))
        high = len(rows) if end is None else bisect_right(rows, (end, 1 << 80))
        with_open = current is not None and (end is None or current[0] <= end)
        if with_open and start is not None:
            with_open = current is not None and current[0] >= bar_start(interval, start)
        if start is not None and end is None:
            chosen = rows[low : min(high, low + limit)]
            if with_open and current is not None and len(chosen) < limit:
                chosen = [*chosen, current]
            return chosen
        tail = [current] if with_open and current is not None else []
        room = limit - len(tail)
        return [*rows[max(low, high - room) : high], *tail] if room > 0 else tail
