"""Named places where the crash harness may kill this process; without AVIGRID_FAULT_FILE they do nothing.

The file names one place as `name` or `name:n`: the process dies at its n-th visit and takes the file along, so that
its successor lives.
"""

import os
from pathlib import Path

_FILE = os.environ.get("AVIGRID_FAULT_FILE", "")
_visits: dict[str, int] = {}

POINTS = (
    "before_send",
    "inside_submitting",
    "after_submitting_commit",
    "after_place",
    "after_ack_commit",
    "after_cancel",
    "before_booking",
    "inside_booking",
    "after_booking_commit",
    "before_set_stop",
    "after_set_stop",
    "after_stop_commit",
    "after_evidence",
    "before_reconciliation",
    "after_reconciliation_fetch",
    "while_flattening",
    "after_startup",
)


def fault_point(name: str) -> None:
    """Die here, as a SIGKILL would, where the file says so."""
    if not _FILE:
        return
    try:
        order = Path(_FILE).read_text()
    except OSError:
        return
    wanted, _, nth = order.partition(":")
    if name != wanted:
        return
    _visits[order] = _visits.get(order, 0) + 1
    if _visits[order] >= int(nth.partition(":")[0] or 1):
        Path(_FILE).unlink(missing_ok=True)
        os._exit(137)
