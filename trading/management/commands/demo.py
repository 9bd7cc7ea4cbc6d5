"""`manage.py demo`: a living desk on a simulated exchange. Ctrl-C ends it and leaves nothing running."""

import argparse
import re
import select
import signal
import sys
import threading
import time
from types import FrameType
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from avigrid.common.embedded import EmbeddedUnavailable
from avigrid.kernel.errors import AviGridError
from trading.avi5.config import StrategyConfig
from trading.runtime.launch import Desk, DeskOptions, LaunchError

if TYPE_CHECKING:
    from trading.services.demo_data import DemoData


STORY_START = "2026-11-22T14:20"
"""A moment of the synthetic market, seed 1, at which it is about to trend: there is something to see at once."""


class Stop(Exception):
    """Ctrl-C or SIGTERM."""


class Command(BaseCommand):
    help = (
        "Start a whole desk: simulated Bybit, market data, execution, worker, beat, watchdog and web. "
        "Example: manage.py demo --source synthetic --speed 30 --symbols BTCUSDT,ETHUSDT"
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_desk_arguments(parser)
        parser.add_argument(
            "--name", type=_name, default="demo", help="of this desk's folder and database (default demo)"
        )
        parser.add_argument("--port", type=_port, default=8000, help="where the pages are served (default 8000)")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        desk = Desk(desk_options(options, kind=options["name"], port=options["port"]), say=self.stdout.write)
        signal.signal(signal.SIGINT, _stop)
        signal.signal(signal.SIGTERM, _stop)
        try:
            self._run(desk, started)
        except Stop:
            self.stdout.write("\nStopping …")
        except (LaunchError, EmbeddedUnavailable) as error:
            raise CommandError(str(error), returncode=2) from error
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            desk.stop()
        self.stdout.write("Stopped; nothing is left running.")

    def _run(self, desk: Desk, started: float) -> None:
        self.stdout.write("Starting PostgreSQL and Redis, making the tables …")
        desk.start_servers()
        self.stdout.write("Starting the simulated exchange …")
        desk.start_exchange()
        from trading.services.demo_data import demo_data_create  # needs the tables

        data = demo_data_create(
            base_url=desk.simulator_url,
            api_key=desk.api_key,
            api_secret=desk.api_secret,
            hedge_mode=desk.options.hedge_mode,
            symbols=desk.options.symbols,
            config=StrategyConfig(),
        )
        self.stdout.write(f"Starting {len(data.symbols)} symbols' market data, execution, worker, beat and web …")
        desk.start_processes(account_id=data.account_id, symbols=data.symbols, research=True)
        desk.wait_ready()
        desk.write_card(
            [
                {"role": p.role.value, "email": p.email, "password": p.password, "otpauth_uri": p.otpauth_uri}
                for p in data.people
            ]
        )
        self._welcome(desk, data, time.monotonic() - started)
        threading.Thread(target=self._history, args=(desk, data), name="history", daemon=True).start()
        while True:
            desk.supervisor.tend()
            # Enter prints fresh one-time codes, so that nobody needs a phone to look around
            if not sys.stdin.isatty():
                time.sleep(0.2)
            elif select.select([sys.stdin], [], [], 0.2)[0]:
                sys.stdin.readline()
                self._codes(data)

    def _history(self, desk: Desk, data: "DemoData") -> None:
        """Beside the running desk: it may be looked at meanwhile."""
        from trading.services.demo_data import demo_history_create

        began = time.monotonic()
        try:
            bars = demo_history_create(
                base_url=desk.simulator_url,
                symbols=data.symbols,
                seed=desk.options.seed,
                is_synthetic=desk.options.source == "synthetic",
            )
        except AviGridError as error:  # a desk that is being stopped, or an exchange that is away: research waits
            self.stderr.write(f"No history for research: {error.message}")
            return
        finally:
            connection.close()
        self.stdout.write(f"  {bars} bars of history for research are stored (after {time.monotonic() - began:.0f} s)")

    def _codes(self, data: "DemoData") -> None:
        from accounts.services.demo import demo_code

        now_s = int(time.time())  # noqa: TID251
        codes = ", ".join(f"{p.role.value} {demo_code(email=p.email, now_s=now_s)}" for p in data.people)
        self.stdout.write(f"  One-time codes for the next {30 - now_s % 30} s: {codes}   (Enter: new codes)")

    def _welcome(self, desk: Desk, data: "DemoData", seconds: float) -> None:
        self.stdout.write("")
        self.stdout.write(self.style.SUCCESS(f"AviGrid is running (after {seconds:.0f} s): {desk.url}"))
        self.stdout.write("")
        self.stdout.write("Log in as one of these; passwords and codes are made anew at every start:")
        for person in data.people:
            self.stdout.write(f"  {person.role.value:<7} {person.email:<27} {person.password}")
        self._codes(data)
        self.stdout.write("")
        self.stdout.write(f"Simulated exchange: {desk.simulator_url}/sim/state   logs: {desk.supervisor.log_folder}")
        self.stdout.write("Ctrl-C stops everything.")


def add_desk_arguments(parser: CommandParser) -> None:
    """What demo and smoke have in common."""
    parser.add_argument(
        "--source", default="synthetic", help="synthetic, replay:PATH (recorded klines, trades or books) or live"
    )
    parser.add_argument("--speed", type=_speed, default=30.0, help="market time over wall time, 1 to 300 (default 30)")
    parser.add_argument("--symbols", type=_symbols, default=(), help="comma-separated; default: all of the source")
    parser.add_argument("--seed", type=int, default=1, help="of the synthetic market (default 1)")
    parser.add_argument("--balance", type=_balance, default="10000", help="USDT the account starts with")
    parser.add_argument(
        "--start",
        default="",
        help=f"where to begin, as 2025-10-08T12:00 or milliseconds; synthetic: {STORY_START}, or 'now'",
    )


def desk_options(options: dict[str, Any], *, kind: str, port: int) -> DeskOptions:
    source = options["source"]
    if source not in ("synthetic", "live") and not source.startswith("replay:"):
        raise CommandError(f"--source is synthetic, replay:PATH or live, not {source!r}.", returncode=2)
    return DeskOptions(
        kind=kind,
        port=port,
        source=source,
        speed=1.0 if source == "live" else options["speed"],
        symbols=options["symbols"],
        seed=options["seed"],
        balance_usd=options["balance"],
        start=_start(source, options["start"]),
    )


def _start(source: str, given: str) -> str:
    """A synthetic market is the same for everybody who looks at the same day of it."""
    if source == "synthetic":
        return {"": STORY_START, "now": ""}.get(given, given)
    return given


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stop


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,20}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a word of small letters, digits and _")
    return text


def _port(text: str) -> int:
    value = int(text) if text.isdigit() else -1
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port number between 0 and 65535")
    return value


def _speed(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= 300:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0.1 and 300")
    return value


def _balance(text: str) -> str:
    if not text.replace(".", "", 1).isdigit() or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive amount")
    return text


def _symbols(text: str) -> tuple[str, ...]:
    symbols = tuple(part.strip().upper() for part in text.split(",") if part.strip())
    if not symbols or not all(symbol.isalnum() for symbol in symbols):
        raise argparse.ArgumentTypeError(f"{text!r} is no comma-separated list of symbols")
    return symbols
