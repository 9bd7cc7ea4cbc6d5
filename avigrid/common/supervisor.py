"""A small process supervisor for the demo and crash tests: starts children, restarts the fallen, leaves none behind.

Every child leads its own session, so that Ctrl-C reaches only the supervisor, which then stops the children in reverse
order. A child dies with its supervisor even if that one is killed (parent-death signal), and orphans are adopted and
reaped (subreaper), so that nothing is left in the process table.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded here: a forked child must not load anything
STOP_GRACE_S = 10.0
RESTART_DELAYS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Waits before the first, second, ... restart of a child that keeps falling; the last one repeats."""
STABLE_AFTER_S = 30.0


def _prctl(option: int, value: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(option, value, 0, 0, 0)


def die_with_parent() -> None:
    """For `preexec_fn`: SIGTERM once the thread that started this child is gone, however it went."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restart_at: float | None = None
    restarts: int = 0
    _falls: int = 0

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.argv,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - the supervisor has one thread
            )
        self.started = time.monotonic()
        self.restart_at = None

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    def fell(self) -> int | None:
        """The exit code of a child that ended by itself, once."""
        if self.process is None or self.restart_at is not None:
            return None
        code = self.process.poll()
        if code is None:
            if time.monotonic() - self.started > STABLE_AFTER_S:
                self._falls = 0
            return None
        delay = RESTART_DELAYS_S[min(self._falls, len(RESTART_DELAYS_S) - 1)]
        self._falls += 1
        self.restart_at = time.monotonic() + delay
        return code

    def signal_group(self, number: int) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def stop(self, deadline: float) -> None:
        """SIGTERM to the whole session, SIGKILL to what is left at the deadline (monotonic seconds)."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(max(0.1, deadline - time.monotonic()))
        self.signal_group(signal.SIGKILL)
        self.process.wait(5)


@dataclass
class Supervisor:
    """`on_fall(name, exit code)` is told of every child that ended by itself, before it is started again."""

    log_folder: Path
    on_fall: Callable[[str, int], None] = lambda name, code: None
    children: dict[str, Child] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log_folder.mkdir(parents=True, exist_ok=True)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str]) -> Child:
        child = Child(name, argv, env, self.log_folder / f"{name}.log")
        child.log.unlink(missing_ok=True)
        child.start()
        self.children[name] = child
        return child

    def tend(self) -> None:
        """One round: notice the fallen, restart those whose wait is over, reap adopted orphans."""
        for child in self.children.values():
            code = child.fell()
            if code is not None:
                self.on_fall(child.name, code)
            if child.restart_at is not None and time.monotonic() >= child.restart_at:
                child.restarts += 1
                child.start()
        self._reap_orphans()

    def _reap_orphans(self) -> None:
        known = {child.process.pid for child in self.children.values() if child.process}
        tasks = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
        try:
            pids = [int(pid) for pid in tasks.read_text().split()]
        except OSError:
            return
        for pid in pids:
            if pid in known:
                continue
            try:
                if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                    os.waitpid(pid, os.WNOHANG)
            except (OSError, ChildProcessError, IndexError):
                continue

    def stop(self) -> None:
        """Everything ends, last started first, within STOP_GRACE_S plus a kill."""
        deadline = time.monotonic() + STOP_GRACE_S
        for child in reversed(self.children.values()):
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        for child in reversed(self.children.values()):
            child.stop(deadline)
        self._reap_orphans()
