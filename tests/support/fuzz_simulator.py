"""A fuzz without a schema: valid calls with pieces swapped for rubbish, over REST and all sockets, as long as asked.

`python -m tests.support.fuzz_simulator --seconds 600` starts an exchange of its own and prints what happened. Any
HTTP 5xx, any internal error counted by the exchange, and any lost process is a failure.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import random
import sys
import time
from collections import Counter
from typing import Any

import websockets

from avigrid.exchange.simulator.auth import Credentials, sign_request, sign_socket
from avigrid.exchange.simulator.exchange import ExchangeConfig
from avigrid.exchange.simulator.routes import ROUTES, TRADE_OPS
from avigrid.exchange.simulator.sources.path import Line, PathSource
from tests.support.simulator_server import START_MS, Running, running_simulator

CREDENTIALS = Credentials("key", "secret")
NAMES = (
    "category", "symbol", "side", "orderType", "qty", "price", "timeInForce", "positionIdx", "orderLinkId", "orderId",
    "reduceOnly", "closeOnTrigger", "triggerPrice", "triggerDirection", "triggerBy", "takeProfit", "stopLoss",
    "tpslMode", "tpSize", "slSize", "tpLimitPrice", "slLimitPrice", "tpOrderType", "slOrderType", "trailingStop",
    "activePrice",
    "smpType", "slippageTolerance", "slippageToleranceType", "bboSideType", "bboLevel", "buyLeverage", "sellLeverage",
    "mode", "coin", "limit", "cursor", "start", "end", "startTime", "endTime", "interval", "intervalTime", "settleCoin",
    "baseCoin", "orderFilter", "stopOrderType", "openOnly", "orderStatus", "execType", "accountType", "margin",
    "autoAddMargin", "setMarginMode", "timeWindow", "request", "period", "type", "currency",
)  # fmt: skip
GOOD: dict[str, tuple[Any, ...]] = {
    "category": ("linear", "linear", "linear", "spot", "inverse"),
    "symbol": ("BTCUSDT", "SOLUSDT", "FOOUSDT"),
    "side": ("Buy", "Sell"),
    "orderType": ("Limit", "Market"),
    "qty": ("0.001", "0.01", "1", "150", "0"),
    "price": ("97000", "90000.1", "104000", "172.5", "0"),
    "timeInForce": ("GTC", "IOC", "FOK", "PostOnly", "RPI"),
    "positionIdx": (0, 1, 2),
    "orderLinkId": ("a", "b", "c-1", "x" * 36),
    "reduceOnly": (True, False),
    "closeOnTrigger": (True, False),
    "triggerPrice": ("96000", "98000"),
    "triggerDirection": (1, 2),
    "triggerBy": ("LastPrice", "MarkPrice", "IndexPrice"),
    "takeProfit": ("99000", "0"),
    "stopLoss": ("95000", "0"),
    "tpslMode": ("Full", "Partial"),
    "trailingStop": ("100", "0"),
    "interval": ("1", "5", "D", "W", "M"),
    "intervalTime": ("5min", "1h"),
    "settleCoin": ("USDT",),
    "limit": (1, 50, "200", "1000"),
    "mode": (0, 3),
    "buyLeverage": ("5", "10"),
    "sellLeverage": ("5", "10"),
    "accountType": ("UNIFIED",),
    "setMarginMode": ("ISOLATED_MARGIN", "REGULAR_MARGIN"),
    "startTime": (START_MS - 3_600_000,),
    "endTime": (START_MS + 3_600_000,),
}
RUBBISH: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e300, 10**30, "", " ", "0", "-0", "NaN", "Infinity", "-1e-400", "1e400", "0x10",
    "١٢", "\u0000", "\ud7ff" * 40, "a" * 5_000, "'; DROP TABLE orders; --", "%3A%2C", "../../etc", [], {}, [[]],
    ["a", 1], {"a": {}},
    "9" * 60, "0." + "0" * 60 + "1",
)  # fmt: skip


def params(rng: random.Random, *, depth: int = 0) -> dict[str, Any]:
    out: dict[str, Any] = {"category": "linear", "symbol": "BTCUSDT"}
    for _ in range(rng.randrange(0, 10)):
        name = rng.choice(NAMES)
        if name == "request" and depth == 0:
            out[name] = [
                params(rng, depth=1) if rng.random() < 0.8 else rng.choice(RUBBISH) for _ in range(rng.randrange(6))
            ]
        elif name in GOOD and rng.random() < 0.6:
            out[name] = rng.choice(GOOD[name])
        else:
            out[name] = rng.choice(RUBBISH)
    return out


def rest_round(simulator: Running, rng: random.Random, seen: Counter[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", simulator.port, timeout=20)
    try:
        for _ in range(40):
            path, route = rng.choice(list(ROUTES.items()))
            method = route.method if rng.random() < 0.97 else rng.choice(("GET", "POST", "PUT", "DELETE"))
            query, body = "", ""
            if method == "GET":
                query = "&".join(f"{k}={_quoted(v)}" for k, v in params(rng).items())
            else:
                body = json.dumps(params(rng))
                if rng.random() < 0.1:
                    cut = rng.randrange(len(body) + 1)
                    body = body[:cut] + rng.choice(("", "}", "\x00", "[" * 400, '"')) + body[cut:]
            stamp = rng.choice((time.time_ns() // 1_000_000,) * 20 + (0, -5, 10**18))
            payload = query if method == "GET" else body
            headers = {
                "X-BAPI-API-KEY": "key",
                "X-BAPI-TIMESTAMP": str(stamp),
                "X-BAPI-SIGN": sign_request(CREDENTIALS, timestamp_ms=stamp, recv_window="", payload=payload),
            }
            if rng.random() < 0.03:
                headers.pop(rng.choice(list(headers)))
            target = f"{path}?{query}" if query else path
            connection.request(method, target, body=body.encode() if body else None, headers=headers)
            answer = connection.getresponse()
            data = answer.read()
            seen[f"http {answer.status}"] += 1
            if answer.status == 200:
                code = json.loads(data)["retCode"]
                seen[f"code {code}"] += 1
                if code == 10016:
                    seen["FAILED 10016"] += 1
            elif answer.status >= 500:
                seen["FAILED 5xx"] += 1
    finally:
        connection.close()


def _quoted(value: Any) -> str:
    from urllib.parse import quote

    return quote(str(value), errors="replace")[:6_000]


async def socket_round(simulator: Running, rng: random.Random, seen: Counter[str]) -> None:
    path = rng.choice(("/v5/public/linear", "/v5/private", "/v5/trade"))
    async with websockets.connect(simulator.ws_url + path, max_size=None, ping_interval=None) as wire:
        if path != "/v5/public/linear" and rng.random() < 0.9:
            expires = time.time_ns() // 1_000_000 + 10_000
            await wire.send(
                json.dumps({"op": "auth", "args": ["key", expires, sign_socket(CREDENTIALS, str(expires))]})
            )
        for number in range(25):
            await wire.send(message(rng, number))
        with contextlib.suppress(TimeoutError, websockets.ConnectionClosed):
            async with asyncio.timeout(0.15):
                while True:
                    seen[f"frame {path}"] += bool(await wire.recv())


def message(rng: random.Random, number: int) -> str | bytes:
    kind = rng.random()
    if kind < 0.15:
        return bytes(rng.randrange(256) for _ in range(rng.randrange(200)))
    topics = (
        "orderbook.50.BTCUSDT",
        "tickers.SOLUSDT",
        "kline.1.BTCUSDT",
        "order",
        "execution",
        "wallet",
        "x",
        "a.b.c.d",
    )
    row: dict[str, Any] = {
        "op": rng.choice(("subscribe", "unsubscribe", "ping", "auth", "dance", *TRADE_OPS)),
        "args": rng.choice(
            ([rng.choice(topics)], [rng.choice(topics), rng.choice(RUBBISH)], [params(rng)], rng.choice(RUBBISH))
        ),
        "req_id": rng.choice((str(number), number, None, [], {})),
        "reqId": rng.choice((str(number), number, "r" * 40, None)),
        "header": rng.choice(({"X-BAPI-TIMESTAMP": str(time.time_ns() // 1_000_000)}, {}, None, "x")),
    }
    for name in list(row):
        if rng.random() < 0.08:
            row[name] = rng.choice(RUBBISH)
        elif rng.random() < 0.05:
            del row[name]
    text = json.dumps(row)
    return text if kind < 0.9 else text[: rng.randrange(len(text))]


def control_round(simulator: Running, rng: random.Random, seen: Counter[str]) -> None:
    path = rng.choice(("/sim/faults", "/sim/market", "/sim/clock", "/sim/state", "/metrics", "/sim/x"))
    row = {
        name: rng.choice(RUBBISH)
        for name in rng.sample(("name", "params", "count", "for_s", "match", "action", "symbol"), 3)
    }
    status, _ = simulator.raw(rng.choice(("GET", "POST", "DELETE")), path, json.dumps(row).encode())
    seen[f"control {status}"] += 1
    if status >= 500:
        seen["FAILED control"] += 1


def fuzz(seconds: float, seed: int) -> Counter[str]:
    rng = random.Random(seed)
    lines = {"BTCUSDT": Line(((0.0, 97_000.0),), noise_bps=3), "SOLUSDT": Line(((0.0, 172.0),), noise_bps=4)}
    source = PathSource(lines, start_ms=START_MS, seed=seed)
    seen: Counter[str] = Counter()
    with running_simulator(source=source, config=ExchangeConfig(orders_per_s=10_000), speed=20) as simulator:
        simulator.exchange.house.limiter.admits_address = lambda address, now_s: True  # type: ignore[method-assign]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            rest_round(simulator, rng, seen)
            asyncio.run(socket_round(simulator, rng, seen))
            control_round(simulator, rng, seen)
        simulator.sim("DELETE", "/sim/faults")
        state = simulator.sim("GET", "/sim/state")
        seen["FAILED internal"] += state["wire"].get("internal_errors", 0)
        seen["orders seen"] = len(state["orders"]["open"]) + len(state["orders"]["closed"])
    return +seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    seen = fuzz(options.seconds, options.seed)
    for name, count in sorted(seen.items()):
        print(f"{count:>8}  {name}")
    return int(any(name.startswith("FAILED") for name in seen))


if __name__ == "__main__":
    sys.exit(main())
