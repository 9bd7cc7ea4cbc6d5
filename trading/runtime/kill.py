"""The kill switch by hand: needs the database and the venue, nothing else of ours.

The state is committed first, so that a running execution process stops by itself; then the venue is asked, because
that process may be the reason for pulling the switch.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.utils import timezone

from avigrid.common import heartbeats
from avigrid.kernel.errors import AviGridError, Rejected
from risk.core.states import StateSource
from risk.services.states import flatten_finish, halt
from trading.models import OPEN_PLAN_STATUSES, Plan
from trading.runtime.flatten import ESCALATE_AFTER, Flattener
from trading.runtime.venue import VenueAccess, open_venue
from trading.selectors.exchange_time import EXECUTION_STALE_S, process_name
from trading.services.alerts import alert_raise
from trading.services.auto_mode import auto_modes_halted
from trading.services.plan_commands import plan_cancel_entries, plan_kill

log = structlog.get_logger(__name__)
_EXECUTION_PATIENCE_S = 8.0
_CLOSE_EVERY_S = 3.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """`done`: the venue itself says so (no entries resting; flat where that was asked)."""

    done: bool
    entries_cancelled: int
    still_held: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def halt_now(
    *,
    account_id: int,
    symbol: str | None,
    reason: str,
    actor: str,
    source: StateSource,
    venue: VenueAccess | None = None,
) -> Outcome:
    """HALTED, and our resting entries gone from the venue; exits and stops stay."""
    _state(account_id, symbol, reason, actor, source, flatten=False)
    _plans(account_id, symbol, lambda plan_id: plan_cancel_entries(plan_id=plan_id, user=actor, reason=reason))
    try:
        gateway = (venue or open_venue(account_id, process=actor)).gateway
        flattener = Flattener(gateway, symbol, only_ours=True)
        cancelled = flattener.cancel_entries()
        left = flattener.entries()
    except AviGridError as error:
        return Outcome(False, 0, errors=(f"{error.code}: {error.message}",))
    return Outcome(not left, cancelled, errors=tuple(flattener.errors))


def flatten_now(
    *,
    account_id: int,
    symbol: str | None,
    reason: str,
    actor: str,
    timeout_s: float = 120.0,
    say: Callable[[str], None] = lambda text: None,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    venue: VenueAccess | None = None,
) -> Outcome:
    """HALTED, everything closed, verified at the venue. An execution process that is alive gets the first seconds."""
    _state(account_id, symbol, reason, actor, StateSource.COMMAND, flatten=True)
    _plans(account_id, symbol, lambda plan_id: plan_kill(plan_id=plan_id, actor=actor, reason=reason))
    gateway = (venue or open_venue(account_id, process=actor)).gateway
    flattener = Flattener(gateway, symbol)
    started_s = monotonic()
    closed_s = float("-inf")
    cancelled, escalated = 0, False
    while True:
        elapsed_s = monotonic() - started_s
        held: tuple[str, ...] | None = None
        try:
            cancelled += flattener.cancel_entries()
            rows = flattener.held()
            held = tuple(row.symbol for row in rows)
            if not rows and not flattener.entries():
                flatten_finish(account_id=account_id, symbol=symbol, actor=actor)
                return Outcome(True, cancelled, errors=tuple(flattener.errors))
            ours_to_do = elapsed_s > _EXECUTION_PATIENCE_S or not _is_execution_alive(account_id)
            if rows and ours_to_do and monotonic() - closed_s > _CLOSE_EVERY_S:
                closed_s = monotonic()
                say(f"closing {', '.join(sorted(held))}")
                flattener.close(rows, now=timezone.now())
        except AviGridError as error:
            flattener.errors.append(error.code)
            say(f"no answer ({error.code}), trying again")
        if not escalated and elapsed_s > ESCALATE_AFTER.total_seconds():
            escalated = True
            _escalate(account_id, held)
            say("not flat after 30 s: operators are being told")
        if elapsed_s > timeout_s:
            return Outcome(False, cancelled, held or (), tuple(flattener.errors))
        sleep(0.3)


def _state(account_id: int, symbol: str | None, reason: str, actor: str, source: StateSource, *, flatten: bool) -> None:
    halt(account_id=account_id, symbol=symbol, source=source, reason=reason, actor=actor, flatten=flatten)
    auto_modes_halted(account_id=account_id, now=timezone.now())


def _plans(account_id: int, symbol: str | None, act: Callable[[int], object]) -> None:
    plans = Plan.objects.filter(account_id=account_id, status__in=OPEN_PLAN_STATUSES)
    if symbol is not None:
        plans = plans.filter(symbol=symbol)
    for plan_id in plans.values_list("pk", flat=True):
        try:
            act(plan_id)
        except Rejected as error:
            log.info("plan_left", plan=plan_id, code=error.code)


def _is_execution_alive(account_id: int) -> bool:
    age_s = heartbeats.age_s(process_name(account_id))
    return age_s is not None and age_s < EXECUTION_STALE_S


def _escalate(account_id: int, held: tuple[str, ...] | None) -> None:
    now = timezone.now()
    what = "the venue does not answer" if held is None else ", ".join(sorted(held)) or "orders still rest"
    alert_raise(
        kind="flatten_stuck",
        severity="critical",
        dedupe_key=f"{account_id}:{now:%Y%m%d%H%M}",
        sentence=f"Not flat after {ESCALATE_AFTER.seconds} s: {what}.",
        now=now,
    )
