"""A client of the exchange object without a network: signs, sends, receives, and steps the clock itself. For
scenarios and tests.

Everything goes through the same gate as the wire (routes, signatures, budgets, faults); only sockets and bytes are
missing.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from avigrid.exchange.simulator.auth import Credentials, sign_request, sign_socket
from avigrid.exchange.simulator.clock import SimulatedClock
from avigrid.exchange.simulator.exchange import ExchangeConfig, SimulatedExchange
from avigrid.exchange.simulator.feed import Source
from avigrid.exchange.simulator.messages import Drop, Reply, Request, Row, parse_object, text_of
from avigrid.exchange.simulator.sessions import Session

FINE_MS = 50
COARSE_MS = 1_000
_FINE_UP_TO_MS = 2_000
PATIENCE_S = 10.0


class NoAnswer(Exception):  # noqa: N818 - what a client is left with, not a fault of the program
    """The request was written and no answer came: it may have been executed."""


@dataclass(slots=True)
class LocalSocket:
    """`frames` holds everything received, oldest first; `closed` is the close code once the exchange has cut it."""

    home: "LocalExchange"
    session: Session
    frames: list[Row] = field(default_factory=list)
    closed: int | None = None

    def send(self, message: Row) -> None:
        if self.closed is None:
            self.home.exchange.receive(self.session, text_of(message))
            self.home.collect()

    def of_topic(self, topic: str) -> list[Row]:
        return [frame for frame in self.frames if frame.get("topic") == topic]

    def rows(self, topic: str) -> list[Row]:
        return [row for frame in self.of_topic(topic) for row in frame["data"]]

    def answers(self, operation: str) -> list[Row]:
        return [frame for frame in self.frames if frame.get("op") == operation]


class LocalExchange:
    """Time is `now_ms` of the exchange for everything: market, delays, budgets. It moves only by `step`."""

    def __init__(self, source: Source, config: ExchangeConfig | None = None) -> None:
        self._now_s = source.start_ms / 1_000
        config = config or ExchangeConfig()
        self._clock = SimulatedClock(start_ms=source.start_ms, speed=0, wall_s=self._seconds)
        self.exchange = SimulatedExchange(
            source, config, clock=self._clock, wire_s=self._seconds, wall_ms=lambda: self.now_ms
        )
        self.credentials = Credentials(config.api_key, config.api_secret)
        self.sockets: list[LocalSocket] = []
        self.exchange.pump()

    def _seconds(self) -> float:
        return self._now_s

    @property
    def now_ms(self) -> int:
        return round(self._now_s * 1_000)

    # -- time -------------------------------------------------------------------------------------------------

    def step(self, ms: int) -> None:
        """Moves everything on; short ways in fine steps, so that delays of milliseconds keep their order."""
        grain = FINE_MS if ms <= _FINE_UP_TO_MS else COARSE_MS
        target_ms = self.now_ms + ms
        while self.now_ms < target_ms:
            by = min(grain, target_ms - self.now_ms)
            self._clock.step(by)
            self._now_s = (self.now_ms + by) / 1_000
            self.exchange.pump()
            self.collect()

    def collect(self) -> None:
        for socket in list(self.sockets):
            for text in socket.session.take_due():
                frame = parse_object(text)
                if frame is not None:
                    socket.frames.append(frame)
            if socket.session.close_code is not None:
                socket.closed = socket.session.close_code
                self.exchange.leave(socket.session)
                self.sockets.remove(socket)

    # -- REST -------------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, params: Row, *, timestamp_ms: int | None = None) -> Row:
        """The envelope; HTTP refusals come as {"http": status}. Latency passes before it returns.

        Raises NoAnswer where a fault swallows the answer.
        """
        reply = self.raw(method, path, params, timestamp_ms=timestamp_ms)
        if reply.status != 200:
            return {"http": reply.status, "retCode": -reply.status, "retMsg": reply.body.decode()[:200]}
        return reply.json()

    def raw(self, method: str, path: str, params: Row, *, timestamp_ms: int | None = None) -> Reply:
        query = urlencode(params) if method == "GET" else ""
        body = text_of(params) if method == "POST" else ""
        stamp_ms = self.now_ms if timestamp_ms is None else timestamp_ms
        headers = {
            "x-bapi-api-key": self.credentials.api_key,
            "x-bapi-timestamp": str(stamp_ms),
            "x-bapi-recv-window": "5000",
            "x-bapi-sign": sign_request(
                self.credentials, timestamp_ms=stamp_ms, recv_window="5000", payload=query or body
            ),
        }
        reply = self.exchange.request(Request(method, path, query, body, headers))
        if reply.delay_s > 0:
            self.step(round(reply.delay_s * 1_000))
        self.collect()
        if reply.drop is Drop.CLOSE:
            raise NoAnswer("the connection was closed before an answer")
        if reply.drop is Drop.HANG:
            self.step(round(PATIENCE_S * 1_000))
            raise NoAnswer(f"no answer within {PATIENCE_S:g} s")
        return reply

    def get(self, path: str, **params: Any) -> Row:
        return self.call("GET", path, params)

    def post(self, path: str, **params: Any) -> Row:
        return self.call("POST", path, params)

    # -- sockets ----------------------------------------------------------------------------------------------

    def connect(self, path: str) -> LocalSocket:
        """Raises NoAnswer where the handshake is refused."""
        session = self.exchange.connect(path)
        if isinstance(session, Reply):
            raise NoAnswer(f"handshake refused with HTTP {session.status}")
        socket = LocalSocket(self, session)
        self.sockets.append(socket)
        return socket

    def private(self, *topics: str) -> LocalSocket:
        """Connected, authenticated, subscribed; its acknowledgements are already among the frames."""
        socket = self.connect("/v5/private")
        expires = str(self.now_ms + 10_000)
        signature = sign_socket(self.credentials, expires)
        socket.send({"op": "auth", "args": [self.credentials.api_key, expires, signature]})
        if topics:
            socket.send({"op": "subscribe", "args": list(topics)})
        self.step(100)
        return socket

    def public(self, *topics: str) -> LocalSocket:
        socket = self.connect("/v5/public/linear")
        socket.send({"op": "subscribe", "args": list(topics)})
        self.step(100)
        return socket
