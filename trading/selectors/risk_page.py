"""Everything the Risk page shows: limits and their use, states, locks, the history of the kill switch."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.utils import timezone

from marketdata.selectors import instruments
from marketdata.selectors.times import to_datetime, to_ms
from risk.core.limits import RiskLimits
from risk.core.snapshot import Snapshot
from risk.core.states import Stage, State
from risk.core.usage import Usage
from risk.selectors.guards import effective_state, states_of
from risk.selectors.history import state_changes
from risk.selectors.limits import current_limits
from risk.selectors.locks import LockView, locks_of
from risk.selectors.usage import usage_of
from trading.selectors.desk import on_wall
from trading.selectors.exchange_time import exchange_time
from trading.selectors.open_plans import open_plans
from trading.selectors.risk_view import marks_of, snapshot_of
from trading.selectors.strategy import active_version

if TYPE_CHECKING:
    from risk.models import TradingState, TradingStateChange

HISTORY = 30


@dataclass(frozen=True, slots=True)
class UsageRow:
    usage: Usage
    level: str
    """good, warn (from 80 % on) or alarm (reached)."""


@dataclass(frozen=True, slots=True)
class LockRow:
    """`until_wall` is on this machine's clock, for the countdown; the lock's own times are the exchange's."""

    lock: LockView
    until_wall: datetime


@dataclass(frozen=True, slots=True)
class LimitRow:
    name: str
    value: Decimal | int | bool


@dataclass(frozen=True, slots=True)
class LimitsInForce:
    limits: Sequence[LimitRow]
    limits_version: int


@dataclass(frozen=True, slots=True)
class RiskPage:
    state: State
    states: Sequence["TradingState"]
    usage: Sequence[UsageRow]
    unavailable: Sequence[str]
    """What could not be seen; while it is missing nothing new is opened."""
    locks: Sequence[LockRow]
    limits: Sequence[LimitRow]
    limits_version: int
    changes: Sequence["TradingStateChange"]


def risk_page(account_id: int) -> RiskPage:
    clock = exchange_time(account_id)
    now_ms = clock.now_ms if clock else to_ms(timezone.now())
    snapshot = _snapshot(account_id, now_ms)
    in_force = limits_in_force(account_id)
    rows = usage_of(account_id, snapshot, now_ms) if snapshot is not None else ()
    return RiskPage(
        state=effective_state(account_id),
        states=[row for row in states_of(account_id) if row.symbol is not None and row.state != State.ACTIVE],
        usage=[UsageRow(row, _level(row.ratio)) for row in rows],
        unavailable=snapshot.unavailable if snapshot is not None else (),
        locks=[LockRow(lock, on_wall(lock.until, clock)) for lock in locks_of(account_id, to_datetime(now_ms))],
        limits=in_force.limits,
        limits_version=in_force.limits_version,
        changes=list(state_changes(account_id)[:HISTORY]),
    )


def limits_in_force(account_id: int) -> LimitsInForce:
    version, limits = current_limits(account_id)
    return LimitsInForce([LimitRow(field.name, getattr(limits, field.name)) for field in fields(RiskLimits)], version)


def _snapshot(account_id: int, now_ms: int) -> Snapshot | None:
    """As a decision would see the account; the symbol only matters for whether prices are known at all."""
    watched = sorted(instruments.whitelist())
    if not watched:
        return None
    held = {plan.symbol for plan in open_plans(account_id)}
    version = active_version()
    stage = Stage(version.stage) if version else Stage.VALIDATION
    marks = marks_of({*held, watched[0]})
    return snapshot_of(account_id, symbol=watched[0], stage=stage, now_ms=now_ms, marks=marks, for_show=True)


def _level(ratio: Decimal) -> str:
    if ratio >= 1:
        return "alarm"
    return "warn" if ratio >= Decimal("0.8") else "good"
