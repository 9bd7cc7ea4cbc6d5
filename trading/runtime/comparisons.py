"""When books and venue are compared, and what is looked at from time to time: the rounds of the execution process."""

from dataclasses import dataclass

import structlog
from django.db import Error as DatabaseError

from trading.runtime.context import Context
from trading.runtime.foreign import Foreign
from trading.runtime.guarding import DATABASE_LOST
from trading.runtime.idle import Idle
from trading.runtime.protection import Protection
from trading.runtime.reconciliation import Reconciler
from trading.runtime.timers import Timers
from trading.services.alerts import alert_raise

log = structlog.get_logger(__name__)


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
        try:
            status = self.reconciler.run(scope).status
        except DATABASE_LOST:
            raise
        except DatabaseError as error:
            status = self._not_written(scope, error)
        if status != "busy":
            self.last = f"{scope} {status}"
        return status

    def _not_written(self, scope: str, error: DatabaseError) -> str:
        """Nothing is concluded from it, and nothing opens where it was the first; exits and stops go on."""
        log.error("reconciliation_failed", scope=scope, exc_info=error)
        name = type(error).__name__
        alert_raise(
            kind="reconciliation_failed",
            severity="critical",
            dedupe_key=f"{self.context.account_id}:{scope}:{name}:{self.context.now():%Y-%m-%d-%H}",
            sentence=f"A comparison ({scope}) cannot be written ({name}).",
            now=self.context.now(),
        )
        return "incomplete"

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
