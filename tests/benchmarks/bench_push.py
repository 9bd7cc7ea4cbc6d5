"""From a signal's commit to the operator's eyes: one real Chromium and 0, 49, 199 or 499 more pages on one web process.

Run: python -m tests.benchmarks.bench_push [signals per row, default 20 [pages ...]]. A whole desk of its own at
market speed, so that price events repaint the pages every second as they do in life. A signal is stored in one
transaction with its event; the browser notes when the card is in the page and the next frame is drawn, the other pages
(real sockets with the same subscription) when its bytes arrived. Everything shares the machine. Aim: p95 <= 200 ms.
"""

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django
import psutil
from playwright.async_api import async_playwright
from websockets.asyncio.client import connect

from tests.e2e.running_desk import CHROMIUM, CHROMIUM_ARGS, RunningDesk, log_in, running_desk

PAGES = (1, 50, 200, 500)
FRAGMENTS = "topbar,alerts,signals,plans,fills"
SEEN_WITHIN_S = 10.0
# when did this card come into the page, and when was the frame after that drawn
WATCH = """id => new Promise(done => {
    const seen = () => requestAnimationFrame(() => setTimeout(() => done(performance.timeOrigin + performance.now())));
    const there = () => document.getElementById(id) !== null;
    if (there()) { seen(); return; }
    const eye = new MutationObserver(() => { if (there()) { eye.disconnect(); seen(); } });
    eye.observe(document.body, {childList: true, subtree: true});
})"""


@dataclass
class Socket:
    """A page without a browser: what it was sent, and when a wanted text came."""

    wanted: bytes = b""
    seen: asyncio.Event = field(default_factory=asyncio.Event)
    seen_s: float = 0.0
    received: int = 0

    def hear(self, message: bytes) -> None:
        self.received += len(message)
        if self.wanted and self.wanted in message:
            self.seen_s = time.time()
            self.wanted = b""
            self.seen.set()


async def keep_open(desk: RunningDesk, cookie: str, socket: Socket, ready: asyncio.Event) -> None:
    address = desk.url.replace("http", "ws", 1) + f"ws/screen/?lang=en&fragments={FRAGMENTS}"
    headers = {"Cookie": f"avigrid_session={cookie}"}
    async with connect(
        address, additional_headers=headers, origin=desk.url.rstrip("/"), compression=None, max_queue=None,
        open_timeout=60, ping_interval=None,
    ) as line:  # fmt: skip
        async for message in line:
            socket.hear(message if isinstance(message, bytes) else message.encode())
            ready.set()


def store_signal(number: int) -> tuple[int, float]:
    """(id, time of the commit). As the strategy stores one: decision, signal and event in one transaction."""
    from datetime import timedelta

    from django.db import transaction
    from django.utils import timezone

    from avigrid.common import push
    from avigrid.kernel.instrument import FeeRates
    from marketdata.selectors.instruments import instrument
    from trading.avi5.config import StrategyConfig
    from trading.avi5.levels import build_plan
    from trading.models import Decision, Signal, SignalStatus
    from trading.selectors.strategy import active_version

    symbol = "BTCUSDT"
    listed = instrument(symbol)
    spec = build_plan(
        symbol=symbol, direction=1, close=100_000.0, atr=250.0, config=StrategyConfig(), instrument=listed,
        fees=FeeRates(), r_usd=20,
    )  # fmt: skip
    rule = {"rule": "spread", "passed": True, "value": 1.5, "threshold": 5.0, "unit": "bps"}
    now = timezone.now()
    with transaction.atomic():
        Signal.objects.filter(status=SignalStatus.NEW).update(status=SignalStatus.EXPIRED)
        decision = Decision.objects.create(
            strategy=active_version(), symbol=symbol, bar_start=now - timedelta(days=1, minutes=5 * number),
            decided_at=now, status="signal", direction=1, rules={"long": [rule] * 11, "short": [], "failed": []},
            indicators={"side": 1},
        )  # fmt: skip
        signal = Signal.objects.create(
            decision=decision, symbol=symbol, direction=1, profile="swing", entry_price=spec.entry,
            stop_price=spec.stop, spec=spec.to_json(), risk_usd=spec.planned_loss_usd, created_at=now,
            valid_until=now + timedelta(hours=1),
        )  # fmt: skip
        push.event("signal", {"id": signal.pk, "symbol": symbol, "status": "new"})
        stored_s = time.time()
    return signal.pk, stored_s


