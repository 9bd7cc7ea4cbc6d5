"""Pages of a hub without a browser: what each was sent lies in a list, and painting needs no database."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from trading.runtime import hub, screen

READER = screen.Reader("viewer", "en")


class OpenPages:
    """A hub whose fragments render as `[{name}@{language} {version}]`; every page's post lies in `sent`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hub: Any = hub.Hub()
        self.version: dict[str, int] = {}
        self.broken: set[str] = set()
        self.rendered: list[list[str]] = []
        self.sent: dict[str, list[str]] = {}
        self._rendering = asyncio.Condition()
        monkeypatch.setattr(hub, "render_many", self._render_many)

    async def _render_many(self, names: list[str], reader: screen.Reader, facts: object) -> dict[str, str]:
        async with self._rendering:
            self.rendered.append(names)
            self._rendering.notify_all()
        return {
            name: f"[{name}@{reader.language} {self.version.get(name, 0)}]" for name in names if name not in self.broken
        }

    def open(self, page: str, fragments: set[str], reader: screen.Reader = READER) -> Any:
        self.sent[page] = []

        async def send(html: str) -> None:
            self.sent[page].append(html)

        watcher = hub.Watcher(reader, frozenset(fragments), send)
        self.hub.watchers.add(watcher)
        return watcher

    async def end(self, layer: Any) -> None:
        """Of the hub's own tasks, and of the layer it listened to."""
        for task in self.hub._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await layer.flush()

    async def renders(self, times: int) -> None:
        """Until it was asked to so many times more."""
        wanted = len(self.rendered) + times
        async with self._rendering:
            await self._rendering.wait_for(lambda: len(self.rendered) >= wanted)

    def paint(self, *dirty: str) -> dict[str, list[str]]:
        """What each page was sent by this painting."""
        for letters in self.sent.values():
            letters.clear()
        asyncio.run(self.hub._paint_once(set(dirty)))
        return {page: list(letters) for page, letters in self.sent.items()}


class Post:
    """What one page is sent, to be waited for while the hub runs by itself."""

    def __init__(self) -> None:
        self.letters: list[str] = []
        self._came = asyncio.Condition()

    async def send(self, html: str) -> None:
        async with self._came:
            self.letters.append(html)
            self._came.notify_all()

    async def until(self, words: str, *, within_s: float = 20.0) -> None:
        """A letter with these words; it and all before it are taken out."""
        async with asyncio.timeout(within_s), self._came:
            await self._came.wait_for(lambda: any(words in letter for letter in self.letters))
            while words not in self.letters.pop(0):
                pass
