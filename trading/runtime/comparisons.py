"""When books and venue are compared, and what is looked at from time to time: the rounds of the execution process."""

from dataclasses import dataclass

from trading.runtime.context import Context
from trading.runtime.foreign import Foreign
from trading.runtime.idle import Idle
from trading.runtime.protection import Protection
from trading.runtime.reconciliation import Reconciler
from trading.runtime.timers import Timers


@dataclass(slots=True)
class Comparisons:
    context: Context
    timers: Timers
    reconciler: Reconciler
    protection: Protection
    foreign: Foreign
    idle: Idle
    last: str = ""
    """Scope and outcome of the newest one."""

    def run(self, scope: str) -> str:
        """One at a time per account: while a run by hand holds the lease, this one waits for its next time."""
        result = self.reconciler.run(scope)
        if result.status == "busy":
            return "busy"
        self.last = f"{scope} {result.status}"
        return result.status

    def begun(self, now_s: float) -> None:
        """The first one just looked at everything: each timer counts from now."""
        for timer in (self.timers.orders, self.timers.positions, self.timers.wallet, self.timers.audit):
            timer.last_s = now_s

    def sweep(self, now_s: float) -> None:
        if self.timers.full.due(now_s):
            self.run("full")
        if self.timers.orders.due(now_s):
            self.run("orders")
        if self.timers.positions.due(now_s):
            self.foreign_wishes()
            self.run("positions")
        if self.timers.wallet.due(now_s):
            self.run("wallet")
        if self.timers.audit.due(now_s):
            self.protection.run(audit_all=True)
        if self.timers.idle.due(now_s):
            self.idle.look()

    def foreign_wishes(self) -> None:
        if self.foreign.run():
            self.timers.positions.last_s = float("-inf")
