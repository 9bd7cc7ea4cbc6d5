"""From a frame on the socket to bar and decision in PostgreSQL, fifteen symbols closing at once; memory over an hour.

Run: python -m tests.benchmarks.bench_socket_to_decision [--bars N] [--speed X] [--hour]. The market-data process itself
runs here (`stream_market`'s loop: socket client, books, storage, strategy, side jobs) against a simulated exchange in a
process of its own, with a database of its own that is dropped at the end. Latency is wall time from the moment a frame
that confirms a 5m bar is decoded to the commit of its decision; where a 15m bar closes with it, waiting for that is
part of it. `--hour` follows an hour of the market (two minutes at 30x) and prints how memory went, a sample every
minute of the market. Aims: p95 <= 100 ms; flat memory.
"""

import argparse
import asyncio
import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django
import numpy as np
import psutil

ROOT = Path(__file__).parents[2]
SYMBOLS = 15
MINUTE_MS = 60_000
DECISION_MIN = 5
Key = tuple[str, int, int]
"""Symbol, interval, start of the bar."""


@dataclass
class Watch:
    """Seconds at which each confirmed bar's frame was decoded, the bar committed, its decision committed."""

    received: dict[Key, float] = field(default_factory=dict)
    stored: dict[Key, float] = field(default_factory=dict)
    decided: dict[Key, float] = field(default_factory=dict)
    memory: list[tuple[int, float]] = field(default_factory=list)
    """(market time in ms, resident MB)."""

    def waits_ms(self, ended: dict[Key, float]) -> list[float]:
        """Only 5m bars that came by the stream: what REST brought at the start has no frame."""
        return sorted(
            (at - self.received[key]) * 1000
            for key, at in ended.items()
            if key in self.received and key[1] == DECISION_MIN
        )


def exchange(speed: float) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "avigrid.exchange.simulator", "--port", "0", "--speed", str(speed)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, f"http://127.0.0.1:{process.stdout.readline().split('127.0.0.1:')[1].split()[0]}"


async def follow(watch: Watch, *, bars: int, market_minutes: int) -> float:
    """Runs the real loop until every symbol decided on `bars` streamed bars, or that much of the market went by."""
    from avigrid.exchange.bybit.feed import BybitMarketFeed
    from avigrid.kernel.market import Kline
    from marketdata.runtime.database_storage import DatabaseStorage
    from trading.runtime import market_loop
    from trading.runtime.market_loop import Decider, MarketLoop

    class TimedFeed(BybitMarketFeed):
        def _take(self, topic: str, events: Sequence[Any]) -> None:
            for event in events:
                if isinstance(event, Kline) and event.confirmed:
                    watch.received[event.symbol, event.interval_min, event.start_ms] = time.perf_counter()
            super()._take(topic, events)

    class TimedStorage(DatabaseStorage):
        def bar(self, bar: Kline, *args: Any, **kwargs: Any) -> None:
            super().bar(bar, *args, **kwargs)
            watch.stored.setdefault((bar.symbol, bar.interval_min, bar.start_ms), time.perf_counter())

    class TimedLoop(MarketLoop):
        def _decider(self, rate: float) -> Any:
            decide = Decider(self._client.clock, rate)  # type: ignore[union-attr]

            def timed(event: Any) -> None:
                if decide(event) is not None:
                    watch.decided.setdefault((event.symbol, DECISION_MIN, event.bar.start_ms), time.perf_counter())

            return timed

    market_loop.BybitMarketFeed = TimedFeed  # type: ignore[misc]
    market_loop.DatabaseStorage = TimedStorage  # type: ignore[misc]
    loop = TimedLoop()
    task = asyncio.create_task(loop.run())
    process, began_cpu_s, began_s = psutil.Process(), time.process_time(), time.perf_counter()
    first_ms = next_ms = 0
    while not task.done():
        await asyncio.sleep(0.05)
        if loop._client is None or not watch.received:
            continue
        now_ms = loop._client.clock.now_ms()
        if now_ms >= next_ms:
            first_ms = first_ms or now_ms
            next_ms = now_ms + MINUTE_MS
            watch.memory.append((now_ms, process.memory_info().rss / 2**20))
        done = len(watch.waits_ms(watch.decided)) >= bars * SYMBOLS
        if done if bars else now_ms - first_ms >= market_minutes * MINUTE_MS:
            break
    share = (time.process_time() - began_cpu_s) / (time.perf_counter() - began_s)
    loop.stop.set()
    await task
    return share


def slope_mb_per_hour(samples: Sequence[tuple[int, float]]) -> float:
    """Of the straight line through the second half: the first fills caches and pools."""
    late = np.array(samples[len(samples) // 2 :], dtype=np.float64)
    return float(np.polyfit((late[:, 0] - late[0, 0]) / 3_600_000, late[:, 1], 1)[0])


def row(name: str, waits_ms: Sequence[float]) -> str:
    p50, p95, p99 = (waits_ms[min(int(len(waits_ms) * share), len(waits_ms) - 1)] for share in (0.5, 0.95, 0.99))
    return f"{name:28} p50 {p50:7.1f} ms  p95 {p95:7.1f} ms  p99 {p99:7.1f} ms  max {waits_ms[-1]:7.1f} ms"


def report(watch: Watch, options: argparse.Namespace, share: float) -> None:
    decided, stored = watch.waits_ms(watch.decided), watch.waits_ms(watch.stored)
    if not decided:
        sys.exit("no streamed bar was decided on")
    print(f"{SYMBOLS} symbols at {options.speed:g}x, {len(decided)} streamed bars decided on")
    print(row("frame to bar stored", stored))
    print(row("frame to decision stored", decided))
    print(f"{'CPU of the process':28} {share * 100:.0f} % of one core")
    if options.hour:
        sizes = [size for _, size in watch.memory]
        for minute in range(0, len(sizes), 5):
            print(f"{f'memory, minute {minute}':28} {sizes[minute]:7.1f} MB")
        print(f"{'memory, last':28} {sizes[-1]:7.1f} MB, most {max(sizes):.1f} MB")
        print(f"{'slope of the second half':28} {slope_mb_per_hour(watch.memory):+7.2f} MB per hour of the market")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bars", type=int, default=9, help="closes per symbol to wait for (default 9: 135 decisions)")
    parser.add_argument("--speed", type=float, default=30.0, help="market seconds per second (default 30)")
    parser.add_argument("--hour", action="store_true", help="an hour of the market instead, with memory")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.bench")
    django.setup()
    logging.disable(logging.ERROR)
    from django.conf import settings
    from django.test.utils import setup_databases, teardown_databases
    from django.utils import timezone

    from trading.avi5.config import StrategyConfig
    from trading.services.strategy_versions import strategy_version_create

    settings.DATABASES["default"]["TEST"]["NAME"] = f"bench_socket_{os.getpid()}"
    databases = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    process, url = exchange(options.speed)
    watch = Watch()
    try:
        settings.AVIGRID = {**settings.AVIGRID, "SIMULATOR_URL": url, "MARKET_ENVIRONMENT": "simulated"}
        strategy_version_create(config=StrategyConfig(), actor="benchmark", now=timezone.now())
        minutes = 60 if options.hour else 0
        share = asyncio.run(follow(watch, bars=0 if options.hour else options.bars, market_minutes=minutes))
    finally:
        process.terminate()
        process.wait(20)
        teardown_databases(databases, verbosity=0)
    report(watch, options, share)


if __name__ == "__main__":
    main()
