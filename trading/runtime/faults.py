"""Named places where the crash harness may kill this process; without AVIGRID_FAULT_POINT they do nothing."""

import os
from collections import Counter

_WANTED, _, _NTH = os.environ.get("AVIGRID_FAULT_POINT", "").partition(":")
_seen: Counter[str] = Counter()

POINTS = (
    "before_send",
    "after_submitting_commit",
    "after_place",
    "after_ack_commit",
    "after_cancel",
    "before_booking",
    "after_booking_commit",
    "before_set_stop",
    "after_set_stop",
    "after_stop_commit",
    "before_reconciliation",
    "after_reconciliation_fetch",
    "after_startup",
)


def fault_point(name: str) -> None:
    """Die at the n-th visit of `name` (AVIGRID_FAULT_POINT=name or name:n), as a SIGKILL would."""
    if name != _WANTED:
        return
    _seen[name] += 1
    if _seen[name] >= int(_NTH or 1):
        os._exit(137)
