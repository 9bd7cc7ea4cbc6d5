"""The one notion of trading state. Per account and per symbol; where both speak, the stricter wins."""

from collections.abc import Iterable
from enum import StrEnum


class State(StrEnum):
    """ACTIVE trades; REDUCING only exits; HALTED no new risk: cancels, closing and protecting only."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"

    @property
    def strictness(self) -> int:
        return _STRICTNESS[self]

    def is_stricter_than(self, other: "State") -> bool:
        return self.strictness > other.strictness


_STRICTNESS = {State.ACTIVE: 0, State.REDUCING: 1, State.HALTED: 2}


def strictest(states: Iterable[State]) -> State:
    """ACTIVE where nothing is said."""
    return max(states, key=lambda state: state.strictness, default=State.ACTIVE)


class StateSource(StrEnum):
    """Who or what asked for a state."""

    OPERATOR = "operator"
    API = "api"
    COMMAND = "command"
    DRAWDOWN = "drawdown"
    DAILY_LOSS = "daily_loss"
    RECONCILIATION = "reconciliation"
    STALE_DATA = "stale_data"
    ERROR_RATE = "error_rate"
    ALERT_WEBHOOK = "alert_webhook"
    WATCHDOG = "watchdog"
    PROTECTION = "protection"
    REARM = "rearm"


class Environment(StrEnum):
    SIMULATED = "simulated"
    DEMO = "demo"
    TESTNET = "testnet"
    MAINNET = "mainnet"


class Stage(StrEnum):
    """How far a strategy has come (AVI-5 section 8): validation sends nothing, paper no real money."""

    VALIDATION = "validation"
    PAPER = "paper"
    LIVE = "live"