async def measure(desk: RunningDesk, page: Any, cookie: str, pages: int, signals: int, first: int) -> str:
    children = psutil.Process(desk.pid).children(recursive=True)
    web = next(child for child in children if any("daphne" in part for part in child.cmdline()))
    sockets = [Socket() for _ in range(pages - 1)]
    ready = [asyncio.Event() for _ in sockets]
    lines = []
    for socket, event in zip(sockets, ready, strict=True):
        lines.append(asyncio.create_task(keep_open(desk, cookie, socket, event)))
        if len(lines) % 25 == 0:
            await asyncio.sleep(0.2)
    all_ready = asyncio.gather(*(event.wait() for event in ready))
    done, _ = await asyncio.wait([all_ready, *lines], timeout=120, return_when=asyncio.FIRST_COMPLETED)
    for line in done - {all_ready}:
        line.result()  # says why it ended
    assert all_ready.done(), f"{sum(not event.is_set() for event in ready)} of {pages} pages heard nothing"
    dice = random.Random(first)
    visible: list[float] = []
    delivered: list[float] = []
    cpu, began, heard = web.cpu_times(), time.monotonic(), sum(socket.received for socket in sockets)
    for number in range(signals):
        await asyncio.sleep(dice.uniform(0.3, 1.3))  # at any moment between two price events
        for socket in sockets:
            socket.seen.clear()
        identity, stored_s = await asyncio.to_thread(store_signal, first + number)
        for socket in sockets:
            if not socket.seen.is_set():
                socket.wanted = f'id="signal-{identity}"'.encode()
        seen_ms = await asyncio.wait_for(page.evaluate(WATCH, f"signal-{identity}"), SEEN_WITHIN_S)
        visible.append(seen_ms - stored_s * 1000)
        if sockets:
            await asyncio.wait_for(asyncio.gather(*(socket.seen.wait() for socket in sockets)), SEEN_WITHIN_S)
            delivered += [(socket.seen_s - stored_s) * 1000 for socket in sockets]
    spent = web.cpu_times()
    elapsed = time.monotonic() - began
    share = (spent.user + spent.system - cpu.user - cpu.system) / elapsed
    per_page = (sum(socket.received for socket in sockets) - heard) / max(len(sockets), 1) / elapsed
    memory = web.memory_info().rss / 1e6
    for line in lines:
        line.cancel()
    await asyncio.gather(*lines, return_exceptions=True)
    sent = f"{'-':>6} {'-':>6} {'-':>8}"
    if delivered:
        sent = f"{centile(delivered, 50):6.0f} {centile(delivered, 95):6.0f} {per_page / 1000:8.1f}"
    return f"{pages:6} {centile(visible, 50):9.0f} {centile(visible, 95):9.0f}  {sent} {share:8.0%} {memory:8.0f}"


def centile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


async def browse(desk: RunningDesk, cookies: list[dict[str, Any]], signals: int, rows: tuple[int, ...]) -> None:
    cookie = next(row["value"] for row in cookies if row["name"] == "avigrid_session")
    print("           visible, ms  delivered, ms  a page      web process")
    print(" pages       p50       p95     p50    p95     kB/s      CPU       MB")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        context = await chromium.new_context(viewport={"width": 1440, "height": 900})
        await context.add_cookies(cookies)
        page = await context.new_page()
        await page.goto(desk.url)
        await page.locator("html[data-line=up]").wait_for(state="attached")
        for row, pages in enumerate(rows):
            print(await measure(desk, page, cookie, pages, signals, 1 + row * signals), flush=True)
        await chromium.close()


def main() -> int:
    if CHROMIUM is None:
        print("No Chromium on this machine.")
        return 2
    signals = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    rows = tuple(int(text) for text in sys.argv[2:]) or PAGES
    log = Path(tempfile.mkdtemp()) / "desk.log"
    with running_desk(f"push_{os.getpid()}", log, "--speed", "1") as desk:
        os.environ.update(desk.environment, DJANGO_SETTINGS_MODULE="avigrid.settings.dev")
        django.setup()
        asyncio.run(browse(desk, session_cookies(desk), signals, rows))
    return 0


def session_cookies(desk: RunningDesk) -> list[dict[str, Any]]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        context = chromium.new_context()
        log_in(desk, context.new_page(), "trader")
        cookies = context.cookies()
        chromium.close()
    return cookies


if __name__ == "__main__":
    sys.exit(main())
