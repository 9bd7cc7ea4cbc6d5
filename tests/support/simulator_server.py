"""A simulated exchange on a free local port, in a thread of its own, for tests that speak over the wire."""

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from pybit.unified_trading import HTTP, WebSocket, WebSocketTrading

from avigrid.exchange.simulator.clock import SimulatedClock
from avigrid.exchange.simulator.exchange import ExchangeConfig, SimulatedExchange
from avigrid.exchange.simulator.feed import Source
from avigrid.exchange.simulator.server import SimulatorServer
from avigrid.exchange.simulator.sources.synthetic import SyntheticSource

START_MS = 1_767_571_200_000


def eventually(check: Callable[[], Any], *, timeout_s: float = 5.0) -> Any:
    """The first truthy answer of `check`; AssertionError where there is none in time."""
    end = time.monotonic() + timeout_s
    pause = threading.Event()
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout_s} s: {check}")
        pause.wait(0.01)


@dataclass(slots=True)
class Running:
    """`url` is http://127.0.0.1:PORT; the exchange object may be read from the test, changed only over the wire."""

    url: str
    exchange: SimulatedExchange
    server: SimulatorServer

    @property
    def ws_url(self) -> str:
        return self.url.replace("http://", "ws://")

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def http(self, *, secret: str = "secret", **options: Any) -> HTTP:
        session = HTTP(api_key="key", api_secret=secret, **options)
        session.endpoint = self.url
        return session

    def sim(self, method: str, path: str, body: object = None) -> Any:
        status, answer = self.raw(method, path, None if body is None else orjson.dumps(body))
        assert status == 200, (status, answer)
        return answer

    def raw(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        import http.client

        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, orjson.loads(data)
        except orjson.JSONDecodeError:
            return answer.status, data

    def socket(self, channel: str, **options: Any) -> WebSocket:
        return _local(WebSocket, self.ws_url)(channel, testnet=False, **options)

    def private(self) -> WebSocket:
        return self.socket("private", api_key="key", api_secret="secret")

    def trading(self) -> WebSocketTrading:
        return _local(WebSocketTrading, self.ws_url)(testnet=False, api_key="key", api_secret="secret")


def _local(kind: type, base: str) -> type:
    class Local(kind):  # type: ignore[misc]
        def _connect(self, url: str) -> Any:
            return super()._connect(re.sub(r"^wss?://[^/]+", base, url))

    return Local


@contextmanager
def running_simulator(
    *,
    source: Source | None = None,
    config: ExchangeConfig | None = None,
    symbols: tuple[str, ...] = ("BTCUSDT", "SOLUSDT"),
    speed: float = 1.0,
    start_ms: int | None = None,
) -> Iterator[Running]:
    market = source or SyntheticSource(symbols, seed=7, start_ms=start_ms or START_MS)
    clock = SimulatedClock(start_ms=market.start_ms, speed=speed, wall_s=time.monotonic)
    exchange = SimulatedExchange(
        market,
        config or ExchangeConfig(orders_per_s=1_000),
        clock=clock,
        wire_s=time.monotonic,
        wall_ms=lambda: time.time_ns() // 1_000_000,
    )
    server = SimulatorServer(exchange, host="127.0.0.1", port=0)
    ready = threading.Event()
    urls: list[str] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def main() -> None:
        loops.append(asyncio.get_running_loop())
        urls.append(await server.start())
        ready.set()
        await server.run()

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="simulator", daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield Running(urls[0], exchange, server)
    finally:
        loops[0].call_soon_threadsafe(server.stop)
        thread.join(10)
        assert not thread.is_alive()
