"""A simulated exchange on a free local port, in a thread of its own: for scenarios that are played over the wire.

Its time stands still; only `step` moves it. Everything else a client does goes through REST and sockets.
"""

import asyncio
import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from avigrid.exchange.simulator.clock import SimulatedClock
from avigrid.exchange.simulator.exchange import ExchangeConfig, SimulatedExchange
from avigrid.exchange.simulator.feed import Source
from avigrid.exchange.simulator.messages import Row, encode, parse_object
from avigrid.exchange.simulator.server import SimulatorServer

_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class SteppedExchange:
    """`url` is http://127.0.0.1:PORT."""

    url: str
    _port: int

    def step(self, ms: int) -> None:
        """Answers once the market has got there."""
        self._call("POST", "/sim/clock", {"step_ms": ms})

    def fault(self, body: Mapping[str, object]) -> None:
        self._call("POST", "/sim/faults", dict(body))

    def clear_faults(self) -> None:
        self._call("DELETE", "/sim/faults", None)

    def truth(self) -> Row:
        return self._call("GET", "/sim/state", None)

    def _call(self, method: str, path: str, body: Row | None) -> Row:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE_S)
        try:
            connection.request(method, path, body=None if body is None else encode(body))
            reply = connection.getresponse()
            answer = parse_object(reply.read().decode()) or {}
        finally:
            connection.close()
        if reply.status != 200:
            raise ValueError(str(answer.get("error", f"HTTP {reply.status}")))
        return answer


@contextmanager
def stepped_exchange(source: Source, config: ExchangeConfig) -> Iterator[SteppedExchange]:
    clock = SimulatedClock(start_ms=source.start_ms, speed=0, wall_s=time.monotonic)
    exchange = SimulatedExchange(
        source, config, clock=clock, wire_s=time.monotonic, wall_ms=lambda: time.time_ns() // 1_000_000
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

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="exchange", daemon=True)
    thread.start()
    if not ready.wait(_PATIENCE_S):
        raise OSError("the simulated exchange did not start")
    try:
        yield SteppedExchange(urls[0], int(urls[0].rsplit(":", 1)[1]))
    finally:
        loops[0].call_soon_threadsafe(server.stop)
        thread.join(_PATIENCE_S)
