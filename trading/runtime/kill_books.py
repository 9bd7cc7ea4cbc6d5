"""What the kill switch writes: the state first, then every plan's wish, each without waiting long for anybody.

A process that hangs in a transaction holds the account's lock; what could not be written for that is tried again with
the next call, and what is to happen at the venue does not wait for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

import structlog
from django.db import Error as DatabaseError
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import LockNotAvailable, QueryCanceled

from avigrid.kernel.errors import Retryable
from risk.core.states import StateSource
from risk.services.states import flatten_finish, halt
from trading.models import OPEN_PLAN_STATUSES, Plan
from trading.runtime.guarding import plan_failure_tell
from trading.services.auto_mode import auto_modes_halted
from trading.services.plan_commands import plan_cancel_entries, plan_kill

log = structlog.get_logger(__name__)
_STATE_PATIENCE_MS = 4_000
"""Longer than a tightening itself waits for a placement in flight."""
_PLAN_PATIENCE_MS = 1_000


class Switch(Enum):
    """How far the switch goes: entries away, or everything closed."""

    HALT = "halt"
    FLATTEN = "flatten"


class BooksBusy(Retryable):
    """Somebody holds what has to be written, and did not let go in time."""

    code = "books_busy"


@contextmanager
def bounded(wait_ms: int) -> Iterator[None]:
    """A transaction whose statements wait for nobody longer than this. Raises BooksBusy."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{wait_ms}ms"])
            yield
            cursor.execute("SELECT set_config('statement_timeout', '0', true)")
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled | LockNotAvailable):
            raise BooksBusy("Another process holds the books of this account.", wait_ms=wait_ms) from error
        raise


@dataclass(slots=True)
class KillBooks:
    """`symbol` None is the whole account."""

    account_id: int
    symbol: str | None
    switch: Switch
    reason: str
    actor: str
    source: StateSource
    is_halted: bool = False
    """The state is committed."""
    waiting: str = ""
    """Why something is unwritten still; "" where nothing is."""
    failed: dict[int, str] = field(default_factory=dict)
    """Plans that cannot be stepped, and why: somebody was told."""
    _told: set[int] = field(default_factory=set)

    def write(self) -> None:
        """Whatever is not written yet. Raises database errors, and Rejected for an account that does not exist."""
        self.waiting = ""
        try:
            if not self.is_halted:
                with bounded(_STATE_PATIENCE_MS):
                    self._state()
                self.is_halted = True
            with bounded(_PLAN_PATIENCE_MS):
                auto_modes_halted(account_id=self.account_id, now=timezone.now())
            for plan in self._plans():
                self._tell(plan)
        except BooksBusy as error:
            self.waiting = error.message
            log.warning("books_busy", account=self.account_id, is_halted=self.is_halted)

    def finish(self) -> None:
        """The venue says flat."""
        with bounded(_STATE_PATIENCE_MS):
            flatten_finish(account_id=self.account_id, symbol=self.symbol, actor=self.actor)

    @property
    def unwritten(self) -> tuple[str, ...]:
        """For people: what the books do not say, though it was asked."""
        missing = [f"plan {plan_id} could not be told: {why}" for plan_id, why in self.failed.items()]
        if self.waiting:
            late = f"the plans do not know yet: {self.waiting}"
            missing.append(late if self.is_halted else f"the trading state is not written yet: {self.waiting}")
        return tuple(missing)

    def _state(self) -> None:
        halt(
            account_id=self.account_id,
            symbol=self.symbol,
            source=self.source,
            reason=self.reason,
            actor=self.actor,
            flatten=self.switch is Switch.FLATTEN,
        )

    def _plans(self) -> list[Plan]:
        plans = Plan.objects.filter(account_id=self.account_id, status__in=OPEN_PLAN_STATUSES)
        if self.symbol is not None:
            plans = plans.filter(symbol=self.symbol)
        return list(plans.exclude(pk__in=self._told).order_by("pk"))

    def _tell(self, plan: Plan) -> None:
        try:
            with bounded(_PLAN_PATIENCE_MS):
                if self.switch is Switch.FLATTEN:
                    plan_kill(plan_id=plan.pk, actor=self.actor, reason=self.reason)
                else:
                    plan_cancel_entries(plan_id=plan.pk, user=self.actor, reason=self.reason)
        except (DatabaseError, BooksBusy):
            raise
        except Exception as error:  # whatever is wrong with one plan, the others are told
            self._failed(plan, error)
        self._told.add(plan.pk)

    def _failed(self, plan: Plan, error: Exception) -> None:
        code = str(getattr(error, "code", type(error).__name__))
        if code == "plan_over":
            return  # it ended by itself meanwhile
        self.failed[plan.pk] = code
        with bounded(_PLAN_PATIENCE_MS):
            plan_failure_tell(plan, error, now=timezone.now())
