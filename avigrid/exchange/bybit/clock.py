"""The exchange's own time, measured. It signs requests, stamps stream states and is the kernel's Clock in live runs."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

RECV_WINDOW_MS = 5000
_MIN_BASE_S = 0.25
_MEASURING_NOISE_S = 0.2
_MAX_RATE_RATIO = 1000.0
_FAST_LAG_MS = 2000.0
_GOOD_ROUND_TRIP_MS = 200.0
STEP_MS = 1_000.0
"""Of our time: so far off is no drift any more, somebody set a clock."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One comparison of clocks; `offset_ms` = exchange - local, `round_trip_ms` bounds its error (by half).

    `error_ms`: how far the exchange's time lay from where the measurement before had led us to expect it.
    """

    offset_ms: float
    round_trip_ms: float
    rate_ratio: float
    error_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class _Anchor:
    local_s: float
    exchange_ms: float


class ExchangeClock:
    """Extrapolates from the last measurement. A real exchange's rate is exactly 1; a simulated one may run faster than
    the wall: its rate is estimated from two measurements (`estimates_rate`) or told with `set_rate`.
    """

    def __init__(
        self,
        *,
        fetch_ms: Callable[[], int],
        monotonic: Callable[[], float],
        wall_ms: Callable[[], int],
        estimates_rate: bool = False,
    ) -> None:
        """`fetch_ms` asks the venue for its time; `wall_ms` is the local UTC clock, used until the first answer."""
        self._fetch_ms = fetch_ms
        self._monotonic = monotonic
        self._wall_ms = wall_ms
        self._lock = Lock()
        self._anchor = _Anchor(monotonic(), float(wall_ms()))
        self._measured = False
        self._rate_ratio = 1.0
        self._estimates_rate = estimates_rate
        self._has_rate = False
        self._was_step = False
        self.last: Measurement | None = None

    @property
    def rate_ratio(self) -> float:
        """Exchange milliseconds per local millisecond: 1, or a simulated exchange's speed."""
        return self._rate_ratio

    @property
    def recv_window_ms(self) -> int:
        """5 s of wall time, in the exchange's time."""
        return max(RECV_WINDOW_MS, round(RECV_WINDOW_MS * self._rate_ratio))

    def now_ms(self) -> int:
        with self._lock:
            return int(self._extrapolated(self._monotonic()))

    def signing_ms(self) -> int:
        """Behind where the exchange runs fast: a busy one falls back in its own time, and refuses stamps from its
        future much sooner than old ones.
        """
        lag_ms = _FAST_LAG_MS * max(0.0, self._rate_ratio - 1.0)
        return int(self.now_ms() - lag_ms)

    def set_rate(self, rate_ratio: float) -> None:
        """Told by a simulated exchange; 0 where its time only moves in steps."""
        with self._lock:
            now_s = self._monotonic()
            self._anchor = _Anchor(now_s, self._extrapolated(now_s))
            self._rate_ratio = rate_ratio
            self._estimates_rate = False

    def measure(self) -> Measurement:
        """One round trip; the venue's answer is taken to be from its middle. Errors of the request pass through."""
        before_s = self._monotonic()
        exchange_ms = float(self._fetch_ms())
        after_s = self._monotonic()
        middle_s = (before_s + after_s) / 2
        with self._lock:
            round_trip_ms = (after_s - before_s) * 1000
            error_ms = exchange_ms - self._extrapolated(middle_s) if self._measured else 0.0
            if not self._measured or not self._is_vague(middle_s, exchange_ms, round_trip_ms):
                self._estimate_rate(middle_s, exchange_ms, error_ms)
                self._anchor = _Anchor(middle_s, exchange_ms)
                self._measured = True
            wall_at_middle_ms = self._wall_ms() - (after_s - middle_s) * 1000
            self.last = Measurement(exchange_ms - wall_at_middle_ms, round_trip_ms, self._rate_ratio, error_ms)
            return self.last

    def _is_vague(self, local_s: float, exchange_ms: float, round_trip_ms: float) -> bool:
        """A slow answer that does not contradict what we know would only make it worse."""
        error_ms = abs(self._extrapolated(local_s) - exchange_ms)
        return round_trip_ms > _GOOD_ROUND_TRIP_MS and error_ms <= round_trip_ms / 2 * max(1.0, self._rate_ratio)

    def _extrapolated(self, local_s: float) -> float:
        return self._anchor.exchange_ms + (local_s - self._anchor.local_s) * 1000 * self._rate_ratio

    def _estimate_rate(self, local_s: float, exchange_ms: float, error_ms: float) -> None:
        elapsed_s = local_s - self._anchor.local_s
        if not self._estimates_rate or not self._measured or elapsed_s < _MIN_BASE_S:
            return
        rate = (exchange_ms - self._anchor.exchange_ms) / (elapsed_s * 1000)
        self._was_step = self._has_rate and not self._was_step and abs(error_ms) > STEP_MS * max(1.0, self._rate_ratio)
        if self._was_step or not 0 <= rate <= _MAX_RATE_RATIO:
            return  # its clock was set, not left to run; where it runs otherwise, the next measurement is as far off
        self._has_rate = True
        is_noise = abs(rate - 1.0) < _MEASURING_NOISE_S / elapsed_s
        self._rate_ratio = 1.0 if is_noise else rate
