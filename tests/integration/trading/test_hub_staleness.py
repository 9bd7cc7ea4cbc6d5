"""A page that cannot be kept right says so at once, and no longer than it is true: painting fails or hangs, Redis goes
away and comes back."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer

from avigrid.common import push
from tests.chaos.servers import RedisServer
from tests.support.open_pages import READER, OpenPages, Post
from trading.runtime import fragments, hub, hub_ear, screen

assert fragments  # fills the registry
SAYS_SO = "may be out of date"
WELL = '<div id="stale-bar" hx-swap-oob="innerHTML"></div>'


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> OpenPages:
    monkeypatch.setattr(hub, "PAUSE_S", 0)
    monkeypatch.setattr(hub, "RETRY_S", 0.01)
    monkeypatch.setattr(hub, "TICK_S", 0.01)
    return OpenPages(monkeypatch)


@asynccontextmanager
async def painting(pages: OpenPages) -> AsyncIterator[None]:
    """The hub at work, without a subscription."""
    tasks = [asyncio.create_task(pages.hub._paint()), asyncio.create_task(pages.hub._tell())]
    pages.hub._wake.set()
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def page_of(pages: OpenPages, fragments: set[str], reader: screen.Reader = READER) -> Post:
    post = Post()
    pages.hub.watchers.add(hub.Watcher(reader, frozenset(fragments), post.send))
    return post


def within[T](scene: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(scene, 40))


def test_a_page_that_is_right_is_told_so_once(pages: OpenPages) -> None:
    """It may have reconnected, and still show the bar of before."""

    async def scene() -> Post:
        one, two = page_of(pages, {"topbar"}), page_of(pages, {"plans"})
        async with painting(pages):
            await one.until(WELL)
            await two.until(WELL)
            pages.version["topbar"] = 1
            pages.hub._dirty.add("topbar")
            pages.hub._wake.set()
            await one.until("[topbar@en 1]")
        return one

    assert within(scene()).letters == []


def test_what_broke_once_is_painted_again_without_another_event(pages: OpenPages) -> None:
    async def scene() -> list[str]:
        one, other = page_of(pages, {"topbar", "plans"}), page_of(pages, {"topbar"})
        async with painting(pages):
            await one.until("[plans@en 0]")
            await one.until(WELL)
            await other.until(WELL)
            pages.broken = {"plans"}
            pages.version["plans"] = 1
            pages.hub.mark("plan", {})
            await one.until(SAYS_SO)
            pages.broken = set()
            await one.until("[plans@en 1]")
            await one.until(WELL)
        return other.letters

    # and who does not show the broken one was never worried
    assert [letter for letter in within(scene()) if "stale-bar" in letter] == []


def test_while_nothing_can_be_painted_every_page_says_so_in_its_language(pages: OpenPages) -> None:
    async def scene() -> int:
        pages.broken = {"topbar", "plans"}
        english = page_of(pages, {"topbar"})
        russian = page_of(pages, {"plans"}, screen.Reader("admin", "ru"))
        async with painting(pages):
            await english.until(SAYS_SO)
            await russian.until("stale-bar")
            await pages.renders(6)  # it goes on trying, and says it once
            assert english.letters == russian.letters == []
            late = page_of(pages, {"plans"})
            pages.hub._wake.set()
            await late.until(SAYS_SO)
            pages.broken = set()
            await english.until("[topbar@en 0]")
            for post in (english, russian, late):
                await post.until(WELL)
        return len(pages.hub._failing)

    assert within(scene()) == 0


def test_a_painting_that_hangs_is_told_by_what_does_not_wait_for_it(
    pages: OpenPages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that answers nothing raises nothing either."""
    monkeypatch.setattr(hub, "HANGS_S", 0.02)

    async def scene() -> None:
        goes_on = asyncio.Event()
        quickly = hub.render_many

        async def slowly(names: list[str], reader: screen.Reader, facts: Any) -> dict[str, str]:
            await goes_on.wait()
            return await quickly(names, reader, facts)

        one = page_of(pages, {"topbar"})
        async with painting(pages):
            await one.until(WELL)
            monkeypatch.setattr(hub, "render_many", slowly)
            pages.hub._dirty.add("topbar")
            pages.hub._wake.set()
            await one.until(SAYS_SO)
            goes_on.set()
            await one.until(WELL)

    within(scene())


def test_a_page_that_left_leaves_no_complaint_behind(pages: OpenPages) -> None:
    pages.broken = {"plans"}
    watcher = pages.open("one", {"plans"})
    pages.paint("plans")
    assert pages.hub._failing == {(READER, "plans")}
    pages.hub.leave(watcher)
    pages.paint()
    assert pages.hub._failing == set()


def test_everything_shown_is_looked_at_again_now_and_then(pages: OpenPages, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event may be lost without anybody noticing; unchanged text is not sent."""
    monkeypatch.setattr(hub, "QUIET_S", 0.01)
    monkeypatch.setattr(hub, "REPAINT_S", 0.02)

    async def scene() -> list[str]:
        one = page_of(pages, {"fills"})
        async with painting(pages):
            await one.until(WELL)
            pages.version["fills"] = 1
            await one.until("[fills@en 1]")
            await pages.renders(2)
        return one.letters

    assert within(scene()) == []


def test_redis_goes_away_and_comes_back(pages: OpenPages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The layer swallows it and subscribes again by itself; what was said meanwhile nobody repeats."""
    server = RedisServer(tmp_path)
    layer = RedisPubSubChannelLayer(hosts=[server.url])
    monkeypatch.setattr(hub_ear, "get_channel_layer", lambda: layer)
    monkeypatch.setattr(hub_ear, "ECHO_S", 0.2)

    async def scene() -> None:
        post = Post()
        pages.hub.join(hub.Watcher(READER, frozenset({"plans"}), post.send))
        await post.until(WELL)
        pages.version["plans"] = 1
        await layer.group_send(push.GROUP, {"type": "live.event", "kind": "plan", "payload": {}})
        await post.until("[plans@en 1]")
        await asyncio.to_thread(server.kill)
        await post.until(SAYS_SO)
        pages.version["plans"] = 2  # and nobody could say so
        await asyncio.to_thread(server.start)
        await post.until("[plans@en 2]")
        await post.until(WELL)
        await pages.end(layer)

    try:
        within(scene())
    finally:
        server.kill()


def test_a_line_that_was_never_there_is_told_too(pages: OpenPages, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = RedisPubSubChannelLayer(hosts=["redis://127.0.0.1:1/0"])
    monkeypatch.setattr(hub_ear, "get_channel_layer", lambda: layer)

    async def scene() -> None:
        post = Post()
        pages.hub.join(hub.Watcher(READER, frozenset({"plans"}), post.send))
        await post.until("[plans@en 0]")
        await post.until(SAYS_SO)
        await pages.end(layer)

    within(scene())
