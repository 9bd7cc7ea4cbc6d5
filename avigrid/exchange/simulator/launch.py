"""From command-line options to a running server: one clear sentence on stderr and exit code 2 where that cannot be."""

import argparse
import asyncio
import contextlib
import math
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from avigrid.exchange.simulator.clock import MAX_SPEED, SimulatedClock
from avigrid.exchange.simulator.exchange import ExchangeConfig, SimulatedExchange
from avigrid.exchange.simulator.server import SimulatorServer
from avigrid.exchange.simulator.sources.catalogue import DEFAULT_SYMBOLS
from avigrid.exchange.simulator.sources.live import LiveSource
from avigrid.exchange.simulator.sources.opening import BadSource, open_source

STEPPED_START = "2026-01-05"
"""Where a synthetic market starts when its clock only moves by steps: a fixed day, so that runs can be compared."""


class BadOption(ValueError):
    """An option that cannot be; the message is one sentence for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Options:
    host: str
    port: int
    source: str
    symbols: tuple[str, ...]
    speed: float
    seed: int
    start_ms: int | None
    orders_per_s: int
    live_url: str
    live_rest: str
    config: ExchangeConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8900, help="port for REST and all sockets; 0 takes a free one")
    parser.add_argument("--source", default="synthetic", help="synthetic, replay:PATH (file or directory) or live")
    parser.add_argument("--symbols", default="", help="comma-separated; default: all the source has")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="exchange seconds per second; 0: only /sim/clock moves it"
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="chance of the synthetic market and of the book around prices"
    )
    parser.add_argument("--start", default="", help="UTC time to start at, ISO (2025-10-10T20:00) or ms since 1970")
    parser.add_argument("--balance", default="10000", help="USDT in the wallet")
    parser.add_argument("--leverage", default="10", help="leverage of every symbol at the start")
    parser.add_argument("--api-key", default="key")
    parser.add_argument("--api-secret", default="secret")
    parser.add_argument("--read-only", action="store_true", help="the key may look but not trade")
    parser.add_argument(
        "--orders-per-s", type=int, default=10, help="order calls a second and endpoint (VIPs have more)"
    )
    parser.add_argument("--live-url", default="", help="public stream for --source live, default Bybit's")
    parser.add_argument(
        "--live-rest", default="", help="REST address for the history of --source live, default Bybit's"
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--hedge", action="store_true", help="hedge mode: a long and a short side per symbol")
    mode.add_argument("--one-way", action="store_true", help="one-way mode (default)")


def options_from(parsed: argparse.Namespace) -> Options:
    if not 0 <= parsed.port <= 65_535:
        raise BadOption(f"--port must be within 0..65535, got {parsed.port}")
    if not (math.isfinite(parsed.speed) and 0 <= parsed.speed <= MAX_SPEED):
        raise BadOption(f"--speed must be within 0..{MAX_SPEED:g}, got {parsed.speed:g}")
    if parsed.orders_per_s < 1:
        raise BadOption(f"--orders-per-s must be at least 1, got {parsed.orders_per_s}")
    if not parsed.api_key or not parsed.api_secret:
        raise BadOption("--api-key and --api-secret must not be empty")
    balance = _decimal("--balance", parsed.balance)
    leverage = _decimal("--leverage", parsed.leverage)
    if balance < 0 or not 1 <= leverage <= 100:
        raise BadOption(f"--balance must not be negative and --leverage within 1..100, got {balance} and {leverage}")
    config = ExchangeConfig(
        api_key=parsed.api_key,
        api_secret=parsed.api_secret,
        balance_usdt=balance,
        hedge=parsed.hedge,
        leverage=leverage,
        orders_per_s=parsed.orders_per_s,
        read_only=parsed.read_only,
        seed=parsed.seed,
    )
    symbols = tuple(dict.fromkeys(part.strip().upper() for part in parsed.symbols.split(",") if part.strip()))
    return Options(
        host=parsed.host,
        port=parsed.port,
        source=parsed.source,
        symbols=symbols,
        speed=parsed.speed,
        seed=parsed.seed,
        start_ms=_time_ms(parsed.start) if parsed.start else None,
        orders_per_s=parsed.orders_per_s,
        live_url=parsed.live_url,
        live_rest=parsed.live_rest,
        config=config,
    )


def _decimal(name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise BadOption(f"{name} must be a number, got {text!r}") from None
    if not value.is_finite():
        raise BadOption(f"{name} must be a number, got {text!r}")
    return value


def _time_ms(text: str) -> int:
    if text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadOption(f"--start must be an ISO time or milliseconds, got {text!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def build(options: Options) -> tuple[SimulatedExchange, LiveSource | None]:
    """The exchange on its source, its clock set to the source's start."""
    start_ms = options.start_ms
    if start_ms is None and options.source == "synthetic":
        start_ms = _time_ms(STEPPED_START) if options.speed == 0 else wall_ms()
    if options.source == "live" and options.speed != 1:
        raise BadOption(f"--source live runs at --speed 1, got {options.speed:g}")
    source = open_source(
        options.source,
        symbols=options.symbols or (DEFAULT_SYMBOLS if options.source in ("synthetic", "live") else ()),
        seed=options.seed,
        start_ms=start_ms,
        # A slow clock shows every quarter second of the book; a fast one would only compute what nobody sees.
        books_per_s=4 if 0 < options.speed <= 2 else 1,
        slice_ms=1_000 if 0 < options.speed <= 10 else 5_000,
        live_url=options.live_url,
        live_rest=options.live_rest,
        now_ms=wall_ms(),
    )
    clock = SimulatedClock(start_ms=source.start_ms, speed=options.speed, wall_s=time.monotonic)
    exchange = SimulatedExchange(source, options.config, clock=clock, wire_s=time.monotonic, wall_ms=wall_ms)
    return exchange, source if isinstance(source, LiveSource) else None


async def serve(options: Options) -> int:
    exchange, live = build(options)
    server = SimulatorServer(exchange, host=options.host, port=options.port)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, server.stop)
    url = await server.start()
    speed = "stepped" if options.speed == 0 else f"{options.speed:g}x"
    print(  # noqa: T201 - the one line that tells where it is
        f"simulated Bybit at {url} ({options.source}, {len(exchange.symbols)} symbols, {speed})", flush=True
    )
    feeding = asyncio.create_task(live.feed()) if live is not None else None
    try:
        await server.run()
    finally:
        if feeding is not None:
            feeding.cancel()
    return 0


def run(parsed: argparse.Namespace) -> int:
    """Everything a door has to call; the exit code."""
    try:
        return asyncio.run(serve(options_from(parsed)))
    except (BadOption, BadSource) as error:
        print(str(error), file=sys.stderr)  # noqa: T201
    except OSError as error:
        where = f"{parsed.host}:{parsed.port}"
        print(f"cannot listen on {where}: {error.strerror or error}", file=sys.stderr)  # noqa: T201
    return 2


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="simulate_exchange", description="A simulated Bybit V5 exchange, category linear."
    )
    add_arguments(parser)
    return run(parser.parse_args(arguments))
