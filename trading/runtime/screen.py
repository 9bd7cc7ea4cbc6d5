"""What open pages show, kept right by pushing HTML.

Every page is made of fragments. An event of the live group makes some of them dirty; after a short pause each dirty
fragment is rendered once for every kind of reader (role, language) that looks at it, and the same bytes go to all their
sockets. One subscription to the channel layer serves all sockets of a process. A page that (re)connects gets all its
fragments at once, so a lost event is never more than one reconnect away from being right.
"""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import close_old_connections
from django.template.loader import render_to_string
from django.utils import translation
from prometheus_client import Counter, Gauge, Histogram

from avigrid.common import push

PAUSE_S = 0.05
"""How long events gather before one rendering serves them all."""
QUIET_S = 5.0
"""After so long without any event what ages by itself (heartbeats) is painted anyway."""
MOST_FRAGMENTS = 20
_ARGUMENT = re.compile(r"[A-Za-z0-9_-]{1,40}")

SOCKETS = Gauge("avigrid_sockets", "Open page sockets of this process")
RENDERED = Counter("avigrid_fragments_rendered_total", "Fragments rendered", ["fragment"])
RENDER_SECONDS = Histogram("avigrid_fragment_render_seconds", "Time to render one fragment", ["fragment"])
log = structlog.get_logger(__name__)

type Context = dict[str, object]


@dataclass(frozen=True, slots=True)
class Reader:
    """All sockets with the same reader are shown the same bytes."""

    role: str
    language: str


@dataclass(frozen=True, slots=True)
class Fragment:
    """`template` renders one element with the id `fragment-{name}`; `dirtied_by` are event kinds.

    One with a `key` is a family: pages ask for `{name}:{argument}` (one symbol, one plan), and an event whose payload
    names another argument under `key` leaves it alone. `context(role, argument)`; the argument is "" otherwise.
    """

    name: str
    template: str
    context: Callable[[str, str], Context]
    dirtied_by: frozenset[str]
    key: str = ""


@dataclass(eq=False)
class Watcher:
    """One open page: which fragments it holds, and how to write to it."""

    reader: Reader
    fragments: frozenset[str]
    send: Callable[[str], Awaitable[None]]


class Registry:
    def __init__(self) -> None:
        self._fragments: dict[str, Fragment] = {}

    def add(
        self, name: str, template: str, context: Callable[[str], Context], *, dirtied_by: Iterable[str]
    ) -> Fragment:
        return self._put(Fragment(name, template, lambda role, argument: context(role), frozenset(dirtied_by)))

    def add_family(
        self,
        name: str,
        template: str,
        context: Callable[[str, str], Context],
        *,
        key: str,
        dirtied_by: Iterable[str],
    ) -> Fragment:
        return self._put(Fragment(name, template, context, frozenset(dirtied_by), key))

    def _put(self, fragment: Fragment) -> Fragment:
        self._fragments[fragment.name] = fragment
        return fragment

    def __getitem__(self, name: str) -> Fragment:
        return self._fragments[name.partition(":")[0]]

    def known(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset([name for name in names if self._is_known(name)][:MOST_FRAGMENTS])

    def _is_known(self, name: str) -> bool:
        base, _, argument = name.partition(":")
        fragment = self._fragments.get(base)
        if fragment is None or bool(fragment.key) != bool(argument):
            return False
        return not argument or _ARGUMENT.fullmatch(argument) is not None

    def dirtied_by(self, kind: str, payload: Mapping[str, object], shown: Iterable[str]) -> set[str]:
        """Those of `shown` that an event makes wrong."""
        return {name for name in shown if self._is_dirtied(name, kind, payload)}

    def _is_dirtied(self, name: str, kind: str, payload: Mapping[str, object]) -> bool:
        base, _, argument = name.partition(":")
        fragment = self._fragments[base]
        if kind not in fragment.dirtied_by:
            return False
        return not fragment.key or str(payload.get(fragment.key, argument)) == argument


registry = Registry()


def render(name: str, reader: Reader, *, out_of_band: bool) -> str:
    """One fragment as HTML; `out_of_band` marks it for swapping by its id."""
    fragment = registry[name]
    argument = name.partition(":")[2]
    with translation.override(reader.language), RENDER_SECONDS.labels(fragment=fragment.name).time():
        context = fragment.context(reader.role, argument)
        html = render_to_string(fragment.template, {**context, "role": reader.role, "oob": out_of_band})
    RENDERED.labels(fragment=fragment.name).inc()
    return html


@dataclass
class Hub:
    """Lives in the web process' event loop; one per process."""

    watchers: set[Watcher] = field(default_factory=set)
    _dirty: set[str] = field(default_factory=set)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)
    last_event: float = 0.0

    async def join(self, watcher: Watcher) -> None:
        """Start serving a page; it is sent everything it shows."""
        self.watchers.add(watcher)
        SOCKETS.set(len(self.watchers))
        if not self._tasks or any(task.done() for task in self._tasks):
            for task in self._tasks:
                task.cancel()
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._paint())]
        html = await render_many(sorted(watcher.fragments), watcher.reader)
        await watcher.send(html)

    def leave(self, watcher: Watcher) -> None:
        self.watchers.discard(watcher)
        SOCKETS.set(len(self.watchers))

    def mark(self, kind: str, payload: Mapping[str, object]) -> None:
        self._dirty.update(registry.dirtied_by(kind, payload, self._shown()))
        self._wake.set()

    def _shown(self) -> set[str]:
        return {name for watcher in self.watchers for name in watcher.fragments}

    async def _listen(self) -> None:
        """The one subscription; when Redis comes back after an absence everything is painted again."""
        layer = get_channel_layer()
        while True:
            try:
                channel = await layer.new_channel("screen")
                await layer.group_add(push.GROUP, channel)
                self._dirty.update(self._shown())
                self._wake.set()
                while True:
                    message = await layer.receive(channel)
                    self.last_event = time.monotonic()
                    self.mark(message["kind"], message.get("payload", {}))
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("screen_subscription_lost", error=type(error).__name__)
                await asyncio.sleep(1)

    async def _paint(self) -> None:
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), QUIET_S)
            except TimeoutError:
                self.mark("heartbeat", {})
            await asyncio.sleep(PAUSE_S)
            self._wake.clear()
            dirty, self._dirty = self._dirty, set()
            wanted: dict[tuple[Reader, frozenset[str]], list[Watcher]] = defaultdict(list)
            for watcher in self.watchers:
                names = frozenset(dirty & watcher.fragments)
                if names:
                    wanted[watcher.reader, names].append(watcher)
            for (reader, names), watchers in wanted.items():
                try:
                    html = await render_many(sorted(names), reader)
                except Exception as error:
                    log.warning("fragment_failed", fragments=sorted(names), error=repr(error))
                    continue
                await asyncio.gather(*(self._send(watcher, html) for watcher in watchers))

    async def _send(self, watcher: Watcher, html: str) -> None:
        try:
            await watcher.send(html)
        except Exception:  # a socket that is gone is no news for the others
            self.leave(watcher)


@sync_to_async(thread_sensitive=False)
def render_many(names: list[str], reader: Reader) -> str:
    close_old_connections()
    try:
        return "".join(render(name, reader, out_of_band=True) for name in names)
    finally:
        close_old_connections()


_hubs: dict[int, Hub] = {}


def hub() -> Hub:
    """The hub of the running event loop."""
    loop = id(asyncio.get_running_loop())
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
