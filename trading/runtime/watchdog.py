"""The dead man's switch: halts an account when market data or execution fall silent. Needs only database and venue."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from django.db import InterfaceError, OperationalError, connection

from avigrid.common import heartbeats
from risk.core.states import StateSource
from trading.runtime.kill import Outcome, flatten_now, halt_now
from trading.selectors.exchange_time import process_name
from trading.selectors.kill_switch import flatten_pending

log = structlog.get_logger(__name__)

SILENCE_S = 30.0
EVERY_S = 2.0


@dataclass(slots=True)
class Watchdog:
    """A process that never lived is not missed; one that lived and fell silent is."""

    account_id: int
    silence_s: float = SILENCE_S
    halt: Callable[..., Outcome] = halt_now
    flatten: Callable[..., Outcome] = flatten_now
    _told: set[str] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)

    def look(self) -> list[str]:
        """Which processes are newly silent; the account is halted for them."""
        execution = process_name(self.account_id)
        ages: dict[str, float] = {}
        for life in heartbeats.lives():
            name = life.process.split(":")[0]
            if life.process == execution or name == "market_data":
                ages[name] = min(life.age_s, ages.get(name, float("inf")))
        self._seen |= {name for name, age_s in ages.items() if age_s <= self.silence_s}
        silent = sorted(name for name, age_s in ages.items() if age_s > self.silence_s and name in self._seen)
        self._told &= set(silent)
        new = [name for name in silent if name not in self._told]
        if new:
            what = ", ".join(f"{name} ({ages[name]:.0f} s)" for name in new)
            log.error("process_silent", silent=new)
            # also where HALTED stands already: a halt pressed while execution is silent has cancelled nothing yet
            done = self.halt(
                account_id=self.account_id,
                symbol=None,
                reason=f"No sign of life from {what}.",
                actor="watchdog",
                source=StateSource.WATCHDOG,
            ).done
            if done:
                self._told |= set(new)
        if any(process_name(self.account_id).startswith(name) for name in silent):
            for symbol in flatten_pending(self.account_id):
                self.flatten(account_id=self.account_id, symbol=symbol, reason="execution is silent", actor="watchdog")
        return new

    def run(self, *, until: Callable[[], bool] = lambda: False) -> None:
        while not until():
            try:
                self.look()
                heartbeats.beat(f"watchdog:{self.account_id}")
            except (OperationalError, InterfaceError) as error:
                log.warning("database_lost", error=type(error).__name__)
                connection.close()
            time.sleep(EVERY_S)
