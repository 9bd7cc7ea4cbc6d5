"""One pass through the main job on real processes, as an operator would do it, with the figures of every step."""

import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import close_old_connections
from django.db.models import Count, Sum

from accounts.selectors.people import user_by_email
from avigrid.kernel.money import ZERO, plain
from marketdata.selectors.bars import bar_count
from trading.avi5.actions import CloseReason
from trading.avi5.config import StrategyConfig
from trading.models import (
    OPEN_PLAN_STATUSES,
    Decision,
    Fill,
    Order,
    Plan,
    PlanStatus,
    ReconciliationFinding,
    ReconciliationRun,
    Signal,
    SignalStatus,
)
from trading.runtime.launch import Desk, DeskOptions
from trading.runtime.venue_truth import Comparison, compare, venue_state
from trading.services.demo_data import DemoData, demo_data_create
from trading.services.placing import signal_place
from trading.services.plan_commands import plan_close

FILL_TIMEOUT_S = 20.0
CLOSE_TIMEOUT_S = 40.0
SETTLE_TIMEOUT_S = 20.0
_UNPROTECTED = re.compile(r"^avigrid_unprotected_qty\{.*\} ([0-9.e+-]+)$", re.M)


@dataclass
class SmokeRun:
    options: DeskOptions
    minutes: float
    plans_wanted: int = 1
    say: Callable[[str], None] = lambda text: None
    seconds: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    unprotected_qty_max: float = 0.0
    not_filled: int = 0
    _desk: Desk = field(init=False)
    _data: DemoData = field(init=False)
    _sampled_s: float = 0.0

    def run(self) -> dict[str, Any]:
        """The report; its `failures` are sentences, empty when everything held. Raises LaunchError."""
        self._desk = desk = Desk(self.options, say=self.say)
        try:
            with self._step("start"):
                self._start(desk)
            comparison = self._main_job()
            return self._report(comparison)
        finally:
            desk.stop()

    # --- steps -------------------------------------------------------------------------------------------------------
    def _start(self, desk: Desk) -> None:
        desk.start_servers()
        desk.start_exchange()
        self._data = demo_data_create(
            base_url=desk.simulator_url,
            api_key=desk.api_key,
            api_secret=desk.api_secret,
            hedge_mode=desk.options.hedge_mode,
            symbols=desk.options.symbols,
            config=StrategyConfig(),
        )
        desk.start_processes(account_id=self._data.account_id, symbols=self._data.symbols)
        desk.wait_ready()

    def _main_job(self) -> Comparison:
        deadline = time.monotonic() + self.minutes * 60 / max(self.options.speed, 0.1)
        for number in range(1, self.plans_wanted + 1):
            plan_id = self._fill_one(deadline, number)
            if plan_id is None:
                break
            self._follow(plan_id, deadline, last=number == self.plans_wanted, number=number)
        return self._settle()

    def _fill_one(self, deadline: float, number: int) -> int | None:
        """Placed and filled. A first order that the market ran away from is the strategy's own answer: the next one."""
        while (plan_id := self._place_one(deadline, number)) is not None:
            with self._step(f"fill_{number}"):
                self._until(lambda plan_id=plan_id: self._plan(plan_id).status != PlanStatus.PLACING, FILL_TIMEOUT_S)  # type: ignore[misc]
            if Fill.objects.filter(plan=plan_id).exists():
                return plan_id
            reason = self._plan(plan_id).close_reason
            missed = f"plan {plan_id} was not filled: {reason or 'nothing happened'}"
            self.say(missed)
            self.not_filled += 1
            if reason != CloseReason.UNDERFILL.value:
                self.failures.append(missed)
                return None
        return None

    def _place_one(self, deadline: float, number: int) -> int | None:
        """Wait for a signal and place it; one that is refused is left, with its reason, for the next."""
        tried: set[int] = set()
        trader = user_by_email(next(p.email for p in self._data.people if p.role.value == "trader"))
        started = time.monotonic()
        refusals = []
        while time.monotonic() < deadline:
            self._tend()
            fresh = Signal.objects.filter(status=SignalStatus.NEW).exclude(pk__in=tried).order_by("-pk").first()
            if fresh is None:
                time.sleep(0.1)
                continue
            self.seconds.setdefault("first_signal", round(time.monotonic() - started, 3))
            tried.add(fresh.pk)
            with self._step(f"place_{number}"):
                placement = signal_place(signal_id=fresh.pk, account_id=self._data.account_id, user=trader)
            if placement.placed:
                self.say(f"placed {fresh.symbol} as plan {placement.plan_id}")
                return placement.plan_id
            refusals.append(f"{fresh.symbol}: {placement.sentence}")
        if not tried:
            self.failures.append(f"no signal within {self.minutes:g} market minutes")
        else:
            self.failures.append("no signal could be placed: " + "; ".join(refusals[-3:]))
        return None

    def _follow(self, plan_id: int, deadline: float, *, last: bool, number: int) -> None:
        with self._step(f"protection_{number}"):
            protected = self._until(lambda: self._plan(plan_id).stop_confirmed is not None, FILL_TIMEOUT_S)
        if not protected:
            self.failures.append(f"plan {plan_id} had no confirmed stop")
        if not last:
            return
        with self._step("hold"):
            self._until(lambda: not self._open_plans(), deadline - time.monotonic())
        with self._step("close"):
            for open_id in self._open_plans():
                plan_close(plan_id=open_id, user="smoke", reason="time limit of the smoke run")
            if not self._until(lambda: not self._open_plans(), CLOSE_TIMEOUT_S):
                self.failures.append(f"plans {self._open_plans()} did not close")

    def _settle(self) -> Comparison:
        """Wait for a reconciliation that began after the last event, then compare; late frames get a moment."""
        with self._step("reconcile"):
            newest = ReconciliationRun.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
            scopes = ("full", "positions", "orders")
            done = ReconciliationRun.objects.filter(pk__gt=newest, finished_at__isnull=False, scope__in=scopes)
            if not self._until(lambda: done.exists(), SETTLE_TIMEOUT_S + 30):
                self.failures.append("no reconciliation finished after the run")
        with self._step("compare"):
            result: list[Comparison] = []

            def equal() -> bool:
                result[:] = [compare(self._data.account_id, venue_state(self._desk.simulator_url))]
                return result[0].is_equal

            self._until(equal, SETTLE_TIMEOUT_S, pause_s=0.5)
        return result[0]

    # --- report ------------------------------------------------------------------------------------------------------
    def _report(self, comparison: Comparison) -> dict[str, Any]:
        plans = Plan.objects.all()
        sums = plans.aggregate(pnl=Sum("realised_pnl_usd"), fees=Sum("fees_usd"), funding=Sum("funding_usd"))
        findings = ReconciliationFinding.objects.values("severity").annotate(n=Count("id"))
        found = {row["severity"]: row["n"] for row in findings}
        report: dict[str, Any] = {
            "source": self.options.source,
            "speed": self.options.speed,
            "symbols": len(self._data.symbols),
            "bars": bar_count(),
            "decisions": Decision.objects.count(),
            "signals": Signal.objects.count(),
            "plans": plans.count(),
            "plans_not_filled": self.not_filled,
            "orders": Order.objects.count(),
            "fills": Fill.objects.count(),
            "realised_pnl": plain(sums["pnl"] or ZERO),
            "fees": plain(sums["fees"] or ZERO),
            "funding": plain(sums["funding"] or ZERO),
            "unprotected_qty_max": self.unprotected_qty_max,
            "reconciliation": {name: found.get(name, 0) for name in ("info", "warning", "critical")},
            "restarts": {c.name: c.restarts for c in self._desk.supervisor.children.values() if c.restarts},
            "seconds": self.seconds,
            "compared": comparison.counts,
            "venue_equals_books": comparison.is_equal,
            "differences": [f"{d.subject}: venue {d.venue!r}, books {d.books!r}" for d in comparison.differences],
        }
        for step in ("bars", "decisions", "signals", "plans", "orders", "fills"):
            if not report[step]:
                self.failures.append(f"no {step}")
        if not comparison.is_equal:
            self.failures.append("venue and books differ")
        if found.get("critical"):
            self.failures.append("reconciliation found something critical")
        report["failures"] = self.failures
        return report

    # --- helpers -----------------------------------------------------------------------------------------------------
    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        self.say(f"{name} …")
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - started, 3)

    def _until(self, condition: Callable[[], bool], timeout_s: float, pause_s: float = 0.05) -> bool:
        deadline = time.monotonic() + timeout_s
        while True:
            self._tend()
            if condition():
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause_s)

    def _tend(self) -> None:
        close_old_connections()
        self._desk.supervisor.tend()
        if time.monotonic() - self._sampled_s > 0.5:
            self._sampled_s = time.monotonic()
            self.unprotected_qty_max = max(self.unprotected_qty_max, self._unprotected())

    def _unprotected(self) -> float:
        """What the execution process itself says is held without a confirmed stop."""
        url = f"http://127.0.0.1:{self._desk.metrics_ports['execution']}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback
                return sum(float(value) for value in _UNPROTECTED.findall(answer.read().decode()))
        except OSError:
            return 0.0

    def _plan(self, plan_id: int) -> Plan:
        return Plan.objects.get(pk=plan_id)

    def _open_plans(self) -> list[int]:
        return list(Plan.objects.filter(status__in=OPEN_PLAN_STATUSES).values_list("pk", flat=True))
