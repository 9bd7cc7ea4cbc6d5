"""Live pieces of pages: each renders alone for every reader, families touch only their own page, quiet is noticed."""

import asyncio
import os
import re
import subprocess
import sys

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from avigrid.common.reading import Kept, reading
from avigrid.kernel.market import Ticker
from marketdata.services.prices import prices_publish
from tests.support.api_world import ApiWorld
from tests.support.open_pages import OpenPages
from trading.runtime import fragments, hub, screen
from trading.services.placing import signal_place
from trading.services.times import from_ms

assert fragments  # fills the registry
READERS = [screen.Reader(role, language) for role in ("viewer", "trader", "admin") for language in ("en", "ru")]
PLAIN = (
    "topbar",
    "alerts",
    "alert_list",
    "limits",
    "signals",
    "plans",
    "fills",
    "symbols",
    "risk",
    "auto_modes",
    "health",
    "faults",
    "reconciliation",
)
FAMILIES = ("book:AAAUSDT", "tick:AAAUSDT", "levels:AAAUSDT", "decisions:AAAUSDT")


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
        names += [f"plan:{placed.plan_id}", f"plan_facts:{placed.plan_id}"]
    for name in names:
        base = name.partition(":")[0]
        for reader in READERS:
            html = screen.render(name, reader, out_of_band=True)
            opening = re.search(r"<\w+[^>]*>", html)
            assert opening is not None, name
            assert f'id="fragment-{base}"' in opening.group(0), name
            assert 'hx-swap-oob="true"' in opening.group(0), name


@pytest.mark.django_db
def test_the_page_of_a_plan_moves_with_the_price() -> None:
    cache.clear()
    world = ApiWorld()
    plan = world.placed()
    world.holding(plan)

    def shown() -> str:
        return re.sub(r"<[^>]+>", " ", screen.render(f"plan_facts:{plan.pk}", READERS[0], out_of_band=True))

    assert re.search(r"Mark\s+100\s", shown())
    prices_publish([Ticker("AAAUSDT", 108, 108, 108, 107.99, 108.01, 0.0001, 0, world.now_ms + 1_000)])
    after = shown()
    # half a coin bought at 100.01
    assert re.search(r"Mark\s+108\s", after), after
    assert re.search(r"Net\s+\+4\.00\s", after), after


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
    shown = {
        *("topbar", "auto_modes", "decisions:AAAUSDT", "decisions:BBBUSDT", "book:AAAUSDT"),
        *("plan:7", "plan:8", "plan_facts:7", "plan_facts:8"),
    }
    dirty = screen.registry.dirtied_by
    assert dirty("decision", {"symbol": "AAAUSDT"}, shown) == {"decisions:AAAUSDT"}
    assert dirty("order", {"plan_id": 7}, shown) == {"plan:7", "plan_facts:7"}
    # of a plan only what moves with the price is painted with it, not its whole story
    assert dirty("price", {}, shown) == {"topbar", "book:AAAUSDT", "plan_facts:7", "plan_facts:8"}
    # no event says that an hour is over
    assert "auto_modes" in dirty("heartbeat", {}, shown)
    assert dirty("signal", {"signal_id": 3, "symbol": "BBBUSDT"}, shown) == {"decisions:BBBUSDT"}
    assert dirty("unheard_of", {}, shown) == set()


@pytest.mark.parametrize(
    "name", ["", "nothing", "topbar:AAAUSDT", "book", "book:", "book:../etc", "book:A B", "plan:" + "9" * 41]
)
def test_names_nobody_knows_are_not_watched(name: str) -> None:
    assert screen.registry.known([name]) == frozenset()


def test_a_page_holds_a_bounded_number_of_fragments() -> None:
    assert len(screen.registry.known(f"book:S{number}" for number in range(500))) == screen.MOST_FRAGMENTS


def test_a_page_that_comes_is_sent_everything_and_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = OpenPages(monkeypatch)
    desk.open("one", {"topbar", "plans"})
    assert desk.paint() == {"one": ["[plans@en 0][topbar@en 0]"]}
    desk.open("two", {"topbar", "fills"})
    assert desk.paint() == {"one": [], "two": ["[fills@en 0][topbar@en 0]"]}
    # what the newcomer's painting found changed goes to everybody who shows it
    desk.version["topbar"] = 1
    desk.open("three", {"topbar"})
    assert desk.paint() == {"one": ["[topbar@en 1]"], "two": ["[topbar@en 1]"], "three": ["[topbar@en 1]"]}


