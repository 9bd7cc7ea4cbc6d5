"""Orders whose fate is unproven: asked for by evidence only, ever more patiently, and never sent again."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

import structlog
from django.db.models import F, Q

from avigrid.kernel.errors import AviGridError
from avigrid.kernel.money import plain
from avigrid.kernel.orders import OrderStatus
from trading.engine.lifecycle import OrderEventKind
from trading.models import LIVE_STATUSES, Order
from trading.runtime import gauges
from trading.runtime.context import Context
from trading.runtime.faults import fault_point
from trading.runtime.guarding import plan_skipped
from trading.runtime.hearing import Effects, Hearing
from trading.services.alerts import alert_raise
from trading.services.order_events import order_event_apply

log = structlog.get_logger(__name__)

EVIDENCE_WINDOW = timedelta(seconds=60)
"""How long an order, or its fill, may still appear. Counted from when it was missed: one that rested for days may have
been filled a second ago."""
VENUE_MEMORY = timedelta(hours=24)
"""The venue lists even orders cancelled without a fill this long. It lived until shortly before it was missed, so for
this long after that "not found" about an order it had acknowledged is a fault of the answer, never a verdict."""
_BACKOFF_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
_LOOKS_NEEDED = 5
_ROUND_S = 5.0


@dataclass(slots=True)
class Doubt:
    looks: int = 0
    empty_looks: int = 0
    due: datetime | None = None
    claimed_at: datetime | None = None
    """Since when the venue says that more is filled than its executions show."""


@dataclass(slots=True)
class Doubts:
    context: Context
    hearing: Hearing
    _asked: dict[str, Doubt] = field(default_factory=dict)

    def run(self, urgent: set[str]) -> Effects:
        """Ask for every doubtful order that is due; `urgent` ones now."""
        effects = Effects()
        now = self.context.now()
        doubtful = self._doubtful(urgent)
        self._asked = {
            link: doubt for link, doubt in self._asked.items() if link in {o.order_link_id for o in doubtful}
        }
        gauges.UNKNOWN.set(sum(order.status == OrderStatus.UNKNOWN.value for order in doubtful))
        began_s = monotonic()
        for order in doubtful:
            if monotonic() - began_s > _ROUND_S:
                break  # they stay due: sending and protection come before more questions nobody answers
            self.context.pulse()
            doubt = self._asked.setdefault(order.order_link_id, Doubt())
            if order.order_link_id in urgent or doubt.due is None or doubt.due <= now:
                with plan_skipped(self.context, order.plan):
                    self._ask(order, doubt, effects)
                doubt.looks += 1
                doubt.due = now + timedelta(seconds=_BACKOFF_S[min(doubt.looks, len(_BACKOFF_S) - 1)])
        return effects

    def _doubtful(self, urgent: set[str]) -> list[Order]:
        """We are the only sender and not sending now: whatever is `submitting` was cut off in the middle."""
        live = Order.objects.filter(account_id=self.context.account_id, status__in=LIVE_STATUSES)
        return list(
            live.filter(
                Q(status__in=(OrderStatus.UNKNOWN.value, OrderStatus.SUBMITTING.value))
                | Q(venue_filled_qty__gt=F("filled_qty"))
                | Q(order_link_id__in=urgent)
            )
            .exclude(status=OrderStatus.INTENT.value)
            .select_related("plan")
        )

    def _ask(self, order: Order, doubt: Doubt, effects: Effects) -> None:
        gateway = self.context.gateway
        try:
            row = gateway.order(symbol=order.symbol, order_link_id=order.order_link_id)
            executions = gateway.executions_of(symbol=order.symbol, order_link_id=order.order_link_id)
        except AviGridError as error:
            log.warning("evidence_unavailable", order=order.order_link_id, code=error.code)
            return  # no answer proves nothing
        fault_point("after_evidence")
        with self.context.books():
            order = Order.objects.select_related("plan").get(pk=order.pk)
            if order.status == OrderStatus.SUBMITTING.value:
                order_event_apply(
                    order=order, event=OrderEventKind.UNCERTAIN, now=self.context.now(), evidence="cut off in sending"
                )
            for execution in executions:
                self.hearing.execution(execution, effects, source="rest")
            if row is not None:
                doubt.empty_looks = 0
                self.hearing.order_row(row, effects, is_query=True)
            elif not executions:
                doubt.empty_looks += 1
            order = Order.objects.get(pk=order.pk)
            if order.venue_filled_qty > order.filled_qty:
                self._claimed(order, doubt)
            else:
                doubt.claimed_at = None
                if row is None and not executions:
                    self._maybe_give_up(order, doubt)
            effects.plans.add(order.plan_id)
            self.hearing.step(effects.plans)

    def _claimed(self, order: Order, doubt: Doubt) -> None:
        """It filled, says the venue, and never closes in the books before that is shown; a person hears of it."""
        now = self.context.now()
        doubt.claimed_at = doubt.claimed_at or now
        if now - doubt.claimed_at >= EVIDENCE_WINDOW:
            filled, shown = plain(order.venue_filled_qty), plain(order.filled_qty)
            what = f"has {filled} filled at the venue, of which its executions show {shown}"
            self._tell(order, "executions_owed", what, now)

    def _maybe_give_up(self, order: Order, doubt: Doubt) -> None:
        """The whole window passed, looked at often enough, and nobody knows it."""
        now = self.context.now()
        if order.status != OrderStatus.UNKNOWN.value or order.unknown_since is None:
            return
        since = max(order.unknown_since, order.submitted_at or order.unknown_since)
        if doubt.empty_looks < _LOOKS_NEEDED or now - since < EVIDENCE_WINDOW:
            return
        if order.acknowledged_at is not None and now - since < VENUE_MEMORY:
            self._tell(order, "order_unexplained", "is denied by the venue that had acknowledged it", now)
            return
        order_event_apply(order=order, event=OrderEventKind.NO_EVIDENCE, now=now, evidence="no evidence")
        self._tell(order, "order_without_evidence", "left no trace at the venue and was closed in the books", now)

    def _tell(self, order: Order, kind: str, what: str, now: datetime) -> None:
        alert_raise(
            kind=kind,
            severity="warning",
            dedupe_key=order.order_link_id,
            sentence=f"Order {order.order_link_id} {what}.",
            now=now,
            order_id=order.pk,
        )
