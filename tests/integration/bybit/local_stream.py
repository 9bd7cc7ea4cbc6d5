"""A socket server that answers as Bybit's streams do, driven by the test."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

Answer = Callable[["Visitor", dict[str, Any]], None]


class Visitor:
    """One connected client. What it asked is in `requests`; `say` sends a frame to it."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self.requests: list[dict[str, Any]] = []
        self.path = socket.request.path if socket.request else ""

    def say(self, **frame: Any) -> None:
        self._outbox.put_nowait(json.dumps(frame, separators=(",", ":")))

    def say_text(self, text: str) -> None:
        self._outbox.put_nowait(text)

    def hang_up(self) -> None:
        self._socket.transport.abort()

    async def speak(self) -> None:
        while True:
            await self._socket.send(await self._outbox.get())


class LocalStream:
    def __init__(self) -> None:
        self.url = ""
        self.visitors: list[Visitor] = []
        self.is_mute = False
        self.on_request: Answer = acknowledge

    @property
    def last(self) -> Visitor:
        return self.visitors[-1]

    def subscribed(self) -> list[str]:
        """Every topic ever asked for, in order."""
        return [
            topic
            for visitor in self.visitors
            for request in visitor.requests
            if request["op"] == "subscribe"
            for topic in request["args"]
        ]

    async def serve_one(self, socket: ServerConnection) -> None:
        visitor = Visitor(socket)
        self.visitors.append(visitor)
        speaker = asyncio.create_task(visitor.speak())
        try:
            async for text in socket:
                request = json.loads(text)
                visitor.requests.append(request)
                if not self.is_mute:
                    self.on_request(visitor, request)
        except ConnectionClosed:
            pass
        finally:
            speaker.cancel()


def acknowledge(visitor: Visitor, request: dict[str, Any]) -> None:
    """Says yes to everything, the way the live exchange words it."""
    op, req_id = request["op"], request["req_id"]
    if op == "ping":
        visitor.say(success=True, ret_msg="pong", conn_id="c", req_id=req_id, op="ping")
    else:
        visitor.say(success=True, ret_msg="", conn_id="c", req_id=req_id, op=op)


@asynccontextmanager
async def local_stream() -> AsyncIterator[LocalStream]:
    stream = LocalStream()
    async with serve(stream.serve_one, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1) as server:
        stream.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield stream


def book(kind: str, update_id: int, symbol: str = "BTCUSDT", bid: str = "100.0", size: str = "1") -> dict[str, Any]:
    data = {"s": symbol, "b": [[bid, size]], "a": [["101.0", "2"]], "u": update_id, "seq": update_id * 10}
    return {"topic": f"orderbook.50.{symbol}", "type": kind, "ts": 1_700_000_000_000, "data": data, "cts": 1}


def kline(symbol: str, start_ms: int, *, confirm: bool) -> dict[str, Any]:
    bar = {
        "start": start_ms,
        "end": start_ms + 299_999,
        "interval": "5",
        "open": "100",
        "close": "101",
        "high": "102",
        "low": "99",
        "volume": "7",
        "turnover": "700",
        "confirm": confirm,
        "timestamp": start_ms + 299_000,
    }
    return {"topic": f"kline.5.{symbol}", "data": [bar], "ts": start_ms, "type": "snapshot"}