def test_a_crowd_that_reconnects_costs_one_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = OpenPages(monkeypatch)
    for number in range(200):
        desk.open(str(number), {"topbar", "plans"})
    sent = desk.paint()
    assert desk.rendered == [["plans", "topbar"]]
    assert set(map(tuple, sent.values())) == {("[plans@en 0][topbar@en 0]",)}


def test_what_a_page_shows_already_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = OpenPages(monkeypatch)
    desk.open("one", {"topbar", "plans"})
    desk.open("russian", {"plans"}, READERS[1])
    desk.paint()
    assert desk.paint("plans", "topbar") == {"one": [], "russian": []}
    desk.version["plans"] = 1
    assert desk.paint("plans", "topbar") == {"one": ["[plans@en 1]"], "russian": ["[plans@ru 1]"]}


def test_a_fragment_that_fails_holds_up_no_other_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = OpenPages(monkeypatch)
    desk.open("one", {"topbar", "plans"})
    desk.paint()
    desk.broken = {"plans"}
    desk.version["topbar"] = 1
    assert desk.paint("plans", "topbar") == {"one": ["[topbar@en 1]"]}
    desk.broken = set()
    assert desk.paint("plans") == {"one": ["[plans@en 0]"]}


def test_a_socket_that_is_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = OpenPages(monkeypatch)
    desk.open("one", {"plans"})
    gone = desk.open("two", {"plans"})

    async def refuse(html: str) -> None:
        raise ConnectionError

    gone.send = refuse
    assert desk.paint()["one"] == ["[plans@en 0]"]
    assert gone not in desk.hub.watchers


def test_after_quiet_what_ages_is_painted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "QUIET_S", 0.01)
    monkeypatch.setattr(hub, "PAUSE_S", 0)
    desk = OpenPages(monkeypatch)

    async def scene() -> None:
        watcher = desk.open("one", {"topbar", "plans"})
        watcher.is_new = watcher.told_stale = False
        painted = asyncio.Event()

        async def send(html: str) -> None:
            painted.set()

        watcher.send = send
        painting = asyncio.create_task(desk.hub._paint())
        await asyncio.wait_for(painted.wait(), 5)
        painting.cancel()

    asyncio.run(scene())
    assert desk.rendered[0] == ["topbar"]


def test_what_ages_is_painted_though_the_market_never_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A price every moment is no news for a page that shows none, and must not keep its age from it."""
    monkeypatch.setattr(hub, "QUIET_S", 0.01)
    monkeypatch.setattr(hub, "PAUSE_S", 0)
    desk = OpenPages(monkeypatch)

    async def scene() -> None:
        desk.open("prices", {"book:AAAUSDT"}).is_new = False
        watcher = desk.open("one", {"risk"})
        watcher.is_new = watcher.told_stale = False
        painted = asyncio.Event()

        async def send(html: str) -> None:
            painted.set()

        async def market() -> None:
            while True:
                desk.hub.mark("price", {})
                await asyncio.sleep(0)

        watcher.send = send
        tasks = [asyncio.create_task(desk.hub._paint()), asyncio.create_task(market())]
        await asyncio.wait_for(painted.wait(), 5)
        for task in tasks:
            task.cancel()

    asyncio.run(scene())
    assert any("risk" in names for names in desk.rendered)


@pytest.mark.django_db
def test_facts_are_read_once_for_all_readers_of_one_painting() -> None:
    cache.clear()
    ApiWorld()
    facts: Kept = {}
    counts = []
    for reader in READERS:
        with CaptureQueriesContext(connection) as counted, reading(facts):
            screen.render("topbar", reader, out_of_band=True)
        counts.append(len(counted))
    assert counts == [12, 0, 0, 0, 0, 0]


def test_a_process_that_only_ever_saw_sockets_knows_every_fragment() -> None:
    """After a restart of the web process the open pages knock first, before any page was asked for. What only
    research compiles is not loaded for that."""
    script = (
        "import django; django.setup(); import trading.consumers; from trading.runtime.screen import registry; "
        "import sys; import avigrid.urls; print(sorted(registry.known(['topbar', 'signals', 'plan:1'])), "
        "'numba' in sys.modules)"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "avigrid.settings.test"}
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=60)
    assert answer.stdout.strip() == "['plan:1', 'signals', 'topbar'] False", answer.stderr[-500:]
