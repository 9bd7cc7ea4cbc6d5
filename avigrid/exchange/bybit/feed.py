"""The public streams of many symbols over as many sockets as needed: the MarketFeed of `avigrid.exchange.ports`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from avigrid.exchange.bybit.codec.stream import PublicDecoder, PublicEvent
from avigrid.exchange.bybit.policy import StreamPolicy, StreamTools
from avigrid.exchange.bybit.queue import EventQueue
from avigrid.exchange.bybit.trade_watch import TradeWatch
from avigrid.exchange.bybit.ws import StreamConnection
from avigrid.exchange.ports import MarketEvent, StreamState
from avigrid.kernel.market import BookUpdate, Kline, PublicTrade

_AWAITING_SNAPSHOT = -1
_ASK_AGAIN_S = 5.0


def topics_of(
    symbols: Iterable[str],
    *,
    intervals_min: Sequence[int] = (1, 5, 15),
    depths: Sequence[int] = (50,),
    trades: bool = True,
    tickers: bool = True,
) -> list[str]:
    """All topics of the first symbol, then of the second, ..."""
    topics: list[str] = []
    for symbol in symbols:
        topics += [f"kline.{interval}.{symbol}" for interval in intervals_min]
        topics += [f"orderbook.{depth}.{symbol}" for depth in depths]
        topics += [f"publicTrade.{symbol}"] * trades + [f"tickers.{symbol}"] * tickers
    return topics


class BybitMarketFeed:
    """`events()` connects; `aclose()` (or leaving the iterator) disconnects. Not thread-safe: one event loop owns it.

    States come per topic: "up" after each (re)subscription, "down" with the reason ("refused: ..." where the exchange
    does not serve it), "stale" when a topic fell silent and was asked for again, "gap" when book updates or other
    events were lost; a book's next event is then a snapshot.
    """

    def __init__(
        self,
        public_ws_url: str,
        topics: Iterable[str],
        *,
        now_ms: Callable[[], int],
        policy: StreamPolicy | None = None,
        tools: StreamTools | None = None,
    ) -> None:
        self._url = public_ws_url
        self._now_ms = now_ms
        self._policy = policy or StreamPolicy()
        self._tools = tools or StreamTools()
        self._queue: EventQueue[MarketEvent] = EventQueue(self._policy.queue_size, _is_vital)
        self._queue.on_room = self._resync_lost
        self._connections: list[StreamConnection[PublicEvent]] = []
        self._decoders: list[PublicDecoder] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._last_update_id: dict[str, int] = {}
        self._asked_s: dict[str, float] = {}
        self._lost: set[str] = set()
        self._failure: BaseException | None = None
        self._is_running = False
        self._gaps: Counter[str] = Counter()
        self._trade_watch = TradeWatch(silence_s=self._policy.tape_silence_s, monotonic=self._tools.monotonic)
        self.add(topics)

    @property
    def topics(self) -> list[str]:
        return [topic for connection in self._connections for topic in connection.subscriptions.topics]

    @property
    def refused(self) -> dict[str, str]:
        """Topics the exchange does not serve, with its words."""
        return {
            topic: text for connection in self._connections for topic, text in connection.subscriptions.refused.items()
        }

    def counters(self) -> dict[str, int]:
        """For metrics: connects, reconnects, malformed, resubscribed, gap_<reason>, dropped_<event>, fault_<kind>."""
        total: Counter[str] = Counter()
        for connection in self._connections:
            total.update(connection.counts)
        for decoder in self._decoders:
            total.update({f"fault_{kind}": count for kind, count in decoder.faults.items()})
        total.update({f"gap_{reason}": count for reason, count in self._gaps.items()})
        total.update({f"dropped_{kind}": count for kind, count in self._queue.dropped.items()})
        return dict(total)

    def queued(self) -> int:
        return len(self._queue)

    def add(self, topics: Iterable[str]) -> None:
        """Also while running. Topics of one symbol given together stay on one socket where they fit."""
        known = {*self.topics, *self.refused}
        for group in _by_symbol(topic for topic in dict.fromkeys(topics) if topic not in known):
            self._with_room(group).subscriptions.add(group)

    def remove(self, topics: Iterable[str]) -> None:
        gone = set(topics)
        for connection in self._connections:
            connection.subscriptions.remove(gone)
        for topic in gone:
            self._last_update_id.pop(topic, None)
            self._lost.discard(topic)
            self._trade_watch.forget(topic.rpartition(".")[2])

    def resync(self, topic: str, reason: str) -> None:
        """For a consumer whose book no longer makes sense (crossed, unknown delete): "gap", then a fresh snapshot."""
        if self._last_update_id.get(topic) == _AWAITING_SNAPSHOT:
            return
        self._last_update_id[topic] = _AWAITING_SNAPSHOT
        self._gaps[reason] += 1
        self._state("gap", topic, reason)
        self._ask_snapshot(topic)

    async def events(self) -> AsyncIterator[MarketEvent]:
        self._is_running = True
        for connection in self._connections:
            self._start(connection)
        try:
            async for event in self._queue.drain():
                yield event
        finally:
            await self.aclose()
        if self._failure is not None:
            raise self._failure

    async def aclose(self) -> None:
        self._is_running = False
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._queue.close()

    def _with_room(self, group: Sequence[str]) -> StreamConnection[PublicEvent]:
        chars = sum(map(len, group))
        for connection in self._connections:
            carried = connection.subscriptions.topics
            if (
                len(carried) + len(group) <= self._policy.max_topics
                and sum(map(len, carried)) + chars <= self._policy.max_topic_chars
            ):
                return connection
        return self._connect()

    def _connect(self) -> StreamConnection[PublicEvent]:
        decoder = PublicDecoder()
        connection = StreamConnection(
            f"public{len(self._connections)}",
            self._url,
            (),
            decoder=decoder,
            on_events=self._take,
            on_state=self._topic_state,
            policy=self._policy,
            tools=self._tools,
        )
        self._decoders.append(decoder)
        self._connections.append(connection)
        if self._is_running:
            self._start(connection)
        return connection

    def _start(self, connection: StreamConnection[PublicEvent]) -> None:
        task = asyncio.create_task(connection.run(), name=connection.name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A connection only ends by being cancelled; anything else is a defect that the consumer must hear of."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            self._queue.close()

    def _take(self, topic: str, events: Sequence[PublicEvent]) -> None:
        for event in events:
            if isinstance(event, BookUpdate):
                if not self._follows(topic, event):
                    continue
            elif isinstance(event, PublicTrade):
                self._trade_watch.traded(event.symbol)
            elif isinstance(event, Kline) and self._trade_watch.grew(event):
                self._tape_fell_silent(event.symbol)
            if not self._queue.put(event) and topic not in self._lost:
                self._lost.add(topic)
                self._gaps["overflow"] += 1
                self._state("gap", topic, "overflow")
                if isinstance(event, BookUpdate):
                    self._last_update_id[topic] = _AWAITING_SNAPSHOT

    def _follows(self, topic: str, update: BookUpdate) -> bool:
        if update.is_snapshot:
            if update.update_id == 1 and self._last_update_id.get(topic, _AWAITING_SNAPSHOT) > 1:
                self._gaps["restart"] += 1  # the service restarted and says so with a snapshot: deltas may be missing
                self._state("gap", topic, "restart")
            self._last_update_id[topic] = update.update_id
            self._asked_s.pop(topic, None)
            return True
        last = self._last_update_id.get(topic, _AWAITING_SNAPSHOT)
        if update.update_id == last + 1 and last != _AWAITING_SNAPSHOT:
            self._last_update_id[topic] = update.update_id
            return True
        if last != _AWAITING_SNAPSHOT:
            self.resync(topic, "restart" if update.update_id == 1 else "sequence")
        elif self._tools.monotonic() - self._asked_s.setdefault(topic, self._tools.monotonic()) > _ASK_AGAIN_S:
            self._ask_snapshot(topic)
        return False

    def _tape_fell_silent(self, symbol: str) -> None:
        for connection in self._connections:
            connection.subscriptions.fell_silent(f"publicTrade.{symbol}", self._policy.tape_silence_s)

    def _ask_snapshot(self, topic: str) -> None:
        self._asked_s[topic] = self._tools.monotonic()
        for connection in self._connections:
            connection.subscriptions.renew(topic)

    def _resync_lost(self) -> None:
        lost, self._lost = self._lost, set()
        for topic in lost:
            if topic.startswith("orderbook."):
                self._ask_snapshot(topic)

    def _topic_state(self, kind: str, topic: str, reason: str) -> None:
        if kind in ("down", "stale"):
            self._last_update_id.pop(topic, None)
            self._trade_watch.forget(topic.rpartition(".")[2])
            if kind == "down" and topic.startswith("tickers."):
                for decoder in self._decoders:
                    decoder.tickers.forget(topic.partition(".")[2])
        self._state(kind, topic, reason)

    def _state(self, kind: str, topic: str, reason: str) -> None:
        self._queue.put(StreamState(kind=kind, topic=topic, reason=reason, time_ms=self._now_ms()))


def _is_vital(event: MarketEvent) -> bool:
    if isinstance(event, Kline):
        return event.confirmed
    if isinstance(event, BookUpdate):
        return event.is_snapshot
    return isinstance(event, StreamState)


def _by_symbol(topics: Iterable[str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for topic in topics:
        groups.setdefault(topic.rpartition(".")[2], []).append(topic)
    return list(groups.values())
