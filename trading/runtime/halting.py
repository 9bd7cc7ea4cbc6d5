"""The trading state carried out: halted means entries go; flatten means everything goes, until the venue says flat."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from avigrid.kernel.errors import AviGridError, Rejected
from avigrid.kernel.orders import OrderRole
from risk.core.states import State
from risk.selectors.guards import effective_state
from risk.services.states import flatten_finish
from trading.avi5.state import EventKind, MarketView, PlanEvent
from trading.models import LIVE_STATUSES, OPEN_PLAN_STATUSES, Plan
from trading.runtime.context import Context
from trading.runtime.faults import fault_point
from trading.runtime.flatten import ESCALATE_AFTER, Flattener
from trading.runtime.guarding import plan_guarded, plan_skipped
from trading.services.alerts import alert_raise
from trading.services.auto_mode import auto_modes_halted
from trading.services.plan_commands import plan_kill
from trading.services.plan_step import order_cancel_request, plan_step

log = structlog.get_logger(__name__)
DIRECT_AFTER = timedelta(seconds=8)
_CLOSE_AGAIN = timedelta(seconds=3)


@dataclass(slots=True)
class Flattening:
    symbol: str | None
    since: datetime
    closed_at: datetime | None = None
    escalated: bool = False


@dataclass(slots=True)
class Halting:
    context: Context
    running: dict[str, Flattening] = field(default_factory=dict)

    def run(self) -> None:
        """Level-triggered: entries of halted plans go, auto modes end, running flattenings continue."""
        auto_modes_halted(account_id=self.context.account_id, now=self.context.now())
        for plan in Plan.objects.filter(
            account_id=self.context.account_id, status__in=OPEN_PLAN_STATUSES, entries_cancelled=False
        ).exclude(status="closing"):
            if effective_state(self.context.account_id, plan.symbol) is State.HALTED:
                self._withdraw_entries(plan.pk)
        for key, flattening in list(self.running.items()):
            if self._advance(flattening):
                del self.running[key]
                flatten_finish(account_id=self.context.account_id, symbol=flattening.symbol, actor="execution")

    def flatten(self, symbol: str | None) -> None:
        """Begin; asking again while it runs changes nothing."""
        key = symbol or "*"
        if key in self.running:
            return
        self.running[key] = Flattening(symbol, self.context.now())
        self._kill_plans(symbol)

    def _kill_plans(self, symbol: str | None) -> None:
        plans = Plan.objects.filter(account_id=self.context.account_id, status__in=OPEN_PLAN_STATUSES)
        if symbol is not None:
            plans = plans.filter(symbol=symbol)
        for plan in plans.exclude(status="closing"):
            with plan_skipped(self.context, plan):
                self._kill(plan)

    def _kill(self, plan: Plan) -> None:
        try:
            plan_kill(plan_id=plan.pk, actor="execution", reason="flatten")
        except Rejected as error:
            log.info("plan_not_killed", plan=plan.pk, code=error.code)

    def _withdraw_entries(self, plan_id: int) -> None:
        with self.context.books():
            plan = Plan.objects.get(pk=plan_id)
            market = MarketView(now_ms=self.context.exchange_ms(), price=None, entries_allowed=False)
            events = [PlanEvent(EventKind.CANCEL_ENTRIES, market.now_ms)]
            with plan_guarded(self.context, plan):
                plan_step(plan=plan, market=market, now=self.context.now(), events=events)
            plan.refresh_from_db(fields=["entries_cancelled"])
            if not plan.entries_cancelled:  # it cannot be stepped: its entries go all the same
                for order in plan.orders.filter(role=OrderRole.ENTRY.value, status__in=LIVE_STATUSES):
                    order_cancel_request(order=order, now=self.context.now())

    def _advance(self, flattening: Flattening) -> bool:
        """True once the venue shows no position and no entry. Plans close themselves; what has none, or takes long, is
        closed directly.

        Entries are asked to go first, so that what one of them still filled shows in the positions.
        """
        flattener = Flattener(self.context.gateway, flattening.symbol)
        now = self.context.now()
        try:
            resting = flattener.cancel_entries() + len(flattener.errors)
            held = flattener.held()
        except AviGridError as error:
            log.warning("flatten_without_answer", code=error.code)
            self._escalate(flattening, now, "the venue does not answer")
            return False
        fault_point("while_flattening")
        if not held and not resting:
            return True
        self._kill_plans(flattening.symbol)
        planned = {
            (plan.symbol, plan.position_idx)
            for plan in Plan.objects.filter(account_id=self.context.account_id, status__in=OPEN_PLAN_STATUSES)
        }
        is_slow = now - flattening.since > DIRECT_AFTER
        direct = [row for row in held if is_slow or (row.symbol, row.position_idx) not in planned]
        if direct and (flattening.closed_at is None or now - flattening.closed_at > _CLOSE_AGAIN):
            flattening.closed_at = now
            flattener.close(direct, now=now)
        names = sorted(row.symbol for row in held) + ([f"{resting} opening orders"] if resting else [])
        self._escalate(flattening, now, ", ".join(names))
        return False

    def _escalate(self, flattening: Flattening, now: datetime, what: str) -> None:
        if flattening.escalated or now - flattening.since <= ESCALATE_AFTER:
            return
        flattening.escalated = True
        with self.context.books():
            alert_raise(
                kind="flatten_stuck",
                severity="critical",
                dedupe_key=f"{self.context.account_id}:{flattening.since:%Y%m%d%H%M%S}",
                sentence=f"Not flat after {ESCALATE_AFTER.seconds} s: {what}.",
                now=now,
            )
