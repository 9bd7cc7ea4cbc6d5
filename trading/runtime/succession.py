"""Taking the lease of a predecessor that was killed on this very machine, without waiting for it to run out."""

import os
import socket
from pathlib import Path

import structlog

from avigrid.common import leases
from avigrid.common.leases import HeldLease
from avigrid.common.models import Lease

log = structlog.get_logger(__name__)


def bury_dead_holder(lease_name: str, *, commands: tuple[str, ...]) -> bool:
    """Ends the lease of a process of this host that runs none of `commands` any more. The fence still moves on."""
    row = Lease.objects.filter(name=lease_name).first()
    if row is None:
        return False
    host, _, pid = row.holder.rpartition(":")
    if host != socket.gethostname() or not pid.isdigit() or int(pid) == os.getpid() or _runs(int(pid), commands):
        return False
    log.warning("lease_of_the_dead", lease=lease_name, holder=row.holder)
    leases.release(HeldLease(row.name, row.holder, row.token))
    return True


def _runs(pid: int, commands: tuple[str, ...]) -> bool:
    """True where it runs, and where that cannot be told."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        return any(command in line for command in commands)
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    except OSError:
        return True
