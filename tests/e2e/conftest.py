"""A real desk (every process of `manage.py demo`) and a real Chromium in front of it."""

import os
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


@pytest.fixture
def visit(desk: RunningDesk, browser: Any) -> Iterator[Callable[..., Visit]]:
    """`visit("trader", width=390)`: log in with password and one-time code, as a person would."""
    contexts = []

    def open_as(role: str, *, width: int = 1440, height: int = 900, theme: str = "dark") -> Visit:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        log_in(desk, page, role)
        return Visit(page, complaints)

    yield open_as
    for context in contexts:
        context.close()
