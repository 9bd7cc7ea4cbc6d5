"""What all parts of the wire share: the venue, its clock, the faults, the budgets and the counters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from avigrid.exchange.simulator.auth import Credentials
from avigrid.exchange.simulator.clock import SimulatedClock
from avigrid.exchange.simulator.faults import FaultBoard
from avigrid.exchange.simulator.rate_limits import RateLimiter
from avigrid.exchange.simulator.venue import Venue

SKEWS = "clock_skew"


@dataclass(slots=True)
class House:
    """`wire_s` is the time base of connections: delays, budgets, heartbeats. It may differ from the exchange's own
    clock.
    """

    venue: Venue
    clock: SimulatedClock
    credentials: Credentials
    wire_s: Callable[[], float]
    wall_ms: Callable[[], int]
    faults: FaultBoard = field(default_factory=FaultBoard)
    limiter: RateLimiter = field(default_factory=RateLimiter)
    counters: dict[str, int] = field(default_factory=dict)
    down_until_ms: int = 0
    refuse_sockets_until_ms: int = 0
    hidden_orders: dict[str, tuple[int, bool]] = field(default_factory=dict)
    """orderId -> (visible from, executions hidden too)."""

    @property
    def now_ms(self) -> int:
        return self.venue.now_ms

    @property
    def is_down(self) -> bool:
        return self.venue.now_ms < self.down_until_ms

    def count(self, name: str, by: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + by

    def reported_ms(self, facts: Mapping[str, object] | None = None) -> int:
        """The exchange's time as clients are told it: the venue's, plus a skew fault."""
        now_ms = self.venue.now_ms
        if self.faults.is_quiet:
            return now_ms
        fault = self.faults.peek(SKEWS, now_ms, facts or {})
        return now_ms + int(fault.number("skew_ms")) if fault else now_ms

    def stamps_to_try(self, reported_ms: int) -> tuple[int, ...]:
        """Clocks a signed timestamp may agree with.

        The exchange's own, and, where that one is elsewhere (a replay, a fast run), the wall clock: a client written
        for the real exchange knows only that. A skew fault moves both.
        """
        skew_ms = reported_ms - self.venue.now_ms
        return reported_ms, self.wall_ms() + skew_ms
