"""The dead man's switch: halts an account when market data or execution fall silent. Needs only database and venue."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from django.db import InterfaceError, OperationalError, connection

from avigrid.common import heartbeats
from avigrid.kernel.errors import AviGridError
from risk.core.states import StateSource
from trading.models import OPEN_PLAN_STATUSES, Plan
from trading.runtime.kill import Outcome, flatten_now, halt_now
from trading.runtime.venue_line import VenueLine
from trading.selectors.exchange_time import process_name
from trading.selectors.kill_switch import flatten_pending

log = structlog.get_logger(__name__)

SILENCE_S = 30.0
EVERY_S = 2.0


@dataclass(slots=True)
class Watchdog:
    """A process is missed where it is needed (an open plan, a flattening that is not over) or was seen alive.

    Whoever was silent before this began gets as long as anybody from its beginning: after a reboot all start at once.
    """

    account_id: int
    silence_s: float = SILENCE_S
    halt: Callable[..., Outcome] = halt_now
    flatten: Callable[..., Outcome] = flatten_now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _line: VenueLine | None = None
    _since_s: float | None = None
    _told: set[str] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)

    def look(self) -> list[str]:
        """Which processes are newly silent; the account is halted for them."""
        pending = flatten_pending(self.account_id)
        silences = self._silences(is_needed=bool(pending) or self._has_open_plans())
        silent = sorted(name for name, silence_s in silences.items() if silence_s > self.silence_s)
        self._told &= set(silent)
        new = [name for name in silent if name not in self._told]
        if new:
            what = ", ".join(f"{name} ({silences[name]:.0f} s)" for name in new)
            log.error("process_silent", silent=new)
            # also where HALTED stands already: a halt pressed while execution is silent has cancelled nothing yet
            done = self.halt(
                account_id=self.account_id,
                symbol=None,
                reason=f"No sign of life from {what}.",
                actor="watchdog",
                source=StateSource.WATCHDOG,
                line=self.line,
            ).done
            if done:
                self._told |= set(new)
        if "execution" in silent:
            for symbol in pending:
                self.flatten(
                    account_id=self.account_id,
                    symbol=symbol,
                    reason="execution is silent",
                    actor="watchdog",
                    line=self.line,
                    sleep=self._pause,
                )
        return new

    def run(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Nothing that passes ends it: a sealed key store, a venue or a database that does not answer."""
        while not until():
            try:
                self._hold_venue()
                self.look()
                self._beat()
            except (OperationalError, InterfaceError) as error:
                log.warning("database_lost", error=type(error).__name__)
                connection.close()
            except AviGridError as error:
                log.error("watchdog_hindered", code=error.code)
            self.sleep(EVERY_S)

    @property
    def line(self) -> VenueLine:
        if self._line is None:
            self._line = VenueLine(self.account_id, process="watchdog")
        return self._line

    def _hold_venue(self) -> None:
        """The key is opened while it can be: on the day it is needed the key store may be sealed."""
        try:
            self.line.venue()
        except AviGridError as error:
            log.warning("venue_not_held", code=error.code)

    def _silences(self, *, is_needed: bool) -> dict[str, float]:
        """Seconds without a sign of life, of the processes that are missed; by the first part of their names."""
        now_s = self.monotonic()
        if self._since_s is None:
            self._since_s = now_s
        execution = process_name(self.account_id)
        ages: dict[str, float] = {}
        for life in heartbeats.lives():
            name = life.process.split(":")[0]
            if life.process == execution or name == "market_data":
                ages[name] = min(life.age_s, ages.get(name, float("inf")))
        self._seen |= {name for name, age_s in ages.items() if age_s <= self.silence_s}
        if is_needed:
            ages.setdefault("execution", float("inf"))
        return {
            name: age_s if name in self._seen else min(age_s, now_s - self._since_s)
            for name, age_s in ages.items()
            if name in self._seen or is_needed
        }

    def _has_open_plans(self) -> bool:
        return Plan.objects.filter(account_id=self.account_id, status__in=OPEN_PLAN_STATUSES).exists()

    def _pause(self, seconds: float) -> None:
        """A flattening may take long: whoever watches the watchdog hears of it meanwhile."""
        try:
            self._beat()
        except (OperationalError, InterfaceError):
            connection.close()
        self.sleep(seconds)

    def _beat(self) -> None:
        heartbeats.beat(f"watchdog:{self.account_id}")
