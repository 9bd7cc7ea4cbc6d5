"""The port: one asyncio process that carries HTTP/1.1 and all sockets to the exchange object. A thin wire, no rules
of its own.
"""

import asyncio
import logging
import time

from avigrid.exchange.simulator.connection import Connection
from avigrid.exchange.simulator.control import Control
from avigrid.exchange.simulator.exchange import SimulatedExchange
from avigrid.exchange.simulator.messages import Reply, Request, parse_object

log = logging.getLogger(__name__)

TICK_S = 0.01
_QUANTA_A_SLICE = 2
_SLICE_BUDGET_S = 0.02
_MAX_LAG_S = 0.5
_SWEEP_S = 1.0


class SimulatorServer:
    """Runs one exchange on one port until `stop` is called."""

    def __init__(self, exchange: SimulatedExchange, *, host: str, port: int) -> None:
        self.exchange = exchange
        self.control = Control(exchange)
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._stopping = asyncio.Event()
        self._pumping = asyncio.Lock()
        self.connections: set[Connection] = set()

    async def start(self) -> str:
        """Binds the port and returns the URL; OSError where it is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), self._host, self._port)
        bound = self._server.sockets[0].getsockname()
        host = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        return f"http://{host}:{bound[1]}"

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Moves time until stopped, then closes every connection."""
        sweep_s = time.monotonic()
        try:
            while not self._stopping.is_set():
                await self._catch_up()
                now_s = time.monotonic()
                if now_s - sweep_s >= _SWEEP_S:
                    sweep_s = now_s
                    self.exchange.cut_the_silent()
                    for connection in list(self.connections):
                        connection.drop_if_idle(now_s)
                self.flush()
                try:
                    async with asyncio.timeout(TICK_S):
                        await self._stopping.wait()
                except TimeoutError:
                    continue
        finally:
            await self._close()

    async def _catch_up(self) -> None:
        """Pumps in slices so that requests are served in between; what cannot be caught up slows the clock down."""
        async with self._pumping:
            clock = self.exchange.house.clock
            slice_ms = _QUANTA_A_SLICE * self.exchange.config.quantum_ms
            began_s = time.monotonic()
            left_ms = self.exchange.pump(slice_ms)
            while left_ms:
                if time.monotonic() - began_s > _SLICE_BUDGET_S:
                    self.flush()
                    await asyncio.sleep(0)
                    began_s = time.monotonic()
                    if not clock.is_stepped and left_ms > _MAX_LAG_S * 1_000 * max(1.0, clock.speed):
                        clock.hold_back_to(self.exchange.venue.now_ms)
                        self.exchange.house.count("clock_held_back")
                        return
                left_ms = self.exchange.pump(slice_ms)

    def flush(self) -> None:
        for connection in list(self.connections):
            connection.flush()

    async def answer(self, request: Request) -> Reply:
        if request.path.startswith("/sim/") or request.path == "/metrics":
            if request.path.rstrip("/") == "/sim/clock" and request.method == "POST":
                return await self._change_clock(request)
            return self.control.handle(request)
        if request.path == "/":
            return Reply(200, b"simulated Bybit V5, category linear\n", content_type="text/plain")
        return self.exchange.request(request)

    async def _change_clock(self, request: Request) -> Reply:
        """Answers once the market has reached the new time."""
        body = parse_object(request.body)
        try:
            if body is None:
                raise ValueError("the body must be a JSON object")
            self.control.change_clock(body)
        except ValueError:
            return self.control.handle(request)
        await self._catch_up()
        self.flush()
        return self.control.clock()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.say_goodbye()
        await asyncio.sleep(0)
        for connection in list(self.connections):
            connection.abort()
        if self._server is not None:
            await self._server.wait_closed()
