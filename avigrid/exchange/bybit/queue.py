"""The bounded queue between sockets and their consumer. What may not be lost is kept even when it is full."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable


class EventQueue[Event]:
    """One consumer. `is_vital` events go in always; others are dropped, and counted by kind, while it is full."""

    def __init__(self, size: int, is_vital: Callable[[Event], bool]) -> None:
        self._size = size
        self._is_vital = is_vital
        self._events: deque[Event] = deque()
        self._wake = asyncio.Event()
        self._is_closed = False
        self.dropped: Counter[str] = Counter()
        self.on_room: Callable[[], None] | None = None
        """Called when a queue that was full has drained to half."""
        self._was_full = False

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> bool:
        """False when it was dropped."""
        if len(self._events) >= self._size and not self._is_vital(event):
            self.dropped[type(event).__name__] += 1
            self._was_full = True
            return False
        self._events.append(event)
        if not self._wake.is_set():
            self._wake.set()
        return True

    def close(self) -> None:
        """What is queued is still handed out."""
        self._is_closed = True
        self._wake.set()

    async def drain(self) -> AsyncIterator[Event]:
        while True:
            while self._events:
                event = self._events.popleft()
                if self._was_full and len(self._events) <= self._size // 2:
                    self._was_full = False
                    if self.on_room is not None:
                        self.on_room()
                yield event
            if self._is_closed:
                return
            self._wake.clear()
            await self._wake.wait()
