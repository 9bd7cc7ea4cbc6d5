"""A report in a frame: shown by our own pages only, with its own style, and nothing in it runs."""

from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from accounts.permissions.http import requires
from avigrid.common.framing import report_policy, same_origin_frame
from avigrid.urls import urlpatterns as real_urls
from tests.e2e.running_desk import CHROMIUM, CHROMIUM_ARGS
from tests.support.users import login, make_user

REPORT = """<!doctype html><title>report</title><style>p{color:rgb(1,2,3)}</style>
<p id="styled" style="color:rgb(9,9,9)">text</p><svg width="10" height="10"><rect width="5" height="5"/></svg>
<script>document.title = "a script ran"</script><img src="/static/avigrid/img/favicon.svg">"""


@requires("research.read")
@same_origin_frame
def report(request: HttpRequest) -> HttpResponse:
    return HttpResponse(REPORT, status=int(request.GET.get("status", 200)))


@requires("site.public")
def parent(request: HttpRequest) -> HttpResponse:
    return HttpResponse('<!doctype html><title>parent</title><iframe src="/report"></iframe>')


urlpatterns = [path("report", report), path("parent", parent), *real_urls]
handler404, handler500 = "avigrid.common.api_errors.not_found", "avigrid.common.api_errors.failed"


def directives(answer: Any) -> dict[str, list[str]]:
    parts = answer["Content-Security-Policy"].split(";")
    return {words[0]: words[1:] for words in (part.split() for part in parts)}


@pytest.mark.django_db
@pytest.mark.urls(__name__)
def test_only_the_report_may_be_framed(client: Client) -> None:
    refused = client.get("/report")
    assert (refused.status_code, refused["X-Frame-Options"]) == (302, "DENY")
    login(client, make_user("viewer"))
    shown = client.get("/report")
    assert shown["X-Frame-Options"] == "SAMEORIGIN"
    policy = directives(shown)
    assert policy["frame-ancestors"] == ["'self'"]
    assert policy["default-src"] == ["'none'"]
    assert "sandbox" in policy
    for other in ("/parent", "/report?status=404"):
        answer = client.get(other)
        assert answer["X-Frame-Options"] == "DENY"
        assert directives(answer)["frame-ancestors"] == ["'none'"]


def test_only_the_styles_it_was_sent_with() -> None:
    # sha256 of "a{}" and "b{}\n", computed with openssl
    policy = report_policy(b"<style>a{}</style><STYLE media=print>b{}\r\n</STYLE><style>a{}</style>")
    style = next(part for part in policy.split("; ") if part.startswith("style-src"))
    assert style.split()[1:] == [
        "'sha256-X1RutGBrXCt9KkSaXMK7tHftWiRscFHOhxsS8tv8hBk='",
        "'sha256-wueFU3mQBLWwqgsvQ5OknNTOd3kPFGN1jqjBo1WTa/c='",
    ]
    assert "style-src 'none'" in report_policy(b"<p>plain</p>")


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.urls(__name__)
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("page_path", ["/parent", "/report"])
def test_in_a_browser(live_server: Any, page_path: str) -> None:
    from playwright.sync_api import sync_playwright

    viewer = login(Client(), make_user("viewer"))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        context = chromium.new_context()
        cookie = viewer.cookies["avigrid_session"].value
        context.add_cookies([{"name": "avigrid_session", "value": cookie, "url": live_server.url}])
        page = context.new_page()
        page.goto(f"{live_server.url}{page_path}")
        frame = page.frames[-1]
        assert frame.url.endswith("/report")
        colour = frame.locator("#styled").evaluate("element => getComputedStyle(element).color")
        title = frame.locator("title").text_content()
        chromium.close()
    assert colour == "rgb(1, 2, 3)"
    assert title == "report"
