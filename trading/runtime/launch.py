"""A whole desk on one machine: servers, simulated exchange, every process; for demo, smoke run and crash tests.

The database of such a desk is its own and made anew at every start, because the simulated exchange begins anew too:
books and venue start out equal. A lock file keeps two desks of one kind from sharing it.
"""

import fcntl
import json
import os
import secrets
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit, urlunsplit

from django.core.management import call_command
from django.db import connections

from avigrid.common import embedded
from avigrid.common.database_url import database_entry
from avigrid.common.supervisor import Child, Supervisor
from avigrid.kernel.errors import AviGridError

MANAGE = [sys.executable, str(embedded.ROOT / "manage.py")]
HOST = "127.0.0.1"


class LaunchError(AviGridError):
    """The desk cannot start; the text says why and what to do."""

    code = "launch"


@dataclass(frozen=True, slots=True)
class DeskOptions:
    """`speed` is market time over wall time; `port` 0 picks a free one."""

    kind: str = "demo"
    port: int = 8000
    source: str = "synthetic"
    speed: float = 30.0
    symbols: tuple[str, ...] = ()
    seed: int = 1
    balance_usd: str = "10000"
    hedge_mode: bool = True
    start: str = ""
    """Where a replay begins, for those sources that know; "" is the source's own default."""


