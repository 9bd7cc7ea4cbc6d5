"""The exchange's own time: it runs at a chosen speed from a chosen start, or stands still until stepped."""

from collections.abc import Callable

MAX_SPEED = 1_000.0


class SimulatedClock:
    """`wall_s` is any monotonic clock in seconds; speed 0 means stepped."""

    def __init__(self, *, start_ms: int, speed: float, wall_s: Callable[[], float]) -> None:
        self._wall_s = wall_s
        self._base_ms = float(start_ms)
        self._base_wall_s = wall_s()
        self._speed = _checked(speed)

    @property
    def speed(self) -> float:
        return self._speed

    @property
    def is_stepped(self) -> bool:
        return self._speed == 0

    def now_ms(self) -> int:
        return int(self._exact_ms())

    def set_speed(self, speed: float) -> None:
        speed = _checked(speed)
        self._rebase(self._exact_ms())
        self._speed = speed

    def step(self, ms: int) -> None:
        if ms < 0:
            raise ValueError(f"time cannot go back: {ms} ms")
        self._rebase(self._exact_ms() + ms)

    def hold_back_to(self, now_ms: int) -> None:
        """Where the machine cannot keep up, simulated time runs slower instead of skipping."""
        self._rebase(float(now_ms))

    def _exact_ms(self) -> float:
        return self._base_ms + (self._wall_s() - self._base_wall_s) * 1_000 * self._speed

    def _rebase(self, now_ms: float) -> None:
        self._base_ms = now_ms
        self._base_wall_s = self._wall_s()


def _checked(speed: float) -> float:
    if not 0 <= speed <= MAX_SPEED:
        raise ValueError(f"speed must be within 0..{MAX_SPEED:g}, got {speed:g}")
    return float(speed)
