"""The main job as an operator does it, in a browser, on every real process."""

import json
import re
import urllib.request
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Visit, wait_live
from tests.e2e.running_desk import ARTEFACTS, RunningDesk, eventually, place_one

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def venue(desk: RunningDesk) -> dict:
    with urllib.request.urlopen(f"{desk.simulator_url}/sim/state", timeout=10) as answer:
        return json.load(answer)


def held(desk: RunningDesk) -> dict[str, str]:
    return {row["symbol"]: row["size"] for row in venue(desk)["positions"] if float(row["size"] or 0)}


def test_place_watch_protect_close_and_halt(
    desk: RunningDesk, visit: Callable[..., Visit], enter: Callable[..., Visit]
) -> None:
    trader = visit("trader")
    page = trader.page
    viewer = enter("viewer").page
    ARTEFACTS.mkdir(parents=True, exist_ok=True)

    place = page.locator("[data-placeable] [data-primary]").first
    place.wait_for(timeout=120_000)
    assert viewer.locator("[data-placeable]").count() > 0
    assert viewer.locator("[data-placeable] [data-primary]").count() == 0, "a viewer must not be offered Place"

    symbol = place_one(desk, page)
    plan = page.locator(f"article.plan:has-text('{symbol}')")
    plan.wait_for(timeout=60_000)
    plan.locator("[data-protected=yes]").wait_for(timeout=60_000)
    # the other page learned it over its socket, without a reload
    viewer.locator(f"article.plan:has-text('{symbol}')").wait_for(timeout=30_000)
    assert symbol in held(desk)
    stops = {row["symbol"]: row["stopLoss"] for row in venue(desk)["positions"] if float(row["size"] or 0)}
    assert float(stops[symbol]) > 0
    page.screenshot(path=ARTEFACTS / "desk-with-plan.png", full_page=True)

    page.on("dialog", lambda question: question.accept())
    plan.get_by_role("button", name=re.compile("^Close")).click()
    eventually(lambda: symbol not in held(desk), 30, "flat at the venue")
    page.locator(f"article.plan:has-text('{symbol}')").wait_for(state="detached", timeout=60_000)

    page.get_by_role("button", name="HALT").click()
    page.locator("[data-desk-state=halted]").wait_for(timeout=30_000)
    viewer.locator("[data-desk-state=halted]").wait_for(timeout=30_000)
    assert trader.complaints == []


def test_a_page_is_right_again_after_its_server_fell(desk: RunningDesk, enter: Callable[..., Visit]) -> None:
    """The web process is killed and comes back: the page says it is stale, then shows today's truth by itself."""
    page = enter("viewer").page
    wait_live(page)
    heading = page.locator("#fragment-signals h2")
    heading.evaluate("node => { node.textContent = 'out of date' }")
    desk.kill("daphne")
    page.locator("#offline-bar:visible").wait_for(timeout=60_000)
    page.locator("#offline-bar").wait_for(state="hidden", timeout=60_000)
    eventually(lambda: heading.inner_text() == "Signals", 30, "fresh fragments after the reconnect")


def test_nothing_but_the_login_page_without_a_login(desk: RunningDesk, browser: object) -> None:
    page = browser.new_page()  # type: ignore[attr-defined]
    for path in ("", "reconciliation/", "admin/"):
        page.goto(desk.url + path)
        assert "/accounts/login" in page.url, path
    page.close()
