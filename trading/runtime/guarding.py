"""One plan that cannot be stepped costs nobody else their bookings, their stops or their way out."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import Error as DatabaseError
from django.db import transaction

from avigrid.common.leases import LeaseLost
from trading.models import Plan
from trading.runtime.context import Context
from trading.services.alerts import alert_raise

log = structlog.get_logger(__name__)


@contextmanager
def plan_guarded(context: Context, plan: Plan) -> Iterator[None]:
    """Within the books: what the plan's step wrote is undone where it fails, told once, and the others go on."""
    try:
        with transaction.atomic():
            yield
    except (DatabaseError, LeaseLost):
        raise
    except Exception as error:
        name = type(error).__name__
        told = alert_raise(
            kind="plan_step_failed",
            severity="critical",
            dedupe_key=f"plan{plan.pk}:{name}",
            sentence=f"{plan.symbol}: the plan cannot take its next step ({name}); it needs a person.",
            now=context.now(),
            plan_id=plan.pk,
        )
        if told is not None:
            log.exception("plan_step_failed", plan=plan.pk)
