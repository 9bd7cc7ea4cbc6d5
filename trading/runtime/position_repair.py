"""What is done about each difference in positions. Inside the books' transaction."""

import structlog
from django.db import transaction

from avigrid.kernel.errors import Rejected
from avigrid.kernel.portfolio import VenuePosition
from risk.core.states import State, StateSource
from risk.selectors.limits import limits_of
from risk.services.states import tighten
from trading.engine.differences import Difference, Kind
from trading.models import OPEN_PLAN_STATUSES, Plan, ReconciliationRun
from trading.runtime.context import Context
from trading.runtime.hearing import Hearing
from trading.services.adoption import old_position_book, position_adopt
from trading.services.findings import finding_note

log = structlog.get_logger(__name__)
_ACTIONS = {
    Kind.POSITION_MISMATCH: "symbol halted",
    Kind.POSITION_FOREIGN: "no new risk on this symbol",
    Kind.STOP_MISSING: "stop being placed",
    Kind.EXITS_EXCEED: "surplus exits being cancelled",
}


def position_repair(
    context: Context, hearing: Hearing, run: ReconciliationRun, difference: Difference, held: VenuePosition | None
) -> None:
    now = context.now()
    if difference.kind is Kind.POSITION_OLD:
        assert held is not None
        try:
            with transaction.atomic():
                plan = _adopt(context, held)
        except Rejected as error:  # somebody placed a plan there meanwhile: the next run judges anew
            log.warning("position_not_adopted", symbol=held.symbol, code=error.code)
            return
        finding_note(
            run=run,
            difference=difference,
            now=now,
            action="adopted",
            proof=f"plan {plan.pk} with provenance adopted",
            repaired=True,
        )
        return
    is_new = finding_note(run=run, difference=difference, now=now, action=_ACTIONS[difference.kind]) is not None
    if difference.kind in (Kind.POSITION_MISMATCH, Kind.POSITION_FOREIGN) and is_new:
        _halt(context, difference)
    if difference.kind is Kind.EXITS_EXCEED:
        plans = Plan.objects.filter(
            account_id=context.account_id, symbol=difference.symbol, status__in=OPEN_PLAN_STATUSES
        )
        hearing.step(set(plans.values_list("pk", flat=True)))


def _halt(context: Context, difference: Difference) -> None:
    """A foreign position keeps new risk out by its finding alone; the account is halted for it only by policy."""
    is_policy = limits_of(context.account_id).halt_on_critical
    if difference.kind is Kind.POSITION_FOREIGN and not is_policy:
        return
    tighten(
        account_id=context.account_id,
        symbol=None if is_policy else difference.symbol,
        to=State.HALTED,
        source=StateSource.RECONCILIATION,
        reason=difference.sentence,
        actor="reconciliation",
        now=context.now(),
    )


def _adopt(context: Context, held: VenuePosition) -> Plan:
    old_position_book(account_id=context.account_id, held=held, now=context.now())
    return position_adopt(
        account_id=context.account_id,
        held=held,
        exchange_ms=context.exchange_ms(),
        now=context.now(),
        actor="reconciliation",
        reason="older than the venue's history",
    )
