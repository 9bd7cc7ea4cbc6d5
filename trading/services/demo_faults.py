"""What the Break it panel can do to a demo, and nowhere else: kill our own execution process, or switch a fault of the
simulated exchange on. Every one is written to the audit trail."""

import json
import os
import signal
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.services.audit import audit
from avigrid.common import heartbeats, push
from avigrid.kernel.errors import OperatorNeeded, Rejected
from trading.selectors.demo_faults import KEEP_S, KEY, NOTES, TITLES, FaultNote, struck_counts
from trading.selectors.exchange_time import exchange_time, process_name
from trading.services.locking import wake_execution

if TYPE_CHECKING:
    from accounts.models import User

type Json = str | int | float | bool | dict[str, Json]
_TIMEOUT_S = 3.0
_TIMES = ("refuse_s", "reset_ms", "skew_ms")
"""Parameters that are times of the exchange."""


@dataclass(frozen=True, slots=True)
class BreakAction:
    """`fault` is what the simulated exchange is told, its times in our seconds; None: done by us."""

    name: str
    title: Promise
    about: Promise
    fault: dict[str, Json] | None


ACTIONS = {
    action.name: action
    for action in (
        BreakAction(
            "kill_execution",
            TITLES["kill_execution"],
            _("SIGKILL, in the middle of whatever it does. It is started again and must find out what happened."),
            None,
        ),
        BreakAction(
            "drop_stream",
            TITLES["drop_stream"],
            _("Orders and fills are not told for some seconds; the gap must be closed by asking."),
            {"name": "disconnect", "params": {"code": 1006, "refuse_s": 4}, "match": {"kind": "private"}},
        ),
        BreakAction(
            "lost_ack",
            TITLES["lost_ack"],
            _("The next order is executed but never answered. Place a signal and watch it being proven."),
            {"name": "lost_ack", "params": {"mode": "close"}, "count": 1, "match": {"path": "/v5/order/create"}},
        ),
        BreakAction(
            "duplicate_fill",
            TITLES["duplicate_fill"],
            _("Executions arrive again; they must count once. Place or close something."),
            {"name": "duplicate_message", "params": {"copies": 2}, "count": 5, "match": {"topic": "execution*"}},
        ),
        BreakAction(
            "rate_limit",
            TITLES["rate_limit"],
            _("For eight seconds calls are refused as too many, twenty at most; pace is lost, nothing else."),
            {"name": "rate_limit", "params": {"reset_ms": 1000}, "count": 20, "for_s": 8},
        ),
        BreakAction(
            "clock_skew",
            TITLES["clock_skew"],
            _("Three seconds off for a while: requests look old, deadlines must not slip."),
            {"name": "clock_skew", "params": {"skew_ms": 3000}, "for_s": 40},
        ),
        BreakAction(
            "clear",
            TITLES["clear"],
            _("What is still on at the exchange ends now."),
            {},
        ),
    )
}


def demo_fault_start(*, name: str, account_id: int, user: "User") -> BreakAction:
    """Raises Rejected (`demo_only`, `unknown_fault`, `not_running`) or OperatorNeeded (`simulator_away`)."""
    if not settings.AVIGRID["DEMO"]:
        raise Rejected("Faults exist in the demo only.", code="demo_only")
    action = ACTIONS.get(name)
    if action is None:
        raise Rejected(f"No fault is called {name[:40]!r}.", code="unknown_fault")
    audit(actor=user, action="demo.fault", obj=f"demo_fault:{name}", after={"account": account_id})
    kind = str((action.fault or {}).get("name", ""))
    note = FaultNote(name, timezone.now(), kind, struck_counts().get(kind, 0) if kind else 0)
    if action.fault is None:
        _kill(process_name(account_id))
    elif action.name == "clear":
        _simulator("DELETE", None)
    else:
        _simulator("POST", _in_exchange_time(action.fault, account_id))
    if action.name == "rate_limit":
        wake_execution(account_id, "reconcile")  # a calm desk asks little: without calls nothing can be refused
    if action.name != "clear":
        _note(note)
    push.event("demo_fault", {"name": name})
    return action


def _in_exchange_time(fault: dict[str, Json], account_id: int) -> dict[str, Json]:
    """A fast market's clock and faults run fast too: three of its seconds would be nothing."""
    clock = exchange_time(account_id)
    rate = max(1.0, clock.rate_ratio) if clock else 1.0
    scaled = dict(fault)
    if isinstance(for_s := fault.get("for_s"), int):
        scaled["for_s"] = for_s * rate
    params = fault.get("params")
    if isinstance(params, dict):
        times = {name: value * rate for name, value in params.items() if name in _TIMES and isinstance(value, int)}
        scaled["params"] = {**params, **times}
    return scaled


def _kill(process: str) -> None:
    life = next((row for row in heartbeats.lives() if row.process == process), None)
    if life is None or life.host != socket.gethostname() or life.age_s > 15 or life.pid in (0, 1, os.getpid()):
        raise Rejected("The execution process does not run here just now.", code="not_running")
    try:
        os.kill(life.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError) as error:
        raise Rejected("The execution process is gone already.", code="not_running") from error


def _simulator(method: str, body: dict[str, Json] | None) -> None:
    url = f"{settings.AVIGRID['SIMULATOR_URL']}/sim/faults"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - our own exchange on loopback
            answer.read()
    except (urllib.error.URLError, OSError) as error:
        detail = error.read().decode()[:200] if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        raise OperatorNeeded(f"The simulated exchange did not take it: {detail}", code="simulator_away") from error


def _note(note: FaultNote) -> None:
    known: list[FaultNote] = cache.get(KEY) or []
    cache.set(KEY, [note, *known][:NOTES], KEEP_S)
