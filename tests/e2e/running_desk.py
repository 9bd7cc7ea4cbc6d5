"""A real desk, started as its user starts it, and the log-in of a person through a real browser."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
from django_otp.oath import totp

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ARTEFACTS = ROOT / ".var" / "artefacts"
OWN_ATTEMPTS = 3
"""So many signals of the strategy are tried before one is put on offer."""


@dataclass(frozen=True)
class RunningDesk:
    url: str
    simulator_url: str
    pid: int
    people: dict[str, dict[str, str]]
    environment: dict[str, str]

    def code(self, role: str) -> str:
        """What the person's device shows now."""
        secret = parse_qs(urlsplit(self.people[role]["otpauth_uri"]).query)["secret"][0]
        return f"{totp(base64.b32decode(secret + '=' * (-len(secret) % 8))):06d}"

    def kill(self, word: str) -> None:
        """SIGKILL the process of this desk whose command line holds `word`; the supervisor starts it again."""
        for child in psutil.Process(self.pid).children(recursive=True):
            if any(word in part for part in child.cmdline()):
                child.kill()
                return
        raise AssertionError(f"no process of the desk has {word!r} in its command line")

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.environment, "DJANGO_SETTINGS_MODULE": "avigrid.settings.dev"},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def shell(self, script: str) -> str:
        """Run in the desk's own environment; what it printed last."""
        answer = self.manage("shell", "-v", "0", "-c", script)
        assert answer.returncode == 0, answer.stderr
        return (answer.stdout.splitlines() or [""])[-1]

    def arm(self) -> None:
        """Whatever an earlier story halted trades again; the story of re-arming is told elsewhere."""
        self.shell(
            "from accounts.selectors.people import user_by_email; from accounts.selectors.trading_accounts import *; "
            "from risk.core.states import State; from risk.services.states import rearm; "
            "rearm(account_id=primary_account().pk, symbol=None, to=State.ACTIVE, reason='next story', "
            f"actor=user_by_email({self.people['admin']['email']!r}), otp_used=True)"
        )

    def offer(self, *, frees_in_s: float = 0) -> tuple[int, str]:
        """Put a signal on offer; its number and symbol."""
        script = f"import json; from tests.e2e.offer import offer; print(json.dumps(offer(frees_in_s={frees_in_s})))"
        found = json.loads(self.shell(script))
        return found["id"], found["symbol"]

    def quieten(self, is_quiet: bool = True) -> None:
        """The strategy makes no signals of its own from the next bar on, so that what is on offer stays on offer."""
        self.shell(f"from tests.e2e.offer import quieten; quieten({is_quiet})")

    def alarm(self, sentence: str) -> None:
        """Tell people something critical."""
        self.shell(
            "from django.utils import timezone; from trading.services.alerts import alert_raise; "
            f"alert_raise(kind='test', severity='critical', dedupe_key={sentence!r}, sentence={sentence!r}, "
            "now=timezone.now())"
        )


def eventually(condition: Callable[[], Any], timeout_s: float = 20.0, what: str = "condition") -> Any:
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not hold within {timeout_s} s"
        time.sleep(0.1)


@contextmanager
def running_desk(name: str, log: Path, *options: str) -> Iterator[RunningDesk]:
    """`manage.py demo` with its own folder and database; it must end cleanly on Ctrl-C."""
    card = ROOT / ".var" / name / "desk.json"
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "AVIGRID_TEST_RUN")
    }
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "demo", "--name", name, "--port", "0", *options],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        eventually(lambda: card.exists() or process.poll() is not None, 180, "the demo's start")
        assert process.poll() is None, log.read_text()
        content = json.loads(card.read_text())
        yield RunningDesk(
            content["url"],
            content["simulator_url"],
            content["pid"],
            {person["role"]: person for person in content["people"]},
            content["environment"],
        )
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, log.read_text()
        shutil.rmtree(ROOT / ".var" / name, ignore_errors=True)


def log_in(desk: RunningDesk, page: Any, role: str) -> None:
    """Password, then the device's code; a code is good once, so whoever comes second within its 30 s waits."""
    person = desk.people[role]
    page.goto(desk.url)
    page.fill("input[name=email]", person["email"])
    page.fill("input[type=password]", person["password"])
    with page.expect_navigation():
        page.click("main form button")
    for _ in range(4):
        if "/accounts/code" not in page.url:
            break
        page.fill("input[autocomplete=one-time-code]", desk.code(role))
        with page.expect_navigation():
            page.click("main form button")
        if "/accounts/code" in page.url:
            next_code(page)
    assert page.locator("#fragment-topbar").count() == 1, f"{page.url}: {page.locator('body').inner_text()[:500]}"


def next_code(page: Any) -> None:
    """Until the device shows another code: wrong ones in a row would lock the person out."""
    page.wait_for_timeout((30.5 - time.time() % 30) * 1000)


def place_one(desk: RunningDesk, page: Any, *, attempts: int = 10, wait_ms: int = 180_000) -> str:
    """Place the first signal that is still good at the click, as an operator would; returns its symbol.

    The market moves on while one reads: a card whose price has run away is left and the next one tried, at last one
    that is offered at this moment.
    """
    refusals: dict[str, str] = {}
    for attempt in range(attempts):
        own = f"#signal-{desk.offer()[0]}" if attempt >= OWN_ATTEMPTS else ""
        tried = "".join(f":not(#{card_id})" for card_id in refusals)
        card = page.locator(f"{own}[data-placeable]{tried}").first
        card.wait_for(timeout=wait_ms)
        card_id, symbol = str(card.get_attribute("id")), str(card.locator(".symbol").inner_text())
        page.locator(f"#{card_id} [data-primary]").click()
        dialog = page.locator("dialog[open]")
        dialog.wait_for(timeout=30_000)
        button = dialog.locator("button.primary")
        if not button.is_enabled():
            refusals[card_id] = dialog.inner_text()
            page.keyboard.press("Escape")
            dialog.wait_for(state="detached")
            continue
        button.click()
        answer = page.locator("#toasts > .toast").last
        answer.wait_for(timeout=60_000)
        if "placed as plan" in answer.inner_text():
            return symbol
        refusals[card_id] = answer.inner_text()
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached")
        answer.click()
    raise AssertionError(f"nothing could be placed: {refusals}")
