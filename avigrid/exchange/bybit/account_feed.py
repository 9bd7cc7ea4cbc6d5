"""The private stream of one account: the AccountFeed of `avigrid.exchange.ports`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

from avigrid.exchange.bybit.codec.control import auth_request
from avigrid.exchange.bybit.codec.stream import PrivateDecoder, PrivateEvent
from avigrid.exchange.bybit.policy import StreamPolicy, StreamTools
from avigrid.exchange.bybit.queue import EventQueue
from avigrid.exchange.bybit.ws import StreamConnection
from avigrid.exchange.ports import AccountEvent, StreamState

TOPICS = ("order", "execution", "position", "wallet")
STREAM = "private"
_LOGIN_VALID_MS = 10_000


class BybitAccountFeed:
    """States concern the stream as a whole (topic "private"): "up" once all four topics are subscribed: reconcile now;
    "down" with the reason; "gap" when a message could not be read: reconcile as well. Nothing is ever dropped.
    """

    def __init__(
        self,
        private_ws_url: str,
        *,
        api_key: str,
        api_secret: str,
        now_ms: Callable[[], int],
        rate_ratio: Callable[[], float] = lambda: 1.0,
        policy: StreamPolicy | None = None,
        tools: StreamTools | None = None,
    ) -> None:
        """`now_ms` is the exchange's time and `rate_ratio` its speed: the login expires in it."""
        self._now_ms = now_ms
        policy = policy or StreamPolicy(ping_every_s=10.0)
        self._queue: EventQueue[AccountEvent] = EventQueue(policy.queue_size, lambda _event: True)
        self._up: set[str] = set()
        self._is_up = False
        self._decoder = PrivateDecoder()

        def login() -> str:
            expires_ms = now_ms() + round(_LOGIN_VALID_MS * max(1.0, rate_ratio()))
            return auth_request(api_key=api_key, api_secret=api_secret, expires_ms=expires_ms, req_id="login")

        self._connection: StreamConnection[PrivateEvent] = StreamConnection(
            STREAM,
            private_ws_url,
            TOPICS,
            decoder=self._decoder,
            on_events=self._take,
            on_state=self._topic_state,
            policy=policy,
            tools=tools or StreamTools(),
            login=login,
            on_malformed=lambda reason: self._state("gap", f"unreadable message: {reason}"),
        )
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    def counters(self) -> dict[str, int]:
        total = Counter(self._connection.counts)
        total.update({f"fault_{kind}": count for kind, count in self._decoder.faults.items()})
        return dict(total)

    async def events(self) -> AsyncIterator[AccountEvent]:
        self._task = asyncio.create_task(self._connection.run(), name=STREAM)
        self._task.add_done_callback(self._ended)
        try:
            async for event in self._queue.drain():
                yield event
        finally:
            await self.aclose()
        if self._failure is not None:
            raise self._failure

    async def aclose(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._queue.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            self._queue.close()

    def _take(self, _topic: str, events: Sequence[PrivateEvent]) -> None:
        for event in events:
            self._queue.put(event)

    def _topic_state(self, kind: str, topic: str, reason: str) -> None:
        if kind == "up":
            self._up.add(topic)
            if self._up.issuperset(TOPICS) and not self._is_up:
                self._is_up = True
                self._state("up", "")
            return
        self._up.discard(topic)
        if self._is_up or topic == TOPICS[0] or reason.startswith("refused"):
            self._is_up = False
            self._state("down", reason)

    def _state(self, kind: str, reason: str) -> None:
        self._queue.put(StreamState(kind=kind, topic=STREAM, reason=reason, time_ms=self._now_ms()))
