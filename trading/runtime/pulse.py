"""The process's signs of life: its lease renewed and its heartbeat written, also in the middle of long work.

Every question to the venue may hang for seconds; a few in a row must not look like a dead process to the watchdog, nor
let the lease run out. Never called inside a transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass

from avigrid.common import heartbeats, leases
from avigrid.common.leases import HeldLease
from trading.runtime.timers import Timers

LEASE_TTL_S = 15.0


@dataclass(slots=True)
class Pulse:
    process: str
    lease: HeldLease
    timers: Timers
    monotonic: Callable[[], float]
    report: Callable[[], dict[str, object]]

    def keep(self) -> None:
        """Whatever of the two is due. Raises LeaseLost where another process took over."""
        now_s = self.monotonic()
        self.renew(now_s)
        self.beat(now_s)

    def renew(self, now_s: float) -> None:
        if self.timers.lease.due(now_s):
            leases.renew(self.lease, ttl_s=LEASE_TTL_S)

    def beat(self, now_s: float) -> None:
        if self.timers.heartbeat.due(now_s):
            heartbeats.beat(self.process, self.report())
