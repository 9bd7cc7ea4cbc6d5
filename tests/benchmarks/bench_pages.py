"""Every page of a running desk: first contentful paint, server time, bytes of the page and of each update.

Run: python -m tests.benchmarks.bench_pages [loads per page, default 7]. A whole desk of its own, a real Chromium
without a cache, medians. Server time is what a plain request takes over the loopback, page and top bar included (aim
p95 <= 100 ms); updates are what the page's socket carried in ten seconds of a market at 30x. Aim: first paint < 1 s.
"""

import os
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.e2e.running_desk import CHROMIUM, CHROMIUM_ARGS, RunningDesk, log_in, place_one, running_desk

PAGES = {
    "desk": "",
    "symbols": "symbols/",
    "symbol": "symbols/BTCUSDT/",
    "decisions": "decisions/",
    "plans": "plans/",
    "performance": "performance/",
    "research": "research/",
    "risk": "risk/",
    "reconciliation": "reconciliation/",
    "health": "system/",
    "audit": "audit/",
}
LISTEN_MS = 10_000
WINDOW: Any = {"width": 1440, "height": 900}
SERVER_TIMES = 40
PAINT = "() => performance.getEntriesByName('first-contentful-paint').map(entry => entry.startTime)[0]"
WEIGHT = """() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
    .map(entry => entry.transferSize).reduce((sum, size) => sum + size, 0)"""


def server_ms(url: str, cookie: str) -> tuple[float, float, int, int]:
    """(median, p95, plain bytes, compressed bytes)."""
    plain = urllib.request.Request(url, headers={"Cookie": cookie})
    packed = urllib.request.Request(url, headers={"Cookie": cookie, "Accept-Encoding": "gzip"})
    times = []
    for _ in range(SERVER_TIMES):
        began = time.perf_counter()
        with urllib.request.urlopen(packed, timeout=30) as answer:
            small = len(answer.read())
        times.append((time.perf_counter() - began) * 1000)
    with urllib.request.urlopen(plain, timeout=30) as answer:
        large = len(answer.read())
    return statistics.median(times), statistics.quantiles(times, n=20)[-1], large, small


def row_of(desk: RunningDesk, chromium: Any, state: Any, path: str, loads: int) -> str:
    cookie = "; ".join(f"{row['name']}={row['value']}" for row in state["cookies"])
    median, slow, large, small = server_ms(desk.url + path, cookie)
    paints, weights = [], []
    for _ in range(loads):
        # whoever comes for the first time, with an empty cache
        visitor = chromium.new_context(viewport=WINDOW, storage_state=state)
        page = visitor.new_page()
        page.goto(desk.url + path, wait_until="load")
        page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length", timeout=10_000)
        paints.append(page.evaluate(PAINT))
        weights.append(page.evaluate(WEIGHT))
        visitor.close()
    sizes: list[int] = []
    visitor = chromium.new_context(viewport=WINDOW, storage_state=state)
    page = visitor.new_page()
    page.on("websocket", lambda line: line.on("framereceived", lambda frame: sizes.append(len(frame))))
    page.goto(desk.url + path)
    page.wait_for_timeout(LISTEN_MS)
    visitor.close()
    updates = [size for size in sizes if size > 10][1:]  # the first carries the whole page's fragments
    each = statistics.median(updates) if updates else 0
    return (
        f"{statistics.median(paints):8.0f} {max(paints):8.0f} {median:9.0f} {slow:8.0f} {large / 1000:9.1f}"
        f" {small / 1000:9.1f} {statistics.median(weights) / 1000:9.0f} {len(updates) / LISTEN_MS * 1000:9.1f}"
        f" {each / 1000:8.1f}"
    )


def main() -> int:
    if CHROMIUM is None:
        print("No Chromium on this machine.")
        return 2
    loads = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    log = Path(tempfile.mkdtemp()) / "desk.log"
    with running_desk(f"pages_{os.getpid()}", log, "--speed", "30") as desk, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        context = chromium.new_context(viewport=WINDOW)
        page = context.new_page()
        log_in(desk, page, "admin")
        place_one(desk, page)
        state = context.storage_state()
        context.close()
        print("                first paint, ms   server, ms        page, kB            first visit  updates")
        print("page              median  slowest    median      p95     plain   gzipped  all, kB     per s  kB each")
        for name, path in PAGES.items():
            print(f"{name:16}{row_of(desk, chromium, state, path, loads)}", flush=True)
        chromium.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
