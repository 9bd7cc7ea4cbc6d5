"""Live pieces of pages: each renders alone for every reader, families touch only their own page, quiet is noticed."""

import asyncio
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from django.core.cache import cache

from tests.support.api_world import ApiWorld
from trading.runtime import fragments, screen
from trading.services.placing import signal_place
from trading.services.times import from_ms

assert fragments  # fills the registry
READERS = [screen.Reader(role, language) for role in ("viewer", "trader", "admin") for language in ("en", "ru")]
PLAIN = ("topbar", "alerts", "signals", "plans", "fills", "symbols", "risk", "health", "faults", "reconciliation")
FAMILIES = ("book:AAAUSDT", "tick:AAAUSDT", "decisions:AAAUSDT")


@pytest.mark.django_db
@pytest.mark.parametrize("with_data", [False, True], ids=["empty", "filled"])
def test_every_fragment_renders_alone_for_every_reader(with_data: bool) -> None:
    cache.clear()
    names: list[str] = [*PLAIN, *FAMILIES]
    if with_data:
        world = ApiWorld()
        signal = world.signal()
        placed = signal_place(
            signal_id=signal.pk, account_id=world.account.pk, user=None, actor="test", now=from_ms(world.now_ms)
        )
        world.signal("BBBUSDT")
        names.append(f"plan:{placed.plan_id}")
    for name in names:
        base = name.partition(":")[0]
        for reader in READERS:
            html = screen.render(name, reader, out_of_band=True)
            opening = re.search(r"<\w+[^>]*>", html)
            assert opening is not None, name
            assert f'id="fragment-{base}"' in opening.group(0), name
            assert 'hx-swap-oob="true"' in opening.group(0), name


@pytest.mark.django_db
def test_only_those_who_may_trade_are_offered_buttons() -> None:
    cache.clear()
    ApiWorld().signal("BBBUSDT")
    offered = {
        role: "data-primary" in screen.render("signals", screen.Reader(role, "en"), out_of_band=True)
        for role in ("viewer", "trader", "admin")
    }
    assert offered == {"viewer": False, "trader": True, "admin": True}


def test_an_event_reaches_only_the_pages_it_is_about() -> None:
    shown = {"topbar", "decisions:AAAUSDT", "decisions:BBBUSDT", "plan:7", "plan:8", "book:AAAUSDT"}
    dirty = screen.registry.dirtied_by
    assert dirty("decision", {"symbol": "AAAUSDT"}, shown) == {"decisions:AAAUSDT"}
    assert dirty("order", {"plan_id": 7}, shown) == {"plan:7"}
    assert dirty("price", {}, shown) == {"topbar", "book:AAAUSDT"}
    assert dirty("signal", {"expired": 3}, shown) == {"decisions:AAAUSDT", "decisions:BBBUSDT"}
    assert dirty("unheard_of", {}, shown) == set()


@pytest.mark.parametrize(
    "name", ["", "nothing", "topbar:AAAUSDT", "book", "book:", "book:../etc", "book:A B", "plan:" + "9" * 41]
)
def test_names_nobody_knows_are_not_watched(name: str) -> None:
    assert screen.registry.known([name]) == frozenset()


def test_a_page_holds_a_bounded_number_of_fragments() -> None:
    assert len(screen.registry.known(f"book:S{number}" for number in range(500))) == screen.MOST_FRAGMENTS


def test_after_quiet_what_ages_is_painted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "QUIET_S", 0.01)
    monkeypatch.setattr(screen, "PAUSE_S", 0)
    painted: list[list[str]] = []

    async def render_many(names: list[str], reader: screen.Reader) -> str:
        painted.append(names)
        return "<i></i>"

    monkeypatch.setattr(screen, "render_many", render_many)

    async def scene() -> None:
        sent = asyncio.Event()

        async def send(html: str) -> None:
            sent.set()

        hub: Any = screen.Hub()
        hub.watchers.add(screen.Watcher(READERS[0], frozenset({"topbar", "plans"}), send))
        painting = asyncio.create_task(hub._paint())
        await asyncio.wait_for(sent.wait(), 5)
        painting.cancel()

    asyncio.run(scene())
    assert painted[0] == ["topbar"]


def test_a_process_that_only_ever_saw_sockets_knows_every_fragment() -> None:
    """After a restart of the web process the open pages knock first, before any page was asked for."""
    script = (
        "import django; django.setup(); import trading.consumers; from trading.runtime.screen import registry; "
        "print(sorted(registry.known(['topbar', 'signals', 'plan:1'])))"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "avigrid.settings.test"}
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=60)
    assert answer.stdout.strip() == "['plan:1', 'signals', 'topbar']", answer.stderr[-500:]
