"""A plan that should be trading and does nothing for minutes: somebody is told why."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Max

from avigrid.kernel.orders import OrderRole
from risk.core.states import State
from risk.selectors.guards import effective_state
from trading.avi5.spec import PlanSpec
from trading.models import LIVE_STATUSES, OPEN_PLAN_STATUSES, Order, Plan
from trading.runtime.context import Context
from trading.runtime.guarding import plan_skipped
from trading.runtime.surroundings import Surroundings
from trading.selectors.entry_stops import entry_stops
from trading.services.alerts import alert_raise

PATIENCE = timedelta(minutes=5)


@dataclass(slots=True)
class Idle:
    context: Context
    surroundings: Surroundings
    patience: timedelta = PATIENCE
    _since: dict[int, datetime] = field(default_factory=dict)

    def look(self) -> None:
        """Idle: the price is inside the plan's range, and nothing of it rests or happens at the venue."""
        now = self.context.now()
        plans = list(Plan.objects.filter(account_id=self.context.account_id, status__in=OPEN_PLAN_STATUSES))
        prices = self.context.prices.read({plan.symbol for plan in plans})
        idle = {}
        for plan in plans:
            with plan_skipped(self.context, plan):
                if plan.symbol in prices and self._is_inside(plan, prices[plan.symbol].mark) and not self._rests(plan):
                    idle[plan.pk] = plan
        self._since = {pk: self._since.get(pk, self._last_event(plan) or now) for pk, plan in idle.items()}
        for pk, since in self._since.items():
            if now - since >= self.patience:
                plan = idle[pk]
                reason = self.reason(plan)
                alert_raise(
                    kind="plan_idle",
                    severity="warning",
                    dedupe_key=f"plan{pk}:{since:%Y%m%d%H%M}",
                    sentence=f"{plan.symbol}: nothing happens although the price is inside the plan: {reason}.",
                    now=now,
                    plan_id=pk,
                )

    def reason(self, plan: Plan) -> str:
        """The first thing that blocks it."""
        state = effective_state(self.context.account_id, plan.symbol)
        if state is not State.ACTIVE:
            return f"trading is {state.value}"
        for sentence in self.surroundings.problems.values():
            return sentence.rstrip(".")
        if self.context.redis_down:
            return "Redis cannot be reached, so nothing new is opened"
        if not self.context.stream_up:
            return "the private stream is down, so nothing new is opened"
        for role in (OrderRole.ENTRY.value, OrderRole.TAKE_PROFIT.value):
            code = self.context.breakers.holds(plan.symbol, role, self.context.now())
            if code:
                return f"the circuit is open: the venue kept refusing its {role} orders ({code})"
        if plan.entries_cancelled:
            return "its entries were stopped"
        if why := entry_stops(self.context.account_id).why(plan):
            return why
        if Order.objects.filter(plan=plan, status="unknown").exists():
            return "the fate of an order is unknown"
        last = Order.objects.filter(plan=plan, status__in=("rejected", "cancelled")).order_by("-closed_at").first()
        if last is not None and last.reason:
            return f"its last order was {last.status}: {last.reason}"
        if Order.objects.filter(plan=plan, status="intent").exists():
            return "an order waits to be sent"
        return "no order of it is wanted at this price"

    def _is_inside(self, plan: Plan, mark: Decimal) -> bool:
        spec = PlanSpec.from_json(plan.spec)
        exits = [row.take_profit for row in spec.rungs if row.take_profit] + [row.price for row in spec.take_profits]
        levels = [spec.stop, *exits]
        return len(levels) > 1 and min(levels) < mark < max(levels)

    def _rests(self, plan: Plan) -> bool:
        at_venue = Order.objects.filter(plan=plan, status__in=LIVE_STATUSES).exclude(status__in=("intent", "unknown"))
        return at_venue.exists()

    def _last_event(self, plan: Plan) -> datetime | None:
        newest = Order.objects.filter(plan=plan).aggregate(last=Max("events__at"))["last"]
        return newest if isinstance(newest, datetime) else None
