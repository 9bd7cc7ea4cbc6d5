"""Time as a thing that is passed in."""

from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """UTC milliseconds since the epoch; on a simulated exchange, the exchange's own time."""
        ...


class FixedClock:
    """A clock that stands still until moved; for tests and replays."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    def advance(self, ms: int) -> None:
        self._now_ms += ms
