"""One socket to Bybit that keeps itself alive: login, subscriptions, heartbeats, watch over silence, reconnection.

It knows topics and frames, not what they mean: decoded events go to a handler, changes of a topic's state to another.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from avigrid.exchange.bybit.codec.control import Control, ping_request, subscribe_request, unsubscribe_request
from avigrid.exchange.bybit.codec.fields import MalformedMessage
from avigrid.exchange.bybit.policy import StreamPolicy, StreamTools, backoff_s


class Decoder[Event](Protocol):
    def decode(self, raw: bytes) -> tuple[str, Sequence[Event]] | Control: ...


@dataclass(slots=True)
class _Topic:
    """`strikes` counts how often in a row it had to be asked for again."""

    seen_s: float
    is_up: bool = False
    strikes: int = 0


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
        self.refused: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self._url = url
        self._topics = dict.fromkeys(topics, None)
        self._live: dict[str, _Topic] = {}
        self._down: dict[str, str] = {}
        self._decoder = decoder
        self._on_events = on_events
        self._on_state = on_state
        self._on_malformed = on_malformed or (lambda _reason: None)
        self._policy = policy
        self._tools = tools
        self._login = login
        self._outbox: asyncio.Queue[str] | None = None
        self._pending: dict[str, tuple[str, ...]] = {}
        self._logged_in = asyncio.Event()
        self._login_refusal = ""
        self._next_id = 0
        self._ping_sent_s: float | None = None

    @property
    def topics(self) -> list[str]:
        return list(self._topics)

    def add(self, topics: Iterable[str]) -> None:
        fresh = [topic for topic in topics if topic not in self._topics]
        self._topics.update(dict.fromkeys(fresh))
        self._subscribe(fresh)

    def remove(self, topics: Iterable[str]) -> None:
        gone = [topic for topic in topics if topic in self._topics]
        for topic in gone:
            del self._topics[topic]
            self._live.pop(topic, None)
        for chunk in batched(gone, self._policy.topics_per_request):
            self._send(unsubscribe_request(chunk, self._request_id()))

    def resubscribe(self, topic: str) -> None:
        """A new snapshot of a topic is had by leaving it and coming back."""
        if topic in self._topics:
            self.counts["resubscribed"] += 1
            self._send(unsubscribe_request([topic], self._request_id()))
            self._subscribe([topic])

    async def run(self) -> None:
        """Until cancelled."""
        failures = 0
        while True:
            started_s = self._tools.monotonic()
            is_refusal = False
            try:
                await self._serve()
                reason = "closed"
            except _Broken as error:
                reason, is_refusal = str(error), error.is_refusal
            except (OSError, WebSocketException) as error:  # TimeoutError is an OSError
                reason = type(error).__name__
            self._went_down(reason)
            if self._tools.monotonic() - started_s >= self._policy.stable_after_s:
                failures = 0
            delay_s = backoff_s(self._policy, failures, self._tools.rng)
            if is_refusal:
                delay_s = max(delay_s, self._policy.backoff_after_refusal_s)
            failures += 1
            self.counts["reconnects"] += 1
            await self._tools.sleep(delay_s)

    async def _serve(self) -> None:
        policy = self._policy
        async with connect(
            self._url,
            compression=None,
            ping_interval=None,  # the venue has its own ping, and answers it with more certainty
            open_timeout=policy.open_timeout_s,
            close_timeout=1,
            max_size=2**24,
            proxy=True if self._url.startswith("wss") else None,
        ) as socket:
            self._outbox = asyncio.Queue()
            self._pending.clear()
            self._live.clear()
            self._logged_in.clear()
            self._login_refusal = ""
            self._ping_sent_s = None
            self.counts["connects"] += 1
            tasks = [
                asyncio.create_task(self._read(socket)),
                asyncio.create_task(self._write(socket, self._outbox)),
                asyncio.create_task(self._keep()),
            ]
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
            self._send(self._login())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._logged_in.wait(), self._policy.login_within_s)
            if not self._logged_in.is_set():
                raise _Broken("no answer to the login")
            if self._login_refusal:
                raise _Broken(f"login refused: {self._login_refusal}", is_refusal=True)
        self._subscribe(list(self._topics))
        pinged_s = self._tools.monotonic()
        while True:
            await self._tools.sleep(self._policy.check_every_s)
            now_s = self._tools.monotonic()
            self._check_pong(now_s)
            if now_s - pinged_s >= self._policy.ping_every_s:
                pinged_s = now_s
                if self._ping_sent_s is None:
                    self._ping_sent_s = now_s
                self._send(ping_request(self._request_id()))
            self._check_silence(now_s)

    def _check_pong(self, now_s: float) -> None:
        if self._ping_sent_s is not None and now_s - self._ping_sent_s > self._policy.pong_within_s:
            raise _Broken("no pong")

    def _check_silence(self, now_s: float) -> None:
        watched = silent = 0
        for topic, live in list(self._live.items()):
            limit_s = self._policy.silence_s.get(topic.partition(".")[0])
            if limit_s is None:
                continue
            watched += 1
            if live.strikes:
                silent += 1
            if now_s - live.seen_s <= limit_s * (live.strikes + 1):
                continue
            if live.strikes and silent * 2 > watched:
                raise _Broken(f"{silent} topics silent")
            if live.is_up or not live.strikes:
                self._on_state("stale", topic, f"silent for {limit_s:g} s")
            live.is_up = False
            live.strikes = min(live.strikes + 1, 10)
            live.seen_s = now_s
            self.resubscribe(topic)

    def _take(self, raw: bytes) -> None:
        try:
            decoded = self._decoder.decode(raw)
        except MalformedMessage as error:
            self.counts["malformed"] += 1
            self._on_malformed(str(error.details.get("reason", "")))
            return
        if isinstance(decoded, Control):
            self._control(decoded)
            return
        topic, events = decoded
        live = self._live.get(topic)
        if live is None:
            return  # a topic that was just left
        live.seen_s = self._tools.monotonic()
        if not live.is_up:
            self._came_up(topic, live)
        if live.strikes:
            live.strikes = 0
        self._on_events(topic, events)

    def _control(self, frame: Control) -> None:
        if frame.op == "pong":
            self._ping_sent_s = None
        elif frame.op == "auth":
            self._login_refusal = "" if frame.success else (frame.message or "no reason given")
            self._logged_in.set()
        elif frame.op == "subscribe":
            topics = self._pending.pop(frame.req_id, None)
            if topics is None and not frame.success and self._pending:
                topics = self._pending.pop(next(iter(self._pending)))  # an answer that forgot the id
            self._answered(topics or (), frame)

    def _answered(self, topics: tuple[str, ...], frame: Control) -> None:
        if frame.success:
            for topic in topics:
                live = self._live.get(topic)
                if live is not None and not live.is_up and not live.strikes:
                    self._came_up(topic, live)
        elif len(topics) > 1:  # one bad topic fails the whole request: find out which
            for topic in topics:
                self._subscribe([topic])
        else:
            for topic in topics:
                self._refuse(topic, frame.message)

    def _refuse(self, topic: str, message: str) -> None:
        live = self._live.get(topic)
        if topic not in self._topics or (live is not None and live.is_up):
            return
        del self._topics[topic]
        self._live.pop(topic, None)
        self.refused[topic] = message
        self._on_state("down", topic, f"refused: {message}")

    def _came_up(self, topic: str, live: _Topic) -> None:
        live.is_up = True
        self._down.pop(topic, None)
        self._on_state("up", topic, "")

    def _went_down(self, reason: str) -> None:
        """Said once per topic and reason, however many attempts to come back fail."""
        for topic in self._topics:
            if self._down.get(topic) != reason:
                self._down[topic] = reason
                self._on_state("down", topic, reason)
        self._live.clear()

    def _subscribe(self, topics: Sequence[str]) -> None:
        if self._outbox is None:
            return  # it will be part of the next connect
        now_s = self._tools.monotonic()
        for chunk in batched(topics, self._policy.topics_per_request):
            for topic in chunk:
                if topic not in self._live:
                    self._live[topic] = _Topic(seen_s=now_s)
            req_id = self._request_id()
            self._pending[req_id] = chunk
            self._send(subscribe_request(chunk, req_id))

    def _send(self, text: str) -> None:
        if self._outbox is not None:
            self._outbox.put_nowait(text)

    def _request_id(self) -> str:
        self._next_id += 1
        return f"{self.name}-{self._next_id}"
