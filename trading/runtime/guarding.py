"""One plan, row or frame that cannot be booked costs nobody else their bookings, their stops or their way out."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection, transaction

from avigrid.common.leases import LeaseLost
from trading.models import Plan
from trading.runtime.context import Context
from trading.services.alerts import alert_raise

log = structlog.get_logger(__name__)

DATABASE_LOST = (OperationalError, InterfaceError)
"""The connection, a lock or a time limit: the round ends, and the next begins anew. Any other error of the database is
about one row."""


@contextmanager
def plan_guarded(context: Context, plan: Plan) -> Iterator[None]:
    """Within the books: what the plan's step wrote is undone where it fails, told once, and the others go on."""
    try:
        with transaction.atomic():
            yield
    except (*DATABASE_LOST, LeaseLost):
        raise
    except Exception as error:
        plan_failure_tell(plan, error, now=context.now())


@contextmanager
def plan_skipped(context: Context, plan: Plan) -> Iterator[None]:
    """The same for what is no step: asking the venue, or reading the plan. Nothing is undone."""
    try:
        yield
    except (*DATABASE_LOST, LeaseLost):
        raise
    except Exception as error:
        if isinstance(error, DatabaseError) and connection.in_atomic_block:
            raise  # the transaction around this is spoilt
        plan_failure_tell(plan, error, now=context.now())


def plan_failure_tell(plan: Plan, error: Exception, *, now: datetime) -> None:
    """Once per plan and kind of error."""
    name = type(error).__name__
    told = alert_raise(
        kind="plan_step_failed",
        severity="critical",
        dedupe_key=f"plan{plan.pk}:{name}",
        sentence=f"{plan.symbol}: the plan cannot take its next step ({name}); it needs a person.",
        now=now,
        plan_id=plan.pk,
    )
    if told is not None:
        log.error("plan_step_failed", plan=plan.pk, exc_info=error)
