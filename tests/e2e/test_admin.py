"""The admin, reconciliation and health in a real browser: each page stands, and the two sides link to each other."""

import re
from typing import Any

import pytest

from tests.e2e.conftest import Visit
from tests.e2e.running_desk import RunningDesk, log_in, next_code
from tests.e2e.standing import faults, stands
from tests.e2e.test_research import SLOW_MS

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def admin(desk: RunningDesk, browser: Any) -> Any:
    """One person for all of them: the admin asks for a code of the last minutes, which the log-in just gave."""
    context = browser.new_context(color_scheme="dark", viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(SLOW_MS)
    complaints: list[str] = []
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    log_in(desk, page, "admin")
    yield Visit(page, complaints)
    context.close()


def go(page: Any, desk: RunningDesk, path: str) -> None:
    """The admin wants a code of the last five minutes, whenever that was."""
    page.goto(desk.url + path)
    if "/accounts/fresh" in page.url:
        next_code(page)
        page.fill("input[autocomplete=one-time-code]", desk.code("admin"))
        with page.expect_navigation():
            page.click("main form button")


def test_every_page_of_the_admin_stands(admin: Visit, desk: RunningDesk) -> None:
    page = admin.page
    go(page, desk, "admin/")
    stands(page, "admin", reload=True)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    found: dict[str, list[str]] = {}
    lists = sorted(set(re.findall(r'href="(/admin/\w+/\w+/)"', page.content())))
    assert len(lists) >= 34
    for path in lists:
        go(page, desk, path[1:])
        page.locator(".admin-about").wait_for()
        found[path] = faults(page)
        assert admin.complaints == [], path
        add = page.locator(f"a[href='{path}add/']")
        if add.count():
            go(page, desk, path[1:] + "add/")
            page.locator("form#" + path.split("/")[3] + "_form").wait_for()
            found[path + "add/"] = faults(page)
            assert admin.complaints == [], path + "add/"
    page.set_viewport_size({"width": 1440, "height": 900})
    assert {path: what for path, what in found.items() if what} == {}


def test_a_strategy_version_is_made_with_its_numbers_explained(admin: Visit, desk: RunningDesk) -> None:
    page = admin.page
    go(page, desk, "admin/trading/strategyversion/add/")
    assert "ATRs from entry to stop" in page.locator("#content").inner_text()
    stands(page, "admin-strategy", reload=True)
    page.fill("[name=theta]", "7")
    page.fill("[name=note]", "too bold")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text(re.compile("theta must be a number from 0 to 1")).first.wait_for()
    assert admin.complaints == []


def test_desk_and_admin_lead_to_each_other(admin: Visit, desk: RunningDesk) -> None:
    page = admin.page
    go(page, desk, "admin/")
    page.locator(".overview-card", has_text="Trading state").get_by_role("link", name=re.compile("On the desk")).click()
    page.wait_for_url(re.compile("/risk/$"))
    go(page, desk, "admin/marketdata/instrument/")
    page.get_by_role("link", name="BTCUSDT").first.click()
    page.locator("a[href='/symbols/BTCUSDT/']").first.wait_for()


def test_health_shows_the_doctor_and_the_streams(admin: Visit, desk: RunningDesk) -> None:
    page = admin.page
    page.goto(desk.url + "system/")
    page.locator("table.doctor tbody tr").first.wait_for()
    assert "PostgreSQL" in page.locator("#doctor").inner_text()
    assert page.locator("section[aria-labelledby=streams-title] .badge").count() >= 2
    stands(page, "health")
    page.get_by_role("link", name="Examine now").click()
    page.locator("table.doctor").wait_for()


def test_books_and_venue_are_compared_at_a_click(admin: Visit, desk: RunningDesk) -> None:
    page = admin.page
    page.goto(desk.url + "reconciliation/")
    page.get_by_role("button", name="Compare now").click()
    page.locator("section[aria-labelledby=runs-title] tr", has_text="manual").first.wait_for()
    stands(page, "reconciliation-asked")
    assert admin.complaints == []