@dataclass
class Desk:
    options: DeskOptions
    say: Callable[[str], None] = lambda text: None
    supervisor: Supervisor = field(init=False)
    env: dict[str, str] = field(init=False, default_factory=dict)
    port: int = 0
    simulator_url: str = ""
    metrics_ports: dict[str, int] = field(default_factory=dict)
    _lock: IO[str] | None = None

    def __post_init__(self) -> None:
        self.folder = embedded.VAR / self.options.kind
        self.folder.mkdir(parents=True, exist_ok=True)
        self.supervisor = Supervisor(self.folder / "logs", on_fall=self._fell)

    # --- start -------------------------------------------------------------------------------------------------------
    def start_servers(self) -> None:
        """Lock, port, an empty database with today's tables. Raises LaunchError."""
        self._take_lock()
        self.port = _port(self.options.port)
        database_url = _fresh_database(os.environ["DATABASE_URL"], f"avigrid_{self.options.kind}")
        self.env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "avigrid.settings.dev"),
            "DATABASE_URL": database_url,
            "AVIGRID_DEMO": "true",
            "AVIGRID_MARKET_ENVIRONMENT": "simulated",
            "PYTHONUNBUFFERED": "1",
        }
        os.environ["DATABASE_URL"] = database_url
        entry = {**connections["default"].settings_dict, **database_entry(database_url)}
        connections["default"].close()
        connections["default"].settings_dict.update(entry)
        call_command("migrate", verbosity=0)

    def start_exchange(self) -> None:
        """The simulated Bybit; a source it refuses is this command's error too."""
        port = embedded.free_port()
        self.simulator_url = f"http://{HOST}:{port}"
        self.api_key, self.api_secret = f"sim{secrets.token_hex(6)}", secrets.token_hex(18)
        options = self.options
        argv = [
            *MANAGE, "simulate_exchange", "--host", HOST, "--port", str(port), "--source", options.source,
            "--speed", f"{options.speed:g}", "--seed", str(options.seed), "--balance", options.balance_usd,
            "--api-key", self.api_key, "--api-secret", self.api_secret,
            "--hedge" if options.hedge_mode else "--one-way",
        ]  # fmt: skip
        if options.symbols:
            argv += ["--symbols", ",".join(options.symbols)]
        if options.start:
            argv += ["--start", options.start]
        self.env["AVIGRID_SIMULATOR_URL"] = self.simulator_url
        child = self.supervisor.start("exchange", argv, self.env)
        self.wait(lambda: _answers(f"{self.simulator_url}/v5/market/time"), 30, "the simulated exchange", only=child)

    def start_processes(
        self, *, account_id: int, symbols: Sequence[str], web: bool = True, research: bool = False
    ) -> None:
        """`research`: a worker of its own for it, as in production, so that a long sweep delays no notification."""
        self.env["AVIGRID_SYMBOLS"] = ",".join(symbols)
        celery = [sys.executable, "-m", "celery", "-A", "avigrid"]
        worker = [*celery, "worker", "-P", "threads", "--without-gossip", "--without-mingle", "-l", "INFO"]
        commands: dict[str, list[str]] = {
            "market_data": [*MANAGE, "stream_market"],
            "execution": [*MANAGE, "stream_account", "--account", str(account_id)],
            "watchdog": [*MANAGE, "watchdog", "--account", str(account_id)],
            "worker": [*worker, "-Q", "default", "-c", "2"],
            "beat": [*celery, "beat", "-s", str(self.folder / "beat-schedule"), "--pidfile=", "-l", "WARNING"],
        }
        if research:
            commands["research"] = [*worker, "-Q", "research", "-c", "1", "-n", "research@%h"]
        if web:
            commands["web"] = [
                sys.executable, "-m", "daphne", "-b", HOST, "-p", str(self.port), "--application-close-timeout", "5",
                "avigrid.asgi:application",
            ]  # fmt: skip
        for name, argv in commands.items():
            port = self.metrics_ports[name] = embedded.free_port()
            self.supervisor.start(name, argv, {**self.env, "AVIGRID_METRICS_PORT": str(port)})

    def write_card(self, people: Sequence[dict[str, str]]) -> None:
        """`desk.json`, for its owner only: where this desk is and who may enter; manage.py finds a demo by it."""
        card = {
            "pid": os.getpid(),
            "url": self.url,
            "simulator_url": self.simulator_url,
            "people": list(people),
            "environment": {
                name: self.env[name]
                for name in (
                    "DATABASE_URL",
                    "REDIS_URL",
                    "AVIGRID_REDIS_PREFIX",
                    "AVIGRID_SIMULATOR_URL",
                    "AVIGRID_DEMO",
                )
            },
        }
        handle = os.open(self.card, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as out:
            json.dump(card, out, indent=2)

    @property
    def card(self) -> Path:
        return self.folder / "desk.json"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}/"

    def wait_ready(self, timeout_s: float = 60.0) -> None:
        self.wait(lambda: _answers(f"{self.url}ready"), timeout_s, "the desk")

    def wait(self, condition: Callable[[], bool], timeout_s: float, what: str, *, only: Child | None = None) -> None:
        """Tend the children until `condition` holds. Raises LaunchError, with the end of the log that tells why."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if only is not None and only.process is not None and only.process.poll() is not None:
                raise LaunchError(_last_words(only) or f"{what} ended before it was ready; see {only.log}")
            if only is None:
                self.supervisor.tend()
            if time.monotonic() > deadline:
                logs = self.supervisor.log_folder
                raise LaunchError(f"{what} was not ready within {timeout_s:.0f} s; the logs are in {logs}")
            time.sleep(0.1)

    # --- run and stop ------------------------------------------------------------------------------------------------
    def _fell(self, name: str, code: int) -> None:
        self.say(f"{name} ended with code {code}; starting it again (log: {self.supervisor.log_folder / name}.log)")

    def stop(self) -> None:
        self.card.unlink(missing_ok=True)
        self.supervisor.stop()
        connections.close_all()
        embedded.stop()
        self.supervisor._reap_orphans()
        if self._lock is not None:
            self._lock.close()

    def _take_lock(self) -> None:
        lock = (self.folder / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            pid = lock.read().strip() or "unknown"
            raise LaunchError(
                f"A {self.options.kind} is already running in this clone (process {pid}); stop it first."
            ) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock


def _port(wanted: int) -> int:
    if wanted == 0:
        return embedded.free_port()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise LaunchError(
                f"Port {wanted} cannot be used ({error.strerror}); choose another with --port."
            ) from error
    return wanted


def _fresh_database(url: str, name: str) -> str:
    import psycopg
    from psycopg import sql

    with psycopg.connect(url, autocommit=True) as connection:
        try:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege as error:
            raise LaunchError(
                f"The database user may not create the database {name}, which this command makes anew each time; "
                "give it CREATEDB or leave DATABASE_URL unset."
            ) from error
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"/{name}"))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own processes on loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _last_words(child: Child) -> str:
    """The end of a log that is no traceback and no JSON: what a command told its user."""
    try:
        lines = child.log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    plain = [line for line in lines if line and not line.startswith(("{", " ", "Traceback"))]
    return plain[-1] if plain else ""
