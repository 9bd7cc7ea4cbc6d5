"""One socket to Bybit that keeps itself alive: login, heartbeats, watch over silence, reconnection.

It knows frames and topics, not what they mean: decoded events go to a handler, changes of a topic's state to another.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from avigrid.exchange.bybit.codec.control import Control, ping_request
from avigrid.exchange.bybit.codec.fields import MalformedMessage
from avigrid.exchange.bybit.policy import StreamPolicy, StreamTools, backoff_s
from avigrid.exchange.bybit.subscriptions import Subscriptions


class Decoder[Event](Protocol):
    def decode(self, raw: bytes) -> tuple[str, Sequence[Event]] | Control: ...


class _Broken(Exception):  # noqa: N818 - never leaves this file
    def __init__(self, reason: str, *, is_refusal: bool = False) -> None:
        super().__init__(reason)
        self.is_refusal = is_refusal


class StreamConnection[Event]:
    def __init__(
        self,
        name: str,
        url: str,
        topics: Iterable[str],
        *,
        decoder: Decoder[Event],
        on_events: Callable[[str, Sequence[Event]], None],
        on_state: Callable[[str, str, str], None],
        policy: StreamPolicy,
        tools: StreamTools,
        login: Callable[[], str] | None = None,
        on_malformed: Callable[[str], None] | None = None,
    ) -> None:
        """`on_state(kind, topic, reason)` as in StreamState; `login()` builds the auth frame at each connect."""
        self.name = name
        self.subscriptions = Subscriptions(
            name, topics, send=self._send, on_state=on_state, policy=policy, monotonic=tools.monotonic
        )
        self._counts: Counter[str] = Counter()
        self._url = url
        self._decoder = decoder
        self._on_events = on_events
        self._on_malformed = on_malformed or (lambda _reason: None)
        self._policy = policy
        self._tools = tools
        self._login = login
        self._outbox: asyncio.Queue[str] | None = None
        self._logged_in = asyncio.Event()
        self._login_refusal = ""
        self._ping_sent_s: float | None = None

    @property
    def counts(self) -> Counter[str]:
        return self._counts + self.subscriptions.counts

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            started_s = self._tools.monotonic()
            is_refusal = False
            reason = "closed"
            try:
                await self._serve()
            except _Broken as error:
                reason, is_refusal = str(error), error.is_refusal
            except (OSError, WebSocketException) as error:  # TimeoutError is an OSError
                reason = type(error).__name__
            self.subscriptions.disconnected(reason)
            if self._tools.monotonic() - started_s >= self._policy.stable_after_s:
                failures = 0
            delay_s = backoff_s(self._policy, failures, self._tools.rng)
            if is_refusal:
                delay_s = max(delay_s, self._policy.backoff_after_refusal_s)
            failures += 1
            self._counts["reconnects"] += 1
            await self._tools.sleep(delay_s)

    async def _serve(self) -> None:
        async with connect(
            self._url,
            compression=None,
            ping_interval=None,  # the venue has its own ping, and answers it with more certainty
            open_timeout=self._policy.open_timeout_s,
            close_timeout=1,
            max_size=2**24,
            proxy=True if self._url.startswith("wss") else None,
        ) as socket:
            outbox = self._outbox = asyncio.Queue()
            self._logged_in.clear()
            self._login_refusal = ""
            self._ping_sent_s = None
            self._counts["connects"] += 1
            jobs = (self._read(socket), self._write(socket, outbox), self._keep())
            tasks = [asyncio.create_task(job) for job in jobs]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                self._outbox = None
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            self._take(await socket.recv(decode=False))

    async def _write(self, socket: ClientConnection, outbox: asyncio.Queue[str]) -> None:
        while True:
            await socket.send(await outbox.get())

    async def _keep(self) -> None:
        if self._login is not None:
            await self._log_in(self._login())
        self.subscriptions.connected()
        pinged_s = asked_s = self._tools.monotonic()
        while True:
            await self._tools.sleep(self._policy.check_every_s)
            now_s = self._tools.monotonic()
            if self._ping_sent_s is not None and now_s - self._ping_sent_s > self._policy.pong_within_s:
                raise _Broken("no pong")
            if fault := self.subscriptions.fault(now_s):
                raise _Broken(fault)
            if now_s - pinged_s >= self._policy.ping_every_s:
                pinged_s = now_s
                if self._ping_sent_s is None:
                    self._ping_sent_s = now_s
                self._send(ping_request(self.subscriptions.request_id()))
            if now_s - asked_s >= self._policy.refused_again_s:
                asked_s = now_s
                self.subscriptions.ask_refused_again()

    async def _log_in(self, request: str) -> None:
        self._send(request)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._logged_in.wait(), self._policy.login_within_s)
        if not self._logged_in.is_set():
            raise _Broken("no answer to the login")
        if self._login_refusal:
            raise _Broken(f"login refused: {self._login_refusal}", is_refusal=True)

    def _take(self, raw: bytes) -> None:
        try:
            decoded = self._decoder.decode(raw)
        except MalformedMessage as error:
            self._counts["malformed"] += 1
            self._on_malformed(str(error.details.get("reason", "")))
            return
        if isinstance(decoded, Control):
            self._control(decoded)
            return
        topic, events = decoded
        if self.subscriptions.seen(topic):
            self._on_events(topic, events)

    def _control(self, frame: Control) -> None:
        if frame.op == "pong":
            self._ping_sent_s = None
        elif frame.op == "auth":
            self._login_refusal = "" if frame.success else (frame.message or "no reason given")
            self._logged_in.set()
        elif frame.op == "subscribe":
            self.subscriptions.answered(frame)

    def _send(self, text: str) -> None:
        if self._outbox is not None:
            self._outbox.put_nowait(text)
