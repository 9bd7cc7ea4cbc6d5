"""The simulated exchange over the wire: REST order round trips, and what 15 symbols at 30x cost.

Run: python -m tests.benchmarks.bench_simulator_wire [seconds]. Prints one JSON object. CPU is the exchange
process's own time per second of wall time, so a busy machine does not count; latency is wall time and does.
"""

import asyncio
import http.client
import json
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import psutil
import websockets

from avigrid.exchange.simulator.auth import Credentials, sign_request
from avigrid.exchange.simulator.exchange import ExchangeConfig
from avigrid.exchange.simulator.inprocess import LocalExchange
from avigrid.exchange.simulator.picture import five_minutes
from avigrid.exchange.simulator.sources.catalogue import DEFAULT_SYMBOLS
from avigrid.exchange.simulator.sources.opening import open_source
from avigrid.exchange.simulator.sources.synthetic import SyntheticSource
from tests.support.simulator_server import START_MS

ROOT = Path(__file__).parents[2]
TOPICS = ("orderbook.50", "publicTrade", "tickers", "kline.5", "kline.15")


def started(*arguments: str) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "avigrid.exchange.simulator", "--port", "0", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    return process, int(line.split("127.0.0.1:")[1].split()[0])


def round_trips(port: int, seconds: float, per_s: int = 100) -> dict[str, float]:
    """Place and cancel in turn, at a steady rate; milliseconds of each call."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    credentials = Credentials("key", "secret")
    waits: list[float] = []
    started_s = time.perf_counter()
    for number in range(int(seconds * per_s)):
        ahead_s = started_s + number / per_s - time.perf_counter()
        if ahead_s > 0:
            time.sleep(ahead_s)
        row = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": f"b{number // 2}"}
        path = "/v5/order/cancel"
        if number % 2 == 0:
            path = "/v5/order/create"
            row |= {"side": "Buy", "orderType": "Limit", "qty": "0.001", "price": "80000"}
        body = json.dumps(row)
        stamp_ms = time.time_ns() // 1_000_000
        sign = sign_request(credentials, timestamp_ms=stamp_ms, recv_window="5000", payload=body)
        headers = {
            "X-BAPI-API-KEY": "key",
            "X-BAPI-TIMESTAMP": str(stamp_ms),
            "X-BAPI-RECV-WINDOW": "5000",
            "X-BAPI-SIGN": sign,
        }
        before_s = time.perf_counter()
        connection.request("POST", path, body=body, headers=headers)
        answer = json.loads(connection.getresponse().read())
        waits.append((time.perf_counter() - before_s) * 1_000)
        assert answer["retCode"] == 0, answer
    waits.sort()
    return {"p50_ms": round(waits[len(waits) // 2], 2), "p95_ms": round(waits[int(len(waits) * 0.95)], 2)}


async def watched(port: int, process: subprocess.Popen[str], seconds: float) -> dict[str, float]:
    async with websockets.connect(f"ws://127.0.0.1:{port}/v5/public/linear", max_size=None) as wire:
        args = [f"{kind}.{symbol}" for symbol in DEFAULT_SYMBOLS for kind in TOPICS]
        await wire.send(json.dumps({"op": "subscribe", "args": args}))
        watcher = psutil.Process(process.pid)
        await _drain(wire, 2.0)
        before = watcher.cpu_times()
        began_s = time.monotonic()
        frames, size = await _drain(wire, seconds)
        taken_s = time.monotonic() - began_s
        after = watcher.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    return {
        "cpu_percent": round(100 * cpu_s / taken_s, 1),
        "frames_per_s": round(frames / taken_s),
        "kilobytes_per_s": round(size / taken_s / 1_000),
    }


async def _drain(wire: websockets.ClientConnection, seconds: float) -> tuple[int, int]:
    frames = size = 0
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        message = await wire.recv()
        frames += 1
        size += len(message)
    return frames, size


def stepped_day(fills: int = 500) -> float:
    """CPU seconds of one replayed day of 5m bars in process, with a market order every 173 s of it."""
    minutes = SyntheticSource(("SOLUSDT",), seed=7, start_ms=START_MS).history("SOLUSDT")[1]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "SOLUSDT_5m.csv"
        rows = [f"{b.start_ms},{b.open},{b.high},{b.low},{b.close},{b.volume}" for b in five_minutes(minutes)]
        path.write_text("\n".join(["start_ms,open,high,low,close,volume", *rows]) + "\n")
        start_ms = int(rows[-290].split(",")[0])
        source = open_source(f"replay:{path}", symbols=(), seed=1, start_ms=start_ms, slice_ms=30_000)
        exchange = LocalExchange(source, ExchangeConfig(orders_per_s=1_000, balance_usdt=Decimal(1_000_000)))
        before_s = time.process_time()
        for number in range(fills):
            side = "Buy" if number % 2 else "Sell"
            row = {"category": "linear", "symbol": "SOLUSDT", "side": side, "orderType": "Market", "qty": "1"}
            assert exchange.post("/v5/order/create", **row)["retCode"] == 0
            exchange.step(86_400_000 // fills)
        spent_s = time.process_time() - before_s
        assert len(exchange.exchange.venue.state()["executions"]) >= fills
    return round(spent_s, 2)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    out: dict[str, object] = {"stepped_day_with_500_fills_s": stepped_day()}
    process, port = started("--symbols", "BTCUSDT,SOLUSDT", "--orders-per-s", "10000")
    try:
        out["rest_order_round_trip_at_100_per_s"] = round_trips(port, seconds)
    finally:
        process.terminate()
        process.wait(20)
    process, port = started("--speed", "30")
    try:
        out["15_symbols_50_levels_at_30x"] = asyncio.run(watched(port, process, seconds))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        before_s = time.monotonic()
        first = _time_ms(connection)
        time.sleep(3)
        out["speed_reached"] = round((_time_ms(connection) - first) / 1_000 / (time.monotonic() - before_s), 1)
    finally:
        process.terminate()
        process.wait(20)
    print(json.dumps(out, indent=2))


def _time_ms(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/v5/market/time")
    return int(json.loads(connection.getresponse().read())["time"])


if __name__ == "__main__":
    main()
