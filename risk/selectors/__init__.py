"""The reading side of risk."""

from risk.selectors.guards import effective_state, guards_of, states_of
from risk.selectors.history import decisions, state_changes
from risk.selectors.limits import current_limits, limits_history, limits_of
from risk.selectors.locks import LockView, anti_churn_until, locks_of
from risk.selectors.usage import usage_of

__all__ = [
    "LockView",
    "anti_churn_until",
    "current_limits",
    "decisions",
    "effective_state",
    "guards_of",
    "limits_history",
    "limits_of",
    "locks_of",
    "state_changes",
    "states_of",
    "usage_of",
]
