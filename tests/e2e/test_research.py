"""Research in a real browser: start, watch, read, cancel, compare; and the pages around it stand without complaint."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Visit
from tests.e2e.running_desk import ARTEFACTS, ROOT, RunningDesk

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SLOW_MS = 90_000
_FINDINGS = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
    .filter((found) => ["serious", "critical"].includes(found.impact))
    .map((found) => `${found.id}: ${found.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)).join(" | ")}`)"""


def stands(page: Any, name: str, *, reload: bool = False) -> None:
    """No serious finding of axe in either theme, nothing wider than a phone or a desk.

    `reload`: for pages that look at the theme only when they are loaded.
    """
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        if reload:
            page.reload()
        page.evaluate(AXE.read_text())
        assert page.evaluate(_FINDINGS) == [], (name, theme)
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            too_wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
            assert too_wide <= 0, f"{name}, {width} px, {theme}: {too_wide} px stick out"
            page.screenshot(path=ARTEFACTS / f"{name}-{width}-{theme}.png", full_page=True)


def faults(page: Any) -> list[str]:
    """Of one page as it is now: axe's serious findings, and what sticks out on a phone."""
    page.evaluate(AXE.read_text())
    found = list(page.evaluate(_FINDINGS))
    page.set_viewport_size({"width": 390, "height": 844})
    too_wide = page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
    page.set_viewport_size({"width": 1440, "height": 900})
    return [*found, f"{too_wide} px stick out at 390 px"] if too_wide > 0 else found


def start(page: Any, desk: RunningDesk, kind: str, *, overrides: str = "", axes: str = "") -> str:
    page.goto(desk.url + "research/")
    page.check(f"input[name=kind][value={kind}]")
    for symbol in ("BTCUSDT", "ETHUSDT"):
        page.check(f"input[name=symbols][value={symbol}]")
    page.fill("[name=overrides]", overrides)
    if axes:
        page.fill("[name=axes]", axes)
    page.get_by_role("button", name="Start", exact=True).dblclick()
    page.wait_for_url(re.compile(r"/research/\d+/$"))
    return str(page.url)


def test_a_backtest_from_the_form_to_the_report_and_side_by_side(
    desk: RunningDesk, visit: Callable[..., Visit]
) -> None:
    seen = visit("trader")
    page = seen.page
    page.set_default_timeout(SLOW_MS)
    first = start(page, desk, "backtest", overrides="theta=0.1")
    page.locator("iframe.report").wait_for()  # pushed when the run ends, without a reload
    report = page.frame_locator("iframe.report")
    report.get_by_role("heading", name="Assumptions").wait_for()
    assert report.locator("svg").count() >= 3
    stands(page, "research-run")
    second = start(page, desk, "backtest", overrides="theta=0.3")
    assert second != first
    page.locator("iframe.report").wait_for()
    page.get_by_role("button", name="Side by side").click()
    page.wait_for_url(re.compile("/research/compare/"))
    row = page.locator("tr", has=page.locator("td", has_text=re.compile("^theta$")))
    assert row.locator("td.num").all_inner_texts() == ["0.3", "0.1"]
    assert page.locator("iframe.report").count() == 2
    stands(page, "research-compare")
    page.goto(desk.url + "research/")
    rows = page.locator("tr[data-run]").count()
    assert rows == 2  # a double click started one run
    stands(page, "research")
    assert seen.complaints == []


def test_a_sweep_shows_progress_and_is_cancelled(desk: RunningDesk, visit: Callable[..., Visit]) -> None:
    seen = visit("trader")
    page = seen.page
    page.set_default_timeout(SLOW_MS)
    many = ", ".join(f"{0.05 + step * 0.004:.3f}" for step in range(100))
    wide = ", ".join(f"{3 + step * 0.05:.2f}" for step in range(200))
    start(page, desk, "sweep", axes=f"theta={many}\natr_mult_x={wide}")
    page.locator("#fragment-research_run[data-status=running] progress[value]").wait_for()
    page.get_by_role("button", name="Cancel the run").click()
    page.locator("#fragment-research_run[data-status=cancelled]").wait_for()
    assert page.get_by_role("button", name="Cancel the run").count() == 0
    start(page, desk, "sweep", axes="theta=0.1, 0.2, 0.3")
    page.locator("#sweep-title").wait_for()
    assert page.locator("section[aria-labelledby=sweep-title] tbody tr").count() == 3
    assert seen.complaints == []


def test_what_is_wrong_is_said_at_its_field(desk: RunningDesk, visit: Callable[..., Visit]) -> None:
    """By keyboard: the field in error has the focus."""
    page = visit("trader").page
    page.set_default_timeout(SLOW_MS)
    page.goto(desk.url + "research/")
    page.check("input[name=kind][value=calibrate]")
    assert page.locator("[name=axes]").is_hidden()
    page.check("input[name=symbols][value=BTCUSDT]")
    page.get_by_role("button", name="Start", exact=True).press("Enter")
    page.locator("#train_days-error:has-text('days of warm bars are stored')").wait_for()
    assert page.evaluate("() => document.activeElement.name") == "train_days"
    page.check("input[name=kind][value=backtest]")
    page.locator(".field-list summary").click()
    page.get_by_role("button", name="theta", exact=True).click()
    assert page.locator("[name=overrides]").input_value() == "theta=0.35"
