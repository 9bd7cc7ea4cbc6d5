"""The audit trail knows when a process began and how it ended. One that was killed has a beginning and no end."""

import atexit
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from django.db import Error, connection

from accounts.services.audit import audit
from avigrid.kernel.errors import AviGridError

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Life:
    """What its end will say; the process tells what it knows."""

    exit_code: int = 0
    reason: str = "asked to stop"

    def failed(self, error: BaseException) -> None:
        self.exit_code, self.reason = 1, error.code if isinstance(error, AviGridError) else type(error).__name__


@contextmanager
def process_audited(name: str) -> Iterator[Life]:
    """`with process_audited("execution:1") as life:` around the whole work of a process.

    A database that is away costs the entry and a line in the log, never the start or the end.
    """
    life = Life()
    _write(name, "process.started", after={"host": socket.gethostname(), "pid": os.getpid()})
    try:
        yield life
    except SystemExit as ending:
        life.exit_code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        raise
    except BaseException as error:
        life.failed(error)
        raise
    finally:
        _write(name, "process.stopped", after={"exit_code": life.exit_code, "pid": os.getpid()}, reason=life.reason)


def audit_this_process(name: str) -> None:
    """The same for a server whose loop is not ours: its start now, its end when the interpreter ends."""
    whole = process_audited(name)
    whole.__enter__()
    born = os.getpid()

    def end() -> None:
        if os.getpid() == born:  # a forked child is not the process
            whole.__exit__(None, None, None)

    atexit.register(end)


def _write(name: str, action: str, *, after: Mapping[str, object], reason: str = "") -> None:
    try:
        audit(actor=name.partition(":")[0], action=action, obj=f"process:{name}", after=after, reason=reason)
    except Error as error:
        log.warning("process_not_audited", process=name, action=action, error=type(error).__name__)
        if not connection.in_atomic_block:
            connection.close()
