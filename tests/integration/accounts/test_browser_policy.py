"""The policy in a real browser: the API browser and the admin, other people's code, live under it unharmed."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from tests.e2e.running_desk import CHROMIUM, CHROMIUM_ARGS
from tests.support.users import login, make_user

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


class Visit:
    """A page and everything it complained about."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))


@pytest.fixture
def visit(live_server: Any) -> Iterator[Visit]:
    from playwright.sync_api import sync_playwright

    admin = login(Client(), make_user("admin"), fresh_code=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        context = chromium.new_context(base_url=live_server.url)
        cookie = admin.cookies["avigrid_session"].value
        context.add_cookies([{"name": "avigrid_session", "value": cookie, "url": live_server.url}])
        yield Visit(context.new_page())
        chromium.close()


def test_the_api_browser(visit: Visit) -> None:
    visit.page.goto("/api/docs/")
    visit.page.get_by_text("/api/v1/signals/{id}/place").first.wait_for()
    visit.page.get_by_text("/api/v1/admin/kill_switch").first.click()
    visit.page.get_by_text("drill").first.wait_for()
    assert visit.complaints == []


ADMIN_PAGES = (
    "/admin/",
    "/admin/accounts/user/",
    "/admin/accounts/user/add/",
    "/admin/accounts/apikey/",
    "/admin/risk/risklimitsversion/",
)


def test_the_admin(visit: Visit) -> None:
    for path in ADMIN_PAGES:
        answer = visit.page.goto(path)
        assert answer.status == 200, path
        visit.page.locator("#page").first.wait_for()
        assert (path, visit.complaints) == (path, [])
