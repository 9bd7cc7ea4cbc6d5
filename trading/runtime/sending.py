"""Intents to the venue, each exactly once: marked, committed, sent, and the answer committed.

Nothing else in the system creates orders at the venue. A crash between any two lines leaves an order that is `intent`
(never sent), `submitting` (becomes unknown at the next start) or as the venue has it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from django.db.models import Count, Max

from avigrid.kernel.errors import (
    AviGridError,
    DuplicateOrder,
    OperatorNeeded,
    OutcomeUnknown,
    Rejected,
    Retryable,
)
from avigrid.kernel.orders import OrderIntent, OrderRole, OrderStatus
from risk.core.states import Environment, State
from risk.selectors.guards import effective_state
from risk.selectors.limits import limits_of
from trading.engine.lifecycle import OrderEventKind
from trading.models import Order, PlanStatus
from trading.runtime import gauges
from trading.runtime.breakers import AFTER, OPEN_FOR
from trading.runtime.cancelling import Cancelling
from trading.runtime.context import Context
from trading.runtime.faults import fault_point
from trading.runtime.guarding import plan_guarded
from trading.selectors.entry_stops import entry_stops
from trading.selectors.stages import entry_refused_by_stage
from trading.services.alerts import alert_raise
from trading.services.guards import order_guard
from trading.services.intents import intent_of
from trading.services.order_events import order_event_apply

log = structlog.get_logger(__name__)

ENTRY_MAX_AGE = timedelta(seconds=60)
_MAX_BACKOFF_S = 30.0
_CLOSES_AT_ONCE = 3
_CLOSE_PAUSE_MAX_S = 60.0
_LANES = {OrderRole.CLOSE.value: 0, OrderRole.TAKE_PROFIT.value: 1, OrderRole.ENTRY.value: 2}


@dataclass(slots=True)
class Sender:
    context: Context
    drain: Callable[[], None] = field(default=lambda: None)
    """Books what was heard meanwhile: a fill must not wait for a whole ladder to be sent."""
    _not_before: dict[int, datetime] = field(default_factory=dict)
    _failures: dict[int, int] = field(default_factory=dict)
    _leverage_set: set[str] = field(default_factory=set)
    _entries_pause: datetime | None = None
    """The venue's budget is spent: cancels and exits go first until then."""
    doubted: list[str] = field(default_factory=list)
    """Order link ids whose fate should be asked for now."""
    entries_ready: bool = False
    """False until the first comparison answered every question: nothing opens before."""
    _silent: set[str] = field(default_factory=set)
    """Roles that had no answer in this round: the next one would hold up all others just as long."""
    _sent_today: int | None = None
    """Counted once a round."""
    cancelling: Cancelling = field(init=False)

    def __post_init__(self) -> None:
        self.cancelling = Cancelling(self.context, self.doubted)

    def run(self) -> None:
        """Cancels first, then closes, exits, entries. Of what gets no answer the rest waits for the next round."""
        self._silent.clear()
        self._sent_today, self.cancelling.is_silent = None, False
        self.cancelling.run()
        now = self.context.now()
        intents = Order.objects.filter(account_id=self.context.account_id, status=OrderStatus.INTENT.value)
        for order in sorted(intents.select_related("plan"), key=lambda row: (_LANES[row.role], row.pk)):
            due = self._not_before.get(order.pk)
            if order.role in self._silent or (due is not None and due > now):
                continue
            self.context.pulse()
            if order.role == OrderRole.ENTRY.value:
                if self._entries_pause is not None and now < self._entries_pause:
                    continue
                self.drain()
                self.cancelling.run()
            elif order.role == OrderRole.CLOSE.value and self._close_waits(order, now):
                continue
            self._send(order)

    def _close_waits(self, order: Order, now: datetime) -> bool:
        """A close that keeps failing is never given up, only tried after longer and longer pauses."""
        ended = Order.objects.filter(plan_id=order.plan_id, role=order.role, closed_at__isnull=False, filled_qty=0)
        found = ended.aggregate(count=Count("pk"), last=Max("closed_at"))
        if found["count"] < _CLOSES_AT_ONCE:
            return False
        pause_s = min(2.0 ** min(found["count"] - _CLOSES_AT_ONCE, 6), _CLOSE_PAUSE_MAX_S)
        return bool(now < found["last"] + timedelta(seconds=pause_s))

    def _send(self, order: Order) -> None:
        fault_point("before_send")
        if order.role == OrderRole.ENTRY.value:
            if not self.context.redis_down:
                self.context.look_at_redis()  # the timer alone would let an entry through just after it went
            self._leverage(order.symbol)
        price = self.context.prices.read({order.symbol}).get(order.symbol)
        mark_price = price.mark if price else None
        with self.context.books():
            order = Order.objects.select_related("plan").get(pk=order.pk)
            if order.status != OrderStatus.INTENT.value:
                return
            intent: OrderIntent | None = None
            with plan_guarded(self.context, order.plan):
                if self._may_send(order, mark_price):
                    intent = intent_of(order)
            if intent is None:
                return
            order_event_apply(order=order, event=OrderEventKind.SEND, now=self.context.now())
            self._sent_today = None if self._sent_today is None else self._sent_today + 1
            fault_point("inside_submitting")
        fault_point("after_submitting_commit")
        error: AviGridError | None = None
        venue_order_id = ""
        try:
            venue_order_id = self.context.gateway.place(intent).order_id
            fault_point("after_place")
        except AviGridError as raised:
            error = raised
        with self.context.books():
            self._answer(Order.objects.select_related("plan").get(pk=order.pk), venue_order_id, error)
        fault_point("after_ack_commit")

    def _answer(self, order: Order, venue_order_id: str, error: AviGridError | None) -> None:
        now = self.context.now()
        if error is None:
            order.venue_order_id = order.venue_order_id or venue_order_id
            order_event_apply(order=order, event=OrderEventKind.ACK, now=now, evidence=f"venue id {venue_order_id}")
            self.context.breakers.accepted(order.symbol, order.role)
            self._forget(order)
            gauges.ORDERS.labels(role=order.role, outcome="accepted").inc()
            return
        gauges.ORDERS.labels(role=order.role, outcome=error.code).inc()
        evidence = f"{error.code}: {error.message}"
        if isinstance(error, DuplicateOrder | OutcomeUnknown):
            # A duplicate id proves that an earlier send arrived; what became of it only the venue can say.
            order_event_apply(order=order, event=OrderEventKind.UNCERTAIN, now=now, evidence=evidence)
            self.doubted.append(order.order_link_id)
            if isinstance(error, OutcomeUnknown):
                self._silent.add(order.role)
        elif isinstance(error, Retryable) or (isinstance(error, OperatorNeeded) and order.reduce_only):
            order_event_apply(order=order, event=OrderEventKind.NOT_SENT, now=now, evidence=evidence)
            self._back_off(order, error, now)
        else:
            venue_code = str(error.details.get("venue_code", error.code))
            order_event_apply(
                order=order, event=OrderEventKind.REJECT, now=now, evidence=evidence, venue_code=venue_code
            )
            self._forget(order)
            self._count_refusal(order, error.code, now)
        if isinstance(error, OperatorNeeded):
            alert_raise(
                kind="operator_needed",
                severity="critical",
                dedupe_key=f"{self.context.account_id}:{error.code}:{now:%Y-%m-%d-%H}",
                sentence=f"The venue refuses to trade: {error.message}",
                now=now,
                code=error.code,
            )

    def _may_send(self, order: Order, mark_price: Decimal | None) -> bool:
        """Checked in the transaction that marks it as sent, so that a halt committed before is always seen."""
        now = self.context.now()
        state = effective_state(self.context.account_id, order.symbol)
        has_price = mark_price is not None
        if order.role == OrderRole.ENTRY.value and not self._entry_may_go(order, state, now, has_price=has_price):
            return False
        if self.context.breakers.holds(order.symbol, order.role, now):
            return False
        if order.role == OrderRole.TAKE_PROFIT.value and state is State.HALTED:
            return False  # kept: exits are placed again once the halt ends; the stop protects meanwhile
        refusal = order_guard(order, mark_price=mark_price)
        if refusal is not None:
            order_event_apply(
                order=order, event=OrderEventKind.REJECT, now=now, evidence=refusal.sentence, venue_code=refusal.code
            )
            self._count_refusal(order, refusal.code, now)
            return False
        return True

    def _entry_may_go(self, order: Order, state: State, now: datetime, *, has_price: bool) -> bool:
        why = ""
        if state is not State.ACTIVE:
            why = f"trading is {state.value}"
        elif order.plan.status not in (PlanStatus.PLACING, PlanStatus.ACTIVE) or order.plan.entries_cancelled:
            why = "the plan buys no more"
        elif now - order.created_at > ENTRY_MAX_AGE:
            why = "too old to be sent"
        else:
            why = entry_refused_by_stage(order.plan_id, Environment(self.context.environment))
        if why:
            order_event_apply(order=order, event=OrderEventKind.WITHDRAW, now=now, evidence=why)
            return False
        if not self.entries_ready or self.context.redis_down or not has_price:
            return False
        if entry_stops(self.context.account_id).why(order.plan):
            return False  # it waits like the account's entries for the first comparison
        return not self._is_over_budget(now)

    def _leverage(self, symbol: str) -> None:
        """The setting our margin sums assume, once a symbol and process."""
        if symbol in self._leverage_set:
            return
        self._leverage_set.add(symbol)
        try:
            self.context.gateway.set_leverage(symbol=symbol, leverage=limits_of(self.context.account_id).max_leverage)
        except Rejected:
            return  # as it was already, or not possible now: the venue's own margin check still stands
        except AviGridError as error:
            self._leverage_set.discard(symbol)
            log.warning("leverage_not_set", symbol=symbol, code=error.code)

    def _back_off(self, order: Order, error: AviGridError, now: datetime) -> None:
        failures = self._failures.get(order.pk, 0) + 1
        self._failures[order.pk] = failures
        told_s = error.details.get("retry_after_s")
        wait_s = float(told_s) if isinstance(told_s, int | float) else 0.5
        wait_s = min(max(wait_s, 0.1) * 2 ** min(failures - 1, 6), _MAX_BACKOFF_S)
        if order.role == OrderRole.ENTRY.value and error.code in ("rate_limited", "budget_exhausted"):
            self._entries_pause = now + timedelta(seconds=min(max(wait_s, 0.1), 2.0))
        self._not_before[order.pk] = now + timedelta(seconds=wait_s * (0.75 + self.context.rng.random() / 2))

    def _forget(self, order: Order) -> None:
        self._not_before.pop(order.pk, None)
        self._failures.pop(order.pk, None)

    def _count_refusal(self, order: Order, code: str, now: datetime) -> None:
        if not self.context.breakers.refused(order.symbol, order.role, code, now):
            return
        is_close = order.role == OrderRole.CLOSE.value
        then = "it is tried again more and more slowly" if is_close else f"none is sent for {OPEN_FOR.seconds} s"
        alert_raise(
            kind="circuit_open",
            severity="warning",
            dedupe_key=f"{order.symbol}:{order.role}:{code}:{now:%Y-%m-%d-%H-%M}",
            sentence=f"{order.symbol}: {AFTER} {order.role} orders in a row refused ({code}); {then}.",
            now=now,
            code=code,
        )

    def _is_over_budget(self, now: datetime) -> bool:
        """Entries only: whatever gets out of the market always goes."""
        limit = limits_of(self.context.account_id).orders_per_day
        if self._sent_today is None:
            day = Order.objects.filter(account_id=self.context.account_id, created_at__gt=now - timedelta(days=1))
            self._sent_today = day.exclude(submitted_at=None).count()
        if self._sent_today < limit:
            return False
        alert_raise(
            kind="order_budget",
            severity="warning",
            dedupe_key=f"{self.context.account_id}:{now:%Y-%m-%d}",
            sentence=f"{self._sent_today} orders were sent within a day, the limit is {limit}: no entry goes out.",
            now=now,
        )
        return True
