"""What the venue did to this process lately, and how that ended: told with the heartbeat, shown by the Break it panel.

One process, one log, like its gauges. Nothing decides by it: limiter, clock and booking mend these by themselves.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from threading import Lock

MOST_KEPT = 8
BURST_MS = 300


@dataclass(slots=True)
class Incident:
    """Wall times in ms; None: not yet. `kind`: rate_limited, clock_step, stream_down or told_again."""

    kind: str
    what: str
    detected_ms: int
    count: int = 1
    repaired_ms: int | None = None
    proven_ms: int | None = None


@dataclass(slots=True)
class Incidents:
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    _kept: "deque[Incident]" = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    _refused: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def call(self, name: str, outcome: str) -> None:
        """Every answer of the venue: "ok" or the code of its refusal."""
        with self._lock:
            if outcome == "rate_limited":
                self._refused.add(name)
                self._begin_or_count("rate_limited", name).repaired_ms = self.now_ms()
            elif outcome == "clock_skew":
                self._begin_or_count("clock_step", name).repaired_ms = self.now_ms()
            elif outcome == "ok" and name in self._refused:
                self._refused.discard(name)
                if not self._refused:
                    self._prove("rate_limited")

    def clock_error(self, error_ms: float, *, limit_ms: float) -> None:
        """How far a measurement lay from where the clock was thought to be."""
        with self._lock:
            if abs(error_ms) > limit_ms:
                self._begin_or_count("clock_step", f"{error_ms / 1000:+.1f} s").repaired_ms = self.now_ms()
            else:
                self._prove("clock_step")

    def stream(self, state: str) -> None:
        with self._lock:
            incident = self._open("stream_down")
            if state == "down" and incident is None:
                self._kept.append(Incident("stream_down", "", self.now_ms()))
            elif state == "up" and incident is not None:
                incident.repaired_ms = incident.proven_ms = self.now_ms()

    def told_again(self, count: int) -> None:
        """Executions that were in the books already; each burst of them is an incident of its own."""
        with self._lock:
            now_ms = self.now_ms()
            last = self._kept[-1] if self._kept else None
            if last is not None and last.kind == "told_again" and now_ms - last.detected_ms < BURST_MS:
                last.count += count
                last.repaired_ms = last.proven_ms = now_ms
            else:
                self._kept.append(Incident("told_again", "", now_ms, count, now_ms, now_ms))

    def told(self) -> list[dict[str, object]]:
        with self._lock:
            return [asdict(incident) for incident in self._kept]

    def _begin_or_count(self, kind: str, what: str) -> Incident:
        incident = self._open(kind)
        if incident is None:
            incident = Incident(kind, what, self.now_ms())
            self._kept.append(incident)
        else:
            incident.count += 1
        return incident

    def _prove(self, kind: str) -> None:
        incident = self._open(kind)
        if incident is not None:
            incident.proven_ms = self.now_ms()

    def _open(self, kind: str) -> Incident | None:
        return next((row for row in reversed(self._kept) if row.kind == kind and row.proven_ms is None), None)


INCIDENTS = Incidents()
