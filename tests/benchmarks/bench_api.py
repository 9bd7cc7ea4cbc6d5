"""The API's lists at a desk's load: p95 at 50 requests a second, a million bars and 10,000 signals stored.

Run: python -m tests.benchmarks.bench_api [seconds per list, default 30]. A database of its own, dropped at the end; the
web process as production starts it (daphne, production settings) over the loopback, behind what looks like its proxy.
The load is an open loop: every request has its planned time, and latency counts from there, also where the server is
behind. Client, server and PostgreSQL share the machine. Aim: p95 <= 50 ms (the limit asked for is 500 ms).
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
import psutil

from tests.support.open_loop import OpenLoop

ROOT = Path(__file__).resolve().parents[2]
PER_S = 50
CLIENTS = 8
KLINES, SIGNALS, POSITIONS = 1_000_000, 10_000, 50
LISTS = {
    "signals": "/api/v1/signals?page_size=50",
    "signals_filtered": "/api/v1/signals?symbol=S3USDT&status=expired&page_size=50",
    "positions": "/api/v1/positions?is_open=true",
    "klines": "/api/v1/klines?symbol=S3USDT&interval_min=5&page_size=200",
}


def fill() -> None:
    from datetime import timedelta

    from django.db import connection

    from tests.support.api_world import ApiWorld
    from trading.models import Decision, Position, Signal

    world = ApiWorld()
    pattern = world.signal()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO marketdata_kline"
            " (symbol, interval_min, start, open, high, low, close, volume, turnover, source)"
            " SELECT 'S' || s || 'USDT', 5, timestamptz '2024-01-01' + n * interval '5 min', 1, 1, 1, 1, 1, 1, 'rest'"
            " FROM generate_series(0, 9) AS s, generate_series(0, %s) AS n",
            [KLINES // 10 - 1],
        )
    decision = pattern.decision
    decisions = Decision.objects.bulk_create(
        Decision(
            strategy=world.version,
            symbol=f"S{number % 10}USDT",
            bar_start=decision.bar_start - timedelta(minutes=5 * (number + 1)),
            decided_at=decision.decided_at,
            status="signal",
            direction=1,
            rules=decision.rules,
        )
        for number in range(SIGNALS)
    )
    Signal.objects.bulk_create(
        Signal(
            decision=made,
            symbol=made.symbol,
            direction=1,
            profile="swing",
            entry_price=pattern.entry_price,
            stop_price=pattern.stop_price,
            spec=pattern.spec,
            risk_usd=pattern.risk_usd,
            status="expired",
            created_at=made.bar_start,
            valid_until=made.bar_start,
        )
        for made in decisions
    )
    Position.objects.bulk_create(
        Position(account=world.account, symbol=f"P{number}USDT", position_idx=1, size=1, entry_value_usd=100)
        for number in range(POSITIONS)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


@contextmanager
def web_process() -> Iterator[tuple[int, psutil.Process]]:
    """What production runs, on the database that `fill` has filled."""
    from django.conf import settings

    address = os.environ["DATABASE_URL"].replace("/avigrid", f"/{settings.DATABASES['default']['NAME']}", 1)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **os.environ,
        "DATABASE_URL": address,
        "DJANGO_SETTINGS_MODULE": "avigrid.settings.prod",
        "AVIGRID_DEMO": "false",
        "AVIGRID_SECRET_KEY": settings.SECRET_KEY,
        "AVIGRID_ALLOWED_HOSTS": "127.0.0.1",
        "AVIGRID_TRUSTED_PROXIES": "127.0.0.1",
        "AVIGRID_REDIS_PREFIX": settings.REDIS_PREFIX,
        "VAULT_ADDR": "http://127.0.0.1:1",
        "VAULT_TOKEN": "never-asked-here",
    }
    argv = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "avigrid.asgi:application"]
    process = subprocess.Popen(argv, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        if process.poll() is not None:
            raise SystemExit(f"the web process ended with exit code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the web process does not listen")


async def measure(port: int, web: psutil.Process, tokens: list[str], seconds: float) -> dict[str, Any]:
    def head(number: int) -> list[str]:
        client = number % CLIENTS
        return [
            f"Authorization: Bearer {tokens[client]}",
            "X-Forwarded-Proto: https",
            f"X-Forwarded-For: 192.0.2.{client + 1}",  # limits count per address and per person
        ]

    report: dict[str, Any] = {}
    loop = OpenLoop("127.0.0.1", port)
    await loop.run(LISTS["signals"], per_s=10, seconds=2, head=head)  # the first requests import and connect
    for name, path in LISTS.items():
        before_s = _cpu_s(web)
        result = await loop.run(path, per_s=PER_S, seconds=seconds, head=head)
        report[name] = {
            **result.summary(),
            "web_cpu_ms_per_request": round((_cpu_s(web) - before_s) * 1000 / len(result.took_s), 1),
        }
    loop.close()
    return report


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.bench")
    os.environ.setdefault("AVIGRID_LOG_LEVEL", "ERROR")
    django.setup()
    from django.db import connections
    from django.test.utils import setup_databases, teardown_databases

    from accounts.services.tokens import tokens_issue
    from tests.support import audit_flush
    from tests.support.users import make_user

    audit_flush.install()
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        fill()
        tokens = [tokens_issue(user=make_user("trader"), otp=True).access for _ in range(CLIENTS)]
        connections.close_all()
        with web_process() as (port, web):
            report = asyncio.run(measure(port, web, tokens, seconds))
    finally:
        teardown_databases(databases, verbosity=0)
    sys.stdout.write(
        json.dumps({"load": f"{PER_S} requests/s, {KLINES:,} bars, {SIGNALS:,} signals", **report}, indent=2)
    )
    sys.stdout.write("\n")
    if any(row["refused"] or row["p95_ms"] > 500 for row in report.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
