"""Research in a real browser: start, watch, read, cancel, compare; and the pages around it stand without complaint."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Visit
from tests.e2e.running_desk import RunningDesk, eventually, next_code
from tests.e2e.standing import stands

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SLOW_MS = 90_000


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
    desk: RunningDesk, enter: Callable[..., Visit]
) -> None:
    seen = enter("trader")
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


def test_a_sweep_shows_progress_and_is_cancelled(desk: RunningDesk, enter: Callable[..., Visit]) -> None:
    seen = enter("trader")
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


def test_what_is_wrong_is_said_at_its_field(desk: RunningDesk, enter: Callable[..., Visit]) -> None:
    """By keyboard: the field in error has the focus."""
    page = enter("trader").page
    page.set_default_timeout(SLOW_MS)
    page.goto(desk.url + "research/")
    page.check("input[name=kind][value=calibrate]")
    assert page.locator("[name=axes]").is_hidden()
    page.check("input[name=symbols][value=BTCUSDT]")
    page.fill("[name=train_days]", "900")
    page.get_by_role("button", name="Start", exact=True).press("Enter")
    page.locator("#train_days-error:has-text('days of warm bars are stored')").wait_for()
    assert page.evaluate("() => document.activeElement.name") == "train_days"
    page.check("input[name=kind][value=backtest]")
    page.locator(".field-list summary").click()
    page.get_by_role("button", name="theta", exact=True).click()
    assert page.locator("[name=overrides]").input_value() == "theta=0.35"


def test_a_calibration_from_the_form_to_hours_in_use(desk: RunningDesk, enter: Callable[..., Visit]) -> None:
    """Whatever the market did: hours without enough trades fall back, and what would be used can be put to use."""
    seen = enter("admin", "research/")
    page = seen.page
    page.set_default_timeout(SLOW_MS)
    wait_for_history(page)
    page.check("input[name=kind][value=calibrate]")
    page.check("input[name=symbols][value=BTCUSDT]")
    for name, days in (("train_days", 20), ("test_days", 5), ("step_days", 10)):
        page.fill(f"[name={name}]", str(days))
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/research/\d+/$"))
    run_id = int(page.url.rstrip("/").rpartition("/")[2])
    table = page.locator("table.theta")
    table.wait_for()  # pushed when the run ends, without a reload
    assert table.locator("thead th.num").all_inner_texts() == [f"{hour:02}" for hour in range(24)]
    folds = table.locator("tbody tr", has_text="PSI")
    assert folds.count() >= 3
    assert folds.first.locator("td").count() == 24
    used = table.locator("tbody tr", has_text="would be used").locator("td").all_inner_texts()
    stands(page, "research-calibration")
    assert seen.complaints == []
    try:
        activate(page, desk)
        told = page.locator("main > .notice").inner_text()
    finally:  # the stories after this one are told with the strategy as it came
        in_use = json.loads(
            desk.shell(
                "import json; from tests.e2e.offer import quieten; from trading.selectors.strategy import *; "
                "found = config_of(active_version()).to_mapping()['theta_by_hour']; quieten(False); "
                "print(json.dumps(found))"
            )
        )
    assert re.fullmatch(rf"Version \d+ decides from the next bar on, with the hours of run {run_id}\.", told), told
    assert [f"{in_use[str(hour)]:.2f}" for hour in range(24)] == used


def wait_for_history(page: Any) -> None:
    """The demo stores its weeks of bars beside the running desk."""

    def is_stored() -> bool:
        page.reload()
        label = page.locator("label", has=page.locator("input[name=symbols][value=BTCUSDT]"))
        found = re.search(r"(\d+) ·", label.inner_text()) if label.count() else None
        return found is not None and int(found[1]) > 40 * 288

    eventually(is_stored, 90, "the history of the demo")


def activate(page: Any, desk: RunningDesk) -> None:
    """A code is good once: whoever used one to log in a moment ago waits for the next."""
    here = page.url
    for _ in range(4):
        page.fill("#activate-reason", "steady for three folds")
        page.fill("#activate-code", desk.code("admin"))
        with page.expect_navigation():
            page.get_by_role("button", name="Activate").click()
        if page.locator("main > .notice:has-text('decides from the next bar on')").count():
            return
        next_code(page)
        page.goto(here)
