"""Every open page of this process, and the painting that keeps them right.

An event of the live group makes some fragments dirty; after a short pause each dirty one is rendered once for every
kind of reader (role, language) that looks at it, and the same text goes to all their sockets, unless it is what they
show already. One subscription to the channel layer serves all sockets. A page that (re)connects gets all its fragments
with the next painting, so a lost event is never more than one reconnect away from being right; everything shown is
looked at again now and then, too. A page that cannot be kept right (its painting fails or hangs, no event would arrive)
is told, and told again once it was painted.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from asgiref.sync import sync_to_async
from django.db import connection
from prometheus_client import Counter, Gauge

from avigrid.common.reading import Kept, reading
from trading.runtime.hub_ear import Ear
from trading.runtime.screen import Reader, registry, render, stale_bar

PAUSE_S = 0.02
"""How long events gather before one rendering serves them all."""
QUIET_S = 5.0
"""What ages by itself (heartbeats, the use of limits) is painted so often, whether or not anything happens."""
REPAINT_S = 30.0
"""Everything shown is painted so often: an event may be lost in a gap that nobody noticed."""
RETRY_S = 2.0
"""What could not be painted is tried again after this."""
HANGS_S = 5.0
"""A painting that takes longer is one that may never end."""
TICK_S = 1.0

SOCKETS = Gauge("avigrid_sockets", "Open page sockets of this process")
PUSHED = Counter("avigrid_pushed_characters_total", "Characters of HTML written to page sockets")
log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Watcher:
    """One open page: which fragments it holds, and how to write to it."""

    reader: Reader
    fragments: frozenset[str]
    send: Callable[[str], Awaitable[None]]
    is_new: bool = True
    """Until it was sent everything it shows."""
    told_stale: bool | None = None
    """What it was told last about being out of date; a page that just came may show the bar of before."""


@dataclass
class Hub:
    """Lives in the web process' event loop; one per process."""

    watchers: set[Watcher] = field(default_factory=set)
    _dirty: set[str] = field(default_factory=set)
    _sent: dict[tuple[Reader, str], str] = field(default_factory=dict)
    """What every settled page of this reader was sent last."""
    _failing: set[tuple[Reader, str]] = field(default_factory=set)
    """What could not be painted when that was tried last."""
    _is_deaf: bool = False
    """Since no event would be heard, until everything was painted after hearing began again."""
    _hears_again: bool = False
    _painting_since: float | None = None
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    """Something was painted or lost: pages may have to be told how right they are."""
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def join(self, watcher: Watcher) -> None:
        """Start serving a page. The next painting sends it everything it shows, rendered once for all that came."""
        self.watchers.add(watcher)
        SOCKETS.set(len(self.watchers))
        if not self._tasks or any(task.done() for task in self._tasks):
            for task in self._tasks:
                task.cancel()
            ear = Ear(self.mark, lost=self._lost, found=self._found)
            self._tasks = [asyncio.create_task(work) for work in (ear.listen(), self._paint(), self._tell())]
        self._wake.set()

    def leave(self, watcher: Watcher) -> None:
        self.watchers.discard(watcher)
        SOCKETS.set(len(self.watchers))

    def mark(self, kind: str, payload: Mapping[str, object]) -> None:
        self._dirty.update(registry.dirtied_by(kind, payload, self._shown()))
        if self._dirty:
            self._wake.set()

    def _shown(self) -> set[str]:
        return {name for watcher in self.watchers for name in watcher.fragments}

    def _lost(self) -> None:
        self._is_deaf, self._hears_again = True, False
        self._news.set()

    def _found(self) -> None:
        """What was said before is lost: only a painting of everything makes the pages right."""
        self._hears_again = True
        self._dirty.update(self._shown())
        self._wake.set()

    async def _tell(self) -> None:
        """Beside the painting, which may be what hangs."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), TICK_S)
            self._news.clear()
            try:
                await self._tell_once()
            except Exception as error:
                log.error("telling_failed", error=repr(error))

    async def _tell_once(self) -> None:
        began = self._painting_since
        is_stuck = self._is_deaf or (began is not None and time.monotonic() - began > HANGS_S)
        told: list[Watcher] = []
        for watcher in self.watchers:
            is_stale = is_stuck or self._shows_failing(watcher)
            if watcher.told_stale != is_stale and (is_stale or not watcher.is_new):
                watcher.told_stale = is_stale
                told.append(watcher)
        bars = {(reader, is_stale): stale_bar(reader, is_stale=bool(is_stale)) for reader, is_stale in map(_said, told)}
        await asyncio.gather(*(self._send(watcher, bars[_said(watcher)]) for watcher in told))

    def _shows_failing(self, watcher: Watcher) -> bool:
        return bool(self._failing) and any((watcher.reader, name) in self._failing for name in watcher.fragments)

    async def _paint(self) -> None:
        aged_at = repainted_at = tried_at = time.monotonic()
        while True:
            due_at = min(aged_at + QUIET_S, tried_at + RETRY_S) if self._failing else aged_at + QUIET_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), max(due_at - time.monotonic(), 0))
            if time.monotonic() - aged_at >= QUIET_S:
                aged_at = time.monotonic()
                self.mark("heartbeat", {})
                if self._is_deaf or aged_at - repainted_at >= REPAINT_S:
                    repainted_at = aged_at
                    self._dirty.update(self._shown())
            await asyncio.sleep(PAUSE_S)
            self._wake.clear()
            if time.monotonic() - tried_at >= RETRY_S:
                tried_at = time.monotonic()
                self._dirty.update(name for _, name in self._failing)
            dirty, self._dirty = self._dirty, set()
            hears_again, self._hears_again = self._hears_again, False
            began = self._painting_since = time.monotonic()
            try:
                await self._paint_once(dirty)
                if hears_again:
                    self._is_deaf = False
            except Exception as error:
                self._failing |= self._looked_at()
                log.error("painting_failed", error=repr(error))
            self._painting_since = None
            self._news.set()
            # at most half of the time goes into painting, whatever the market does
            await asyncio.sleep(min(time.monotonic() - began, QUIET_S))

    async def _paint_once(self, dirty: set[str]) -> None:
        newcomers = {watcher for watcher in self.watchers if watcher.is_new}
        wanted: dict[Reader, set[str]] = defaultdict(set)
        for watcher in self.watchers:
            wanted[watcher.reader] |= watcher.fragments if watcher.is_new else watcher.fragments & dirty
        facts: Kept = {}
        for reader, names in wanted.items():
            if names:
                pieces = await render_many(sorted(names), reader, facts)
                changed = {name for name, html in pieces.items() if self._sent.get((reader, name)) != html}
                self._sent.update({(reader, name): html for name, html in pieces.items()})
                for name in names - pieces.keys():
                    self._sent.pop((reader, name), None)
                    self._failing.add((reader, name))
                self._failing -= {(reader, name) for name in pieces}
                await self._deliver(reader, pieces, changed, newcomers)
        looked_at = self._looked_at()
        self._failing &= looked_at
        for key in self._sent.keys() - looked_at:
            del self._sent[key]

    def _looked_at(self) -> set[tuple[Reader, str]]:
        return {(watcher.reader, name) for watcher in self.watchers for name in watcher.fragments}

    async def _deliver(
        self, reader: Reader, pieces: Mapping[str, str], changed: set[str], newcomers: set[Watcher]
    ) -> None:
        """Pages that show the same fragments get the same text, put together once."""
        groups: dict[frozenset[str], list[Watcher]] = defaultdict(list)
        for watcher in self.watchers:
            if watcher.reader != reader or (watcher.is_new and watcher not in newcomers):
                continue
            groups[watcher.fragments.intersection(pieces if watcher.is_new else changed)].append(watcher)
            watcher.is_new = False
        for names, watchers in groups.items():
            if names:
                html = "".join(pieces[name] for name in sorted(names))
                PUSHED.inc(len(html) * len(watchers))
                await asyncio.gather(*(self._send(watcher, html) for watcher in watchers))

    async def _send(self, watcher: Watcher, html: str) -> None:
        try:
            await watcher.send(html)
        except Exception:  # a socket that is gone is no news for the others
            self.leave(watcher)


def _said(watcher: Watcher) -> tuple[Reader, bool | None]:
    return watcher.reader, watcher.told_stale


# one thread, so that its database connection stays open from painting to painting
_painter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="painter")


@sync_to_async(thread_sensitive=False, executor=_painter)
def render_many(names: list[str], reader: Reader, facts: Kept) -> dict[str, str]:
    """Each as HTML; one that cannot be rendered is missing and holds up no other. `facts` serve every reader."""
    pieces = {}
    with reading(facts):
        for name in names:
            try:
                pieces[name] = render(name, reader, out_of_band=True)
            except Exception as error:
                connection.close()  # should it be the cause, the next fragment gets a new one
                log.warning("fragment_failed", fragment=name, error=repr(error))
    return pieces


_hubs: dict[int, Hub] = {}


def hub() -> Hub:
    """The hub of the running event loop."""
    loop = id(asyncio.get_running_loop())
    if loop not in _hubs:
        _hubs[loop] = Hub()
    return _hubs[loop]
