"""Hands on the desk: what waits, what gets no answer, keys held down, other keyboards, wrong clocks, night alarms."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Visit, wait_live
from tests.e2e.running_desk import RunningDesk
from tests.e2e.standing import axe, too_wide_px

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(autouse=True, scope="module")
def armed(desk: RunningDesk) -> Iterator[None]:
    desk.arm()
    desk.quieten()
    yield
    desk.quieten(False)


def card_of(page: Any, signal_id: int) -> Any:
    card = page.locator(f"#signal-{signal_id}")
    card.wait_for(timeout=15_000)
    return card


def test_what_came_too_soon_is_queued_and_offered_again(desk: RunningDesk, enter: Callable[..., Visit]) -> None:
    visit = enter("trader")
    page = visit.page
    signal_id, symbol = desk.offer(frees_in_s=12)
    card = card_of(page, signal_id)
    card.locator("[data-primary]").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_text(re.compile("It can be queued")).wait_for()
    dialog.get_by_role("button", name="Queue").click()
    page.locator(f".toast:has-text('{symbol} is queued.')").wait_for()
    dialog.wait_for(state="detached")
    card.locator(".badge:has-text('queued, frees up in')").wait_for()
    assert card.locator("[data-primary]").count() == 0
    card.locator("[data-primary]").wait_for(state="visible", timeout=40_000)
    assert card.locator(".countdown").inner_text() != "0 s"
    card.locator("[data-primary]").click()
    page.locator("dialog[open]").get_by_role("button", name="Place now").wait_for()
    assert visit.complaints == []


def test_no_answer_is_said_and_stays(desk: RunningDesk, enter: Callable[..., Visit]) -> None:
    """The web process is away at the click: whether it was done nobody knows."""
    page = enter("trader").page
    signal_id, _symbol = desk.offer()
    card_of(page, signal_id).locator("[data-primary]").click()
    dialog = page.locator("dialog[open]")
    dialog.wait_for()
    assert axe(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert axe(page) == []
    assert too_wide_px(page) <= 0
    page.set_viewport_size({"width": 1440, "height": 900})
    place = dialog.locator("button.primary")
    place.evaluate("button => { button.disabled = false }")  # the market may have moved; the answer is what counts here
    page.route("**/place", lambda route: route.abort("connectionrefused"))
    place.click()
    dialog.locator("[role=alert]:has-text('No answer')").wait_for()
    place.wait_for(state="visible")
    page.unroute("**/place")
    page.route("**/place", lambda route: route.fulfill(status=503, body="<!doctype html><title>away</title>"))
    place.evaluate("button => button.click()")
    page.locator("#toasts > .toast[data-lasting] >> nth=1").wait_for(state="attached")
    page.keyboard.press("Escape")
    page.wait_for_timeout(200)
    lasting = page.locator("#toasts > .toast[data-lasting]")
    assert lasting.count() == 2
    assert lasting.first.locator("a[href='/plans/']").is_visible()
    lasting.first.click(position={"x": 5, "y": 5})
    assert lasting.count() == 1


def test_a_key_held_down_places_nothing(desk: RunningDesk, enter: Callable[..., Visit]) -> None:
    visit = enter("trader")
    page = visit.page
    signal_id, _symbol = desk.offer()
    card = card_of(page, signal_id)
    card.focus()
    for _ in range(3):  # the first is the press, the others its repeats
        page.keyboard.down("Enter")
    assert page.locator("dialog[open]").count() == 0
    page.keyboard.up("Enter")
    dialog = page.locator("dialog[open]")
    dialog.wait_for()
    assert page.evaluate("() => document.activeElement.id") == "place-title"
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    assert dialog.count() == 1
    dialog.get_by_role("button", name="Cancel").click()
    assert page.locator("#toasts > .toast").count() == 0
    assert "new" in card.get_attribute("class").split()  # and not placed


def test_keys_of_a_russian_keyboard(enter: Callable[..., Visit]) -> None:
    page = enter("viewer", "symbols/").page
    wait_live(page)
    press = """([key, code, shiftKey]) => document.activeElement.dispatchEvent(
        new KeyboardEvent("keydown", {key, code, shiftKey, bubbles: true}))"""
    for key, code in (("о", "KeyJ"), ("о", "KeyJ"), ("л", "KeyK")):
        page.evaluate(press, [key, code, False])
    focused = page.evaluate("() => document.activeElement.querySelector('strong')?.textContent")
    assert focused == page.locator(".symbol-card strong").first.inner_text()
    page.evaluate(press, [",", "Slash", True])
    page.locator("dialog#keyboard-help[open]").wait_for()


def test_countdowns_run_by_the_servers_clock(desk: RunningDesk, enter: Callable[..., Visit]) -> None:
    """A laptop that is ten minutes ahead would show every offer as over."""
    page = enter("viewer", clock_off_s=600).page
    signal_id, _symbol = desk.offer()
    countdown = card_of(page, signal_id).locator(".countdown")
    page.clock.run_for(1_100)
    minutes, seconds = re.fullmatch(r"(?:(\d+):)?(\d+)(?: s)?", countdown.inner_text()).groups()
    assert 60 < int(minutes or 0) * 60 + int(seconds) <= 120
    assert "over" not in card_of(page, signal_id).get_attribute("class")


def test_a_critical_alert_stays_until_it_is_clicked(desk: RunningDesk, enter: Callable[..., Visit]) -> None:
    page = enter("viewer", "symbols/", clock=True).page
    wait_live(page)
    desk.alarm("Something grave happened at three in the morning.")
    grave = page.locator(".toast.critical:has-text('three in the morning')")
    grave.wait_for(timeout=10_000)
    page.clock.fast_forward("01:00")
    page.clock.run_for(2_000)
    page.reload()
    assert grave.is_visible()
    grave.click()
    assert grave.count() == 0
    page.reload()
    wait_live(page)
    assert grave.count() == 0
    page.locator("#fragment-topbar a:has-text('alert')").click()
    page.locator("#fragment-alert_list td:has-text('three in the morning')").wait_for()


def test_a_page_that_stands_still_says_when_there_is_more(desk: RunningDesk, enter: Callable[..., Visit]) -> None:
    plain = enter("viewer", "decisions/", java_script_enabled=False).page
    assert plain.locator("#newer-bar").is_hidden()
    page = enter("viewer", "decisions/").page
    wait_live(page)
    desk.offer()
    page.locator("#newer-bar a").click(timeout=20_000)
    page.locator("#newer-bar").wait_for(state="hidden")


def test_a_line_that_never_opens_is_said_to_be_down(enter: Callable[..., Visit], desk: RunningDesk) -> None:
    visit = enter("viewer", "plans/", clock=True)
    page = visit.page
    page.add_init_script("""window.WebSocket = class extends EventTarget {
        static OPEN = 1; readyState = 0; send() {} close() {}
    }""")
    page.reload()
    page.clock.run_for(25_000)
    page.locator("#offline-bar").wait_for(state="visible")
