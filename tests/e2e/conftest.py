"""A real desk (every process of `manage.py demo`) and a real Chromium in front of it."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.running_desk import CHROMIUM, CHROMIUM_ARGS, RunningDesk, log_in, running_desk


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    """The demo on a synthetic market at 30x, one per test session."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    log = tmp_path_factory.mktemp("desk") / "demo.log"
    symbols = "BTCUSDT,ETHUSDT,SOLUSDT,BNBUSDT,XRPUSDT,DOGEUSDT"
    with running_desk(f"e2e_{os.getpid()}", log, "--speed", "30", "--symbols", symbols) as running:
        yield running


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """A page of somebody who is logged in, and everything its console complained about."""

    page: Any
    complaints: list[str]

    def listen(self) -> None:
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{error} {error.stack}"))


@pytest.fixture
def visit(desk: RunningDesk, browser: Any) -> Iterator[Callable[..., Visit]]:
    """`visit("trader", width=390)`: log in with password and one-time code, as a person would."""
    contexts = []

    def open_as(role: str, *, width: int = 1440, height: int = 900, theme: str = "dark") -> Visit:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        contexts.append(context)
        visit = Visit(context.new_page(), [])
        visit.listen()
        log_in(desk, visit.page, role)
        # a code that another test spent within its 30 s is refused with 401, as it should be; no other complaint passes
        visit.complaints[:] = [text for text in visit.complaints if "status of 401" not in text]
        return visit

    yield open_as
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def sessions(desk: RunningDesk, browser: Any) -> Callable[[str], Any]:
    """Log in once per role: a one-time code is good once in 30 s."""
    known: dict[str, Any] = {}

    def session_of(role: str) -> Any:
        if role not in known:
            context = browser.new_context()
            log_in(desk, context.new_page(), role)
            known[role] = context.storage_state()
            context.close()
        return known[role]

    return session_of


@pytest.fixture
def enter(desk: RunningDesk, browser: Any, sessions: Callable[[str], Any]) -> Iterator[Callable[..., Visit]]:
    """`enter("admin", "risk/")`: a page of somebody who is logged in already; `clock`: its time can be moved, and is
    wrong by `clock_off_s`.
    """
    contexts = []

    def open_as(
        role: str, path: str = "", *, clock: bool = False, clock_off_s: float = 0, language: str = "", **options: Any
    ) -> Visit:
        options = {"color_scheme": "dark", "viewport": {"width": 1440, "height": 900}, **options}
        context = browser.new_context(storage_state=sessions(role), **options)
        contexts.append(context)
        visit = Visit(context.new_page(), [])
        visit.listen()
        if language:
            context.add_cookies([{"name": "django_language", "value": language, "url": desk.url}])
        if clock or clock_off_s:
            visit.page.clock.install(time=time.time() + clock_off_s)
        visit.page.goto(desk.url + path)
        return visit

    yield open_as
    for context in contexts:
        context.close()


def wait_live(page: Any) -> None:
    """The first whole set of fragments has arrived over the socket."""
    page.locator("html[data-line=up]").wait_for(state="attached", timeout=20_000)
