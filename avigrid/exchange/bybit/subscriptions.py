"""The topics of one socket: wanted, asked for, alive, silent or refused. Has no socket and no clock of its own."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import batched

from avigrid.exchange.bybit.codec.control import Control, subscribe_request, unsubscribe_request
from avigrid.exchange.bybit.policy import StreamPolicy


@dataclass(slots=True)
class _Topic:
    """`strikes` counts how often in a row it had to be asked for again."""

    seen_s: float
    is_up: bool = False
    strikes: int = 0


class Subscriptions:
    def __init__(
        self,
        name: str,
        topics: Iterable[str],
        *,
        send: Callable[[str], None],
        on_state: Callable[[str, str, str], None],
        policy: StreamPolicy,
        monotonic: Callable[[], float],
    ) -> None:
        """`send` takes a request's text; `on_state(kind, topic, reason)` as in StreamState."""
        self.refused: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self._name = name
        self._wanted = dict.fromkeys(topics, None)
        self._live: dict[str, _Topic] = {}
        self._down: dict[str, str] = {}
        self._pending: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._send = send
        self._on_state = on_state
        self._policy = policy
        self._monotonic = monotonic
        self._is_connected = False
        self._next_id = 0

    @property
    def topics(self) -> list[str]:
        """Without those the venue refuses."""
        return [topic for topic in self._wanted if topic not in self.refused]

    def add(self, topics: Iterable[str]) -> None:
        fresh = [topic for topic in topics if topic not in self._wanted]
        self._wanted.update(dict.fromkeys(fresh))
        self._subscribe(fresh)

    def remove(self, topics: Iterable[str]) -> None:
        gone = [topic for topic in topics if topic in self._wanted]
        for topic in gone:
            del self._wanted[topic]
            self._live.pop(topic, None)
            self._down.pop(topic, None)
            self.refused.pop(topic, None)
        if self._is_connected:
            for chunk in batched(gone, self._policy.topics_per_request):
                self._send(unsubscribe_request(chunk, self.request_id()))

    def renew(self, topic: str) -> None:
        """A new snapshot of a topic is had by leaving it and coming back."""
        if self._is_connected and topic in self._wanted:
            self.counts["resubscribed"] += 1
            self._send(unsubscribe_request([topic], self.request_id()))
            self._subscribe([topic])

    def connected(self) -> None:
        self._live.clear()
        self._pending.clear()
        self._is_connected = True
        self._subscribe(self.topics)
        self.ask_refused_again()

    def disconnected(self, reason: str) -> None:
        self._is_connected = False
        self._live.clear()
        for topic in self.topics:
            self._say_down(topic, reason)

    def ask_refused_again(self) -> None:
        """A refusal may be a passing mood of the venue; singly, so that it cannot spoil other requests."""
        for topic in list(self.refused):
            self._subscribe([topic])

    def seen(self, topic: str) -> bool:
        """Data of a topic arrived (which may be before its acknowledgement). False where nobody wants it any more."""
        live = self._live.get(topic)
        if live is None:
            return False
        live.seen_s = self._monotonic()
        if not live.is_up:
            self._came_up(topic, live)
        live.strikes = 0
        return True

    def answered(self, frame: Control) -> None:
        req_id = frame.req_id
        if req_id not in self._pending and not frame.success and self._pending:
            req_id = next(iter(self._pending))  # a refusal that forgot the id
        _asked_s, topics = self._pending.pop(req_id, (0.0, ()))
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

    def fault(self, now_s: float) -> str:
        """Why this socket should be given up, or "". Single silent topics are asked for again on the way."""
        if any(now_s - asked_s > self._policy.answer_within_s for asked_s, _ in self._pending.values()):
            return "no answer to a subscription"
        limits_s = self._policy.silence_s
        watched = [(t, live) for t, live in self._live.items() if t.partition(".")[0] in limits_s]
        silent = sum(live.strikes > 0 for _, live in watched)
        for topic, live in watched:
            limit_s = limits_s[topic.partition(".")[0]]
            if now_s - live.seen_s <= limit_s * (live.strikes + 1):
                continue
            if live.strikes and silent * 2 > len(watched):
                return f"{silent} topics silent"
            self._strike(topic, live, limit_s, now_s)
        return ""

    def fell_silent(self, topic: str, limit_s: float) -> None:
        """Somebody else noticed, from what other topics say."""
        if (live := self._live.get(topic)) is not None:
            self._strike(topic, live, limit_s, self._monotonic())

    def request_id(self) -> str:
        self._next_id += 1
        return f"{self._name}-{self._next_id}"

    def _strike(self, topic: str, live: _Topic, limit_s: float, now_s: float) -> None:
        if live.is_up or not live.strikes:
            self._on_state("stale", topic, f"silent for {limit_s:g} s")
        live.is_up = False
        live.strikes = min(live.strikes + 1, 10)
        live.seen_s = now_s
        self.renew(topic)

    def _refuse(self, topic: str, message: str) -> None:
        live = self._live.get(topic)
        if topic not in self._wanted or (live is not None and live.is_up):
            return
        self._live.pop(topic, None)
        self.refused[topic] = message
        self._say_down(topic, f"refused: {message}")

    def _came_up(self, topic: str, live: _Topic) -> None:
        live.is_up = True
        self.refused.pop(topic, None)
        self._down.pop(topic, None)
        self._on_state("up", topic, "")

    def _say_down(self, topic: str, reason: str) -> None:
        """Once per topic and reason, however many attempts to come back fail."""
        if self._down.get(topic) != reason:
            self._down[topic] = reason
            self._on_state("down", topic, reason)

    def _subscribe(self, topics: Sequence[str]) -> None:
        if not self._is_connected:
            return  # it will be part of the next connect
        now_s = self._monotonic()
        for chunk in batched(topics, self._policy.topics_per_request):
            for topic in chunk:
                if topic not in self._live:
                    self._live[topic] = _Topic(seen_s=now_s)
            req_id = self.request_id()
            self._pending[req_id] = (now_s, chunk)
            self._send(subscribe_request(chunk, req_id))
