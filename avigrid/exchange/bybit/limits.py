"""Request budgets: how many calls of which group may leave within Bybit's rolling windows, and who goes first.

One budget per endpoint group and account, and one for the IP address shared by everything. Less urgent lanes must leave
room for more urgent ones. A refused budget waits, up to the caller's patience; then the call was surely not sent.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import floor
from threading import Lock
from typing import Protocol

from avigrid.exchange.bybit.calls import Call, Lane
from avigrid.kernel.errors import Retryable

IP_LIMIT = 600
IP_WINDOW_MS = 5000
CALL_WINDOW_MS = 1000

_KEPT_RATIO = {Lane.PROTECT: 0.0, Lane.EXIT: 0.1, Lane.ENTRY: 0.3, Lane.READ: 0.4}
_MAX_NAP_S = 0.25


@dataclass(frozen=True, slots=True)
class Window:
    """A rolling window: at most `limit` calls in `window_ms`, of which the last `kept` are for more urgent lanes."""

    key: str
    limit: int
    window_ms: int
    kept: int


class Windows(Protocol):
    """Where the counting happens. All windows are taken together or none is."""

    @property
    def share_ratio(self) -> float:
        """Which part of the venue's limit this store may spend."""
        ...

    def take(self, windows: tuple[Window, ...]) -> float:
        """0 when taken; otherwise seconds until it is worth asking again."""
        ...

    def fill(self, key: str, window_ms: int, used: int) -> None:
        """The venue counted more than we did: believe it."""
        ...

    def block(self, key: str, seconds: float) -> None: ...


class LocalWindows:
    """One process counting alone, so it takes a careful share."""

    def __init__(self, monotonic: Callable[[], float], share_ratio: float = 0.45) -> None:
        self._monotonic = monotonic
        self._lock = Lock()
        self._taken: dict[str, deque[float]] = {}
        self._blocked_until_s: dict[str, float] = {}
        self.share_ratio = share_ratio

    def take(self, windows: tuple[Window, ...]) -> float:
        with self._lock:
            now_s = self._monotonic()
            wait_s = max(self._wait_s(window, now_s) for window in windows)
            if wait_s > 0:
                return wait_s
            self._record(windows, now_s)
            return 0.0

    def record(self, windows: tuple[Window, ...]) -> None:
        """Count what another store granted."""
        with self._lock:
            self._record(windows, self._monotonic())

    def fill(self, key: str, window_ms: int, used: int) -> None:
        with self._lock:
            now_s = self._monotonic()
            taken = self._current(key, window_ms, now_s)
            taken.extend([now_s] * (used - len(taken)))

    def block(self, key: str, seconds: float) -> None:
        with self._lock:
            until_s = self._monotonic() + seconds
            self._blocked_until_s[key] = max(until_s, self._blocked_until_s.get(key, 0.0))

    def _wait_s(self, window: Window, now_s: float) -> float:
        blocked_s = self._blocked_until_s.get(window.key, now_s) - now_s
        taken = self._current(window.key, window.window_ms, now_s)
        missing = len(taken) + 1 - (window.limit - window.kept)
        if missing <= 0:
            return blocked_s
        return max(blocked_s, taken[min(missing, len(taken)) - 1] + window.window_ms / 1000 - now_s, 0.001)

    def _record(self, windows: tuple[Window, ...], now_s: float) -> None:
        for window in windows:
            self._current(window.key, window.window_ms, now_s).append(now_s)

    def _current(self, key: str, window_ms: int, now_s: float) -> deque[float]:
        taken = self._taken.setdefault(key, deque())
        oldest_s = now_s - window_ms / 1000
        while taken and taken[0] <= oldest_s:
            taken.popleft()
        return taken


class Limiter:
    """Budgets of one account. Thread-safe."""

    def __init__(
        self,
        windows: Windows,
        *,
        account: str,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        """`account` names the API key's owner: limits are per account, except the IP's."""
        self._windows = windows
        self._account = account
        self._monotonic = monotonic
        self._sleep = sleep
        self._venue_limits: dict[str, int] = {}
        self.waited_s: defaultdict[str, float] = defaultdict(float)
        self.refused: Counter[str] = Counter()

    def acquire(self, call: Call, lane: Lane, *, patience_s: float = 5.0) -> None:
        """Returns when the call may be sent now. Raises Retryable when that would take longer than `patience_s`."""
        windows = self._windows_for(call, lane)
        started_s = self._monotonic()
        while (wait_s := self._windows.take(windows)) > 0:
            waited_s = self._monotonic() - started_s
            if waited_s + wait_s > patience_s:
                self.refused[call.name] += 1
                raise Retryable(
                    f"{call.name}: no budget within {patience_s:g} s, free in {wait_s:.2f} s",
                    code="budget_exhausted",
                    retry_after_s=wait_s,
                    call=call.name,
                    lane=lane.name.lower(),
                )
            self._sleep(min(wait_s, _MAX_NAP_S))
            windows = self._windows_for(call, lane)
        if (waited_s := self._monotonic() - started_s) >= 0.001:
            self.waited_s[call.name] += waited_s

    def observe(self, call: Call, headers: Mapping[str, str]) -> None:
        """The venue's own count, from the answer's headers (absent on public calls)."""
        limit, left = _whole(headers.get("X-Bapi-Limit")), _whole(headers.get("X-Bapi-Limit-Status"))
        if not call.per_second or limit is None or limit <= 0:
            return
        self._venue_limits[call.name] = limit
        if left is not None and left * 2 < limit:
            self._windows.fill(self._key(call), CALL_WINDOW_MS, min(limit, limit - left))

    def refused_by_venue(self, call: Call, *, seconds: float) -> None:
        """10006: nothing of this group (of all public calls, for those) leaves before the venue's window moves on."""
        self._windows.block(self._key(call) if call.per_second else "public", seconds)

    def block_address(self, *, seconds: float) -> None:
        """HTTP 403: the venue shut our IP address out; asking on would prolong it."""
        self._windows.block("ip", seconds)

    def _windows_for(self, call: Call, lane: Lane) -> tuple[Window, ...]:
        share = self._windows.share_ratio
        ip_limit = max(1, floor(IP_LIMIT * share))
        address = Window("ip", ip_limit, IP_WINDOW_MS, floor(ip_limit * _KEPT_RATIO[lane]))
        if not call.per_second:
            return (address, replace(address, key="public"))
        limit = max(1, floor(self._venue_limits.get(call.name, call.per_second) * share))
        kept = min(floor(limit * _KEPT_RATIO[lane]), limit - 1) if call.writes else 0
        return (address, Window(self._key(call), limit, CALL_WINDOW_MS, kept))

    def _key(self, call: Call) -> str:
        return f"{self._account}:{call.name}"


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
