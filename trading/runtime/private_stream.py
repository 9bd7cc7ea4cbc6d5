"""The private stream of the execution process: a thread that puts what the venue tells into the inbox."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.utils import timezone

from avigrid.exchange.ports import AccountEvent, AccountFeed, StreamState

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """A private frame and when it came in."""

    event: AccountEvent
    at: datetime


@dataclass(frozen=True, slots=True)
class Failed:
    """A source ended for good: the process must end too, and be started again."""

    source: str
    reason: str


class PrivateStream:
    """`replaces` goes on listening until this one is up: what both hear is booked once, and nothing falls between."""

    def __init__(
        self,
        feed: Callable[[], AccountFeed],
        put: Callable[[Heard | Failed], None],
        *,
        replaces: "PrivateStream | None" = None,
    ) -> None:
        self._feed = feed
        self._put = put
        self._replaces = replaces
        self._is_replaced = False
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._replaces is not None:
            self._replaces._is_replaced = True  # from here on the new one speaks for the connection
        threading.Thread(target=self._run, name="private-stream", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        if self._replaces is not None:
            self._replaces.stop()
        if self._loop is not None and self._task is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)

    def _run(self) -> None:
        try:
            asyncio.run(self._consume())
        except asyncio.CancelledError:
            return
        except Exception as error:  # whatever it was: a process without its private stream must not go on
            log.exception("private_stream_failed")
            if not self._is_replaced:
                self._put(Failed("private stream", repr(error)))

    async def _consume(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        async for event in self._feed().events():
            if self._stopping.is_set():
                return
            if isinstance(event, StreamState):
                if self._is_replaced:
                    continue
                self._take_over(event)
            self._put(Heard(event, timezone.now()))

    def _take_over(self, state: StreamState) -> None:
        if state.kind == "up" and self._replaces is not None:
            self._replaces.stop()
            self._replaces = None
