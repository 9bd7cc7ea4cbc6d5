"""Every page in a real browser: stands without complaint at every width and in both themes, for everybody's eyes and
hands, and stays right while it lives."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Visit, wait_live
from tests.e2e.running_desk import RunningDesk, eventually, log_in, next_code, place_one
from tests.e2e.standing import stands

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGES = {
    "desk": "",
    "symbols": "symbols/",
    "symbol": "symbols/BTCUSDT/",
    "decisions": "decisions/",
    "plans": "plans/",
    "performance": "performance/",
    "risk": "risk/",
    "reconciliation": "reconciliation/",
    "system": "system/",
    "audit": "audit/",
    "break-it": "break-it/",
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_stands(name: str, enter: Callable[..., Visit]) -> None:
    """No script error, no breach of the content policy, no serious finding of axe, nothing wider than the screen."""
    visit = enter("admin", PAGES[name])
    page = visit.page
    wait_live(page)
    if name in ("symbol", "performance"):
        page.locator("[data-ready]").wait_for(timeout=30_000)
    stands(page, name)
    assert visit.complaints == []


@pytest.mark.parametrize("name", ["desk", "risk", "system", "performance"])
def test_a_page_stands_in_russian(name: str, enter: Callable[..., Visit], desk: RunningDesk) -> None:
    """Its words are longer."""
    visit = enter("admin", PAGES[name], language="ru")
    wait_live(visit.page)
    assert visit.page.locator("html").get_attribute("lang") == "ru"
    stands(visit.page, f"{name}-ru", pictures=False)
    assert visit.complaints == []


def test_the_doors_stand(enter: Callable[..., Visit], desk: RunningDesk, browser: Any) -> None:
    """What people see before the desk: password, and their device."""
    page = browser.new_page()
    page.goto(desk.url)
    assert "/accounts/login/" in page.url
    stands(page, "login")
    page.close()
    inside = enter("viewer", "accounts/device/")
    stands(inside.page, "device")
    inside.page.goto(desk.url + "accounts/sessions/")
    stands(inside.page, "sessions")
    assert inside.complaints == []


def test_a_plan_stands(enter: Callable[..., Visit], desk: RunningDesk) -> None:
    """Page 3: whatever plan the desk has; where it has none, one is placed."""
    visit = enter("trader", "plans/")
    page = visit.page
    if not page.locator("#fragment-plans_table a[href^='/plans/']").count():
        desk.arm()
        page.goto(desk.url)
        place_one(desk, page)
        page.goto(desk.url + "plans/")
    page.locator("#fragment-plans_table a[href^='/plans/']").first.click()
    page.locator(".timeline .moment").first.wait_for()
    wait_live(page)
    stands(page, "plan")
    assert visit.complaints == []


def test_the_chart_shows_bars_and_tells_why(enter: Callable[..., Visit]) -> None:
    visit = enter("viewer", "symbols/ETHUSDT/")
    page = visit.page
    chart = page.locator("#symbol-chart[data-ready]")
    chart.wait_for(timeout=30_000)
    assert int(chart.get_attribute("data-ready")) > 100
    page.locator("#fragment-decisions tbody tr").first.wait_for(timeout=60_000)
    page.locator("#fragment-decisions tbody button").first.click()
    page.locator("#bar-rules td:has-text('trigger')").wait_for(timeout=10_000)
    assert page.locator("#bar-rules tbody tr").count() == 11
    box = chart.bounding_box()
    chart.click(position={"x": box["width"] * 0.4, "y": box["height"] * 0.4})  # the rules were scrolled into view
    page.locator("#bar-rules:has-text('no decision is stored')").wait_for(timeout=10_000)
    assert page.locator("a[href='https://www.tradingview.com/']").is_visible()
    page.locator("#fragment-book .bids tr").first.wait_for(timeout=10_000)
    first = page.locator("#fragment-tick").get_attribute("data-bar")
    eventually(lambda: page.locator("#fragment-tick").get_attribute("data-bar") != first, 20, "the forming bar to move")
    assert visit.complaints == []


def test_the_rules_of_a_bar_come_into_view_on_a_phone(enter: Callable[..., Visit]) -> None:
    """They stand above the table they are asked for in, screens away; and HALT stays under the thumb all the way."""
    visit = enter("trader", "symbols/ETHUSDT/", viewport={"width": 390, "height": 844})
    page = visit.page
    wait_live(page)
    page.locator("#fragment-decisions tbody button").last.click()
    page.wait_for_function("() => document.activeElement.id === 'bar-rules'")
    box = page.locator("section:has(> #bar-rules)").bounding_box()
    assert 0 <= box["y"] < 844 / 2
    page.evaluate("() => scrollTo(0, document.body.scrollHeight)")
    halt = page.get_by_role("button", name="HALT").bounding_box()
    assert 0 <= halt["y"] < 100
    assert halt["x"] + halt["width"] <= 390
    assert visit.complaints == []


def test_focus_and_open_details_survive_repaints(enter: Callable[..., Visit]) -> None:
    page = enter("viewer", "system/").page
    wait_live(page)
    link = page.locator("#fragment-health a").nth(1)
    link.focus()
    name = link.inner_text()
    page.locator("#fragment-topbar details.processes summary").click()
    page.locator("#fragment-health a").nth(1).focus()
    page.evaluate("() => { document.querySelector('#fragment-health').dataset.old = 'yes' }")
    page.locator("#fragment-health:not([data-old])").wait_for(timeout=20_000)
    page.locator("#fragment-health:not([data-old])").wait_for(timeout=20_000)
    assert page.evaluate("() => document.activeElement.textContent") == name


def test_a_repaint_never_swallows_a_click(enter: Callable[..., Visit]) -> None:
    """The panel is painted every second; here a click takes two."""
    page = enter("viewer", "system/").page
    wait_live(page)
    link = page.locator("#fragment-health a").first
    symbol = link.inner_text()
    link.hover()
    page.mouse.down()
    page.wait_for_timeout(2_000)
    page.mouse.up()
    page.wait_for_url(re.compile(rf"/symbols/{symbol}/$"))


def test_a_finger_that_stays_down_does_not_freeze_the_page(enter: Callable[..., Visit]) -> None:
    """Neither on a button for ever, nor with the other button, nor anywhere else."""
    page = enter("viewer", "system/").page
    wait_live(page)
    old = "() => { document.querySelector('#fragment-health').dataset.old = 'yes' }"
    link, words = page.locator("#fragment-health a").first, page.locator("#fragment-health h2").first
    for where, button in ((link, "left"), (link, "right"), (words, "left")):
        where.hover()
        page.mouse.down(button=button)
        page.evaluate(old)
        page.locator("#fragment-health:not([data-old])").wait_for(timeout=8_000)
        page.mouse.move(700, 5)
        page.mouse.up(button=button)


def test_a_wide_table_stays_where_it_was_scrolled_to(enter: Callable[..., Visit]) -> None:
    page = enter("viewer", "system/", viewport={"width": 390, "height": 844}).page
    wait_live(page)
    # wide whatever fonts this machine has, and how ever few processes run
    page.evaluate("() => document.styleSheets[0].insertRule('.scroll-x > table { min-width: 900px }')")
    body = page.locator("#fragment-health section[aria-labelledby=processes-title] .scroll-x")
    far = body.evaluate("node => { node.scrollLeft = 60; return node.scrollLeft }")
    assert far > 0
    page.evaluate("() => { document.querySelector('#fragment-health').dataset.old = 'yes' }")
    page.locator("#fragment-health:not([data-old])").wait_for(timeout=10_000)
    assert body.evaluate("node => node.scrollLeft") == far


def test_the_keyboard_walks_the_cards(enter: Callable[..., Visit]) -> None:
    page = enter("viewer", "symbols/").page
    wait_live(page)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    focused = page.evaluate("() => document.activeElement.querySelector('strong')?.textContent")
    assert focused == page.locator(".symbol-card strong").first.inner_text()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/symbols/\w+/$"))
    page.keyboard.press("?")
    page.locator("dialog#keyboard-help[open]").wait_for()
    page.keyboard.press("Escape")
    page.locator("dialog#keyboard-help:not([open])").wait_for(state="attached")


def test_a_viewer_is_not_shown_what_a_viewer_may_not(enter: Callable[..., Visit], desk: RunningDesk) -> None:
    page = enter("viewer", "risk/").page
    assert page.locator("nav a:has-text('Audit')").count() == 0
    assert page.get_by_role("button", name="HALT").count() == 0
    assert page.locator("form[action='/risk/flatten']").count() == 0
    page.goto(desk.url + "audit/")
    assert page.locator("table.audit").count() == 0


def test_the_audit_chain_is_proven_at_a_click(enter: Callable[..., Visit]) -> None:
    page = enter("admin", "audit/").page
    page.get_by_role("button", name="Verify the chain").click()
    page.locator("#chain:has-text('The chain is whole')").wait_for(timeout=30_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    exported = download.value.path().read_text()
    assert "action" in exported.splitlines()[0]
    for process in ("web", "beat", "worker:celery@", "market_data", "execution:"):
        assert f",process.started,process,{process}" in exported, process


def test_a_killed_execution_process_is_back_with_proof(enter: Callable[..., Visit]) -> None:
    page = enter("trader", "break-it/").page
    wait_live(page)
    page.get_by_role("button", name=re.compile("Kill the execution process")).click()
    story = page.locator(".fault-story").first
    story.locator(".stage-repair").first.wait_for(timeout=60_000)
    story.locator(".stage-proof").first.wait_for(timeout=60_000)
    seconds = [float(re.sub(r"[^\d.]", "", text)) for text in story.locator(".num").all_inner_texts()]
    assert seconds == sorted(seconds)
    assert seconds[-1] < 60


def test_a_page_whose_access_ended_goes_to_the_login(
    enter: Callable[..., Visit], desk: RunningDesk, browser: Any
) -> None:
    """Logged out in one tab, the other tabs leave too."""
    context = browser.new_context()
    page = context.new_page()
    log_in(desk, page, "viewer")
    other = context.new_page()
    other.goto(desk.url + "plans/")
    wait_live(other)
    page.locator("header details.menu summary[aria-label=Menu]").click()
    page.get_by_role("button", name="Log out").click()
    other.wait_for_url(re.compile("/accounts/login/"), timeout=45_000)
    context.close()


def test_halt_works_without_javascript_and_re_arm_needs_a_code(enter: Callable[..., Visit], desk: RunningDesk) -> None:
    plain = enter("trader", "performance/", java_script_enabled=False).page
    plain.get_by_role("button", name="HALT").click()
    assert plain.locator("[data-desk-state=halted]").count() == 1
    admin = enter("admin", "risk/").page
    admin.locator("[data-desk-state=halted]").wait_for(timeout=10_000)
    assert "HALTED" in admin.title()
    icon = admin.locator("#favicon")
    assert icon.get_attribute("href") == icon.get_attribute("data-alarm")
    form = admin.locator("form[action='/risk/rearm']")
    form.locator("[name=reason]").fill("the test is over")
    for _ in range(4):
        form.locator("[name=otp_code]").fill(desk.code("admin"))
        form.get_by_role("button", name="Re-arm").click()
        admin.wait_for_load_state()
        if admin.locator("[data-desk-state=active]").count():
            break
        next_code(admin)
        admin.goto(desk.url + "risk/")
        form.locator("[name=reason]").fill("the test is over")
    assert admin.locator("[data-desk-state=active]").count() == 1
    assert icon.get_attribute("href") == icon.get_attribute("data-calm")
    assert "the test is over" in admin.locator("#fragment-risk").inner_text()
