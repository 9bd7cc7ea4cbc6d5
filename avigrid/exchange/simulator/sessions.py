"""One socket connection as the exchange sees it: what it subscribed to and what waits to be sent. No I/O."""

import heapq
from collections.abc import Callable

from avigrid.exchange.simulator.messages import Row, text_of

MAX_ARGS_CHARS = 21_000
SILENCE_LIMIT_S = 600.0


class Session:
    """`kind` is public, private or trade. Frames wait in order of the time they are due; `close_code` set means: cut
    it.
    """

    def __init__(
        self, *, kind: str, path: str, conn_id: str, remote: str, wire_s: Callable[[], float], number: int
    ) -> None:
        self.kind = kind
        self.path = path
        self.conn_id = conn_id
        self.remote = remote
        self.number = number
        self.topics: set[str] = set()
        self.args_chars = 0
        self.is_authenticated = False
        self.is_deaf = False
        self.close_code: int | None = None
        self.heard_s = wire_s()
        self.sent_frames = 0
        self._wire_s = wire_s
        self._waiting: list[tuple[float, int, str]] = []
        self._counter = 0

    def send(self, row: Row, delay_s: float = 0.0) -> None:
        self.send_text(text_of(row), delay_s)

    def send_text(self, text: str, delay_s: float = 0.0) -> None:
        if self.is_deaf or self.close_code is not None:
            return
        self._counter += 1
        heapq.heappush(self._waiting, (self._wire_s() + delay_s, self._counter, text))

    def take_due(self) -> list[str]:
        """Frames whose time has come, oldest first; none once the session is deaf."""
        if self.is_deaf:
            self._waiting.clear()
            return []
        waiting = self._waiting
        if not waiting:
            return []
        now_s = self._wire_s()
        out = []
        while waiting and waiting[0][0] <= now_s:
            out.append(heapq.heappop(waiting)[2])
        self.sent_frames += len(out)
        return out

    def cut(self, code: int) -> None:
        if self.close_code is None:
            self.close_code = code

    def facts(self, **more: object) -> dict[str, object]:
        return {"path": self.path, "kind": self.kind, "conn_id": self.conn_id, **more}
