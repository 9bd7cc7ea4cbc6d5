"""The writing side of risk. Whatever decides or changes a state first takes `account_lock.account_lock`."""

from risk.services.decisions import decide, preview
from risk.services.limits import limits_update
from risk.services.meters import EquityLook, entry_note, equity_note, loss_streak_note, peak_reset
from risk.services.states import flatten_finish, halt, rearm, state_change, tighten

__all__ = [
    "EquityLook",
    "decide",
    "entry_note",
    "equity_note",
    "flatten_finish",
    "halt",
    "limits_update",
    "loss_streak_note",
    "peak_reset",
    "preview",
    "rearm",
    "state_change",
    "tighten",
]
