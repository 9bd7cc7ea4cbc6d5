"""`make screenshots`: docs/images from a running demo, so that the pictures are never older than the pages."""

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.e2e.running_desk import CHROMIUM, CHROMIUM_ARGS, ROOT, RunningDesk, log_in, place_one, running_desk

IMAGES = ROOT / "docs" / "images"
MOST_PLACED = 8
PAGES = {
    "symbol": "symbols/{symbol}/",
    "plans": "plans/",
    "performance": "performance/",
    "risk": "risk/",
    "reconciliation": "reconciliation/",
    "health": "system/",
}


def research(desk: RunningDesk, page: Any) -> None:
    """A backtest of one symbol over what the demo has stored, with its report."""
    page.goto(desk.url + "research/")
    for box in page.locator("form.research-form input[name=symbols]").all():
        box.set_checked(box.get_attribute("value") == "BTCUSDT")
    page.locator("form.research-form button.primary").click()
    page.wait_for_url(re.compile(r"/research/\d+/"), timeout=30_000)
    page.locator("iframe.report").wait_for(timeout=180_000)
    page.wait_for_timeout(2_000)  # the report's own drawings
    page.screenshot(path=IMAGES / "research.png")


def main() -> int:
    if CHROMIUM is None:
        print("No Chromium on this machine: install it, for example with 'apt-get install chromium'.", file=sys.stderr)
        return 2
    IMAGES.mkdir(parents=True, exist_ok=True)
    log = Path(tempfile.mkdtemp()) / "demo.log"
    symbols = "BTCUSDT,ETHUSDT,SOLUSDT,BNBUSDT,XRPUSDT,DOGEUSDT"
    with (
        running_desk(f"shots_{os.getpid()}", log, "--speed", "30", "--symbols", symbols) as desk,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
        page = context.new_page()
        log_in(desk, page, "trader")
        for _ in range(MOST_PLACED):  # an entry whose price ran away between click and venue leaves nothing behind
            symbol = place_one(desk, page)
            page.wait_for_timeout(12_000)
            if page.locator("[data-protected=yes]").count() == 2:
                break
        page.locator("[data-placeable]").first.wait_for(timeout=180_000)  # a desk with something on offer
        page.wait_for_timeout(1_500)  # what is new has stopped flashing
        page.screenshot(path=IMAGES / "desk.png")
        for name, path in PAGES.items():
            page.goto(desk.url + path.format(symbol=symbol))
            if name in ("symbol", "performance"):
                page.locator("[data-ready]").wait_for(timeout=30_000)
            page.wait_for_timeout(2_500)
            page.screenshot(path=IMAGES / f"{name}.png")
        research(desk, page)
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(desk.url)
        page.wait_for_timeout(2_000)
        page.screenshot(path=IMAGES / "phone.png")
        chromium.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
