"""Private frames into the books: a drained batch in one transaction, one by one where the batch fails."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from django.db import transaction

from avigrid.common.leases import LeaseLost
from avigrid.kernel.money import plain
from avigrid.kernel.orders import Execution, VenueOrder
from avigrid.kernel.portfolio import VenuePosition, Wallet
from risk.core.states import State
from risk.selectors.guards import effective_state
from trading.avi5.state import MarketView
from trading.models import OPEN_PLAN_STATUSES, Order, Plan
from trading.runtime import gauges
from trading.runtime.context import Context
from trading.runtime.faults import fault_point
from trading.runtime.guarding import DATABASE_LOST, plan_guarded
from trading.runtime.inbox import Heard
from trading.runtime.incidents import INCIDENTS
from trading.runtime.stream_watch import StreamWatch
from trading.selectors.entry_stops import entry_stops
from trading.services.alerts import alert_raise
from trading.services.booking import Arrival, executions_book
from trading.services.equity import equity_store
from trading.services.order_batch import OrderBatch
from trading.services.order_events import order_frame_apply
from trading.services.plan_step import plan_step

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Effects:
    """What a batch of news changed: plans that were stepped, orders whose executions are still owed."""

    plans: set[int] = field(default_factory=set)
    positions: set[tuple[str, int]] = field(default_factory=set)
    owed: set[str] = field(default_factory=set)
    fills: int = 0

    def add(self, other: "Effects") -> None:
        self.plans |= other.plans
        self.positions |= other.positions
        self.owed |= other.owed
        self.fills += other.fills


@dataclass(slots=True)
class Hearing:
    context: Context
    entries_allowed: bool = False
    trends: dict[str, int] = field(default_factory=dict)
    watch: StreamWatch = field(default_factory=StreamWatch)

    def take(self, heard: Sequence[Heard]) -> Effects:
        """Raises where the database or the lease is lost; whatever is wrong with one frame costs that frame only."""
        if not heard:
            return Effects()
        fault_point("before_booking")
        self.watch.told([one.event for one in heard])
        try:
            effects = self._together(heard)
        except (*DATABASE_LOST, LeaseLost):
            raise
        except Exception:
            log.exception("batch_failed", frames=len(heard))
            effects = Effects()
            for one in heard:
                self._alone(one, effects)
        fault_point("after_booking_commit")
        now = self.context.now()
        for one in heard:
            if isinstance(one.event, Execution):
                gauges.BOOKING.observe((now - one.at).total_seconds())
        return effects

    def _alone(self, one: Heard, effects: Effects) -> None:
        try:
            alone = self._together([one])
        except (*DATABASE_LOST, LeaseLost):
            raise
        except Exception as error:
            log.exception("frame_failed", frame=type(one.event).__name__)
            if isinstance(one.event, Execution):
                with self.context.books():
                    self._not_booked(one.event, type(error).__name__)
            return
        effects.add(alone)

    def _together(self, heard: Sequence[Heard]) -> Effects:
        effects = Effects()
        executions = [Arrival(one.event, one.at) for one in heard if isinstance(one.event, Execution)]
        with self.context.books():
            orders = self._orders([one.event for one in heard if isinstance(one.event, Execution | VenueOrder)])
            self._executions(executions, effects, source="stream", orders=orders)
            for one in heard:
                self._one(one, effects, orders)
            orders.store()
            self._wallet(heard)
            self.step(effects.plans)
            fault_point("inside_booking")
        return effects

    def _one(self, one: Heard, effects: Effects, orders: OrderBatch) -> None:
        event = one.event
        if isinstance(event, VenueOrder):
            self._order_row(event, effects, orders, is_query=False)
        elif isinstance(event, VenuePosition):
            self.context.see_position(event)
            effects.positions.add((event.symbol, event.position_idx))

    def _wallet(self, heard: Sequence[Heard]) -> None:
        """The last word of a burst: one comes with every fill, and the earlier ones lack what is booked by now."""
        last = next((one.event for one in reversed(heard) if isinstance(one.event, Wallet)), None)
        if last is not None:
            equity_store(account_id=self.context.account_id, wallet=last, at_ms=self.context.exchange_ms())

    def order_row(self, row: VenueOrder, effects: Effects, *, is_query: bool) -> Order | None:
        """Within the books. None where the order is not ours."""
        orders = self._orders([row])
        order = self._order_row(row, effects, orders, is_query=is_query)
        orders.store()
        return order

    def _order_row(self, row: VenueOrder, effects: Effects, orders: OrderBatch, *, is_query: bool) -> Order | None:
        order = orders.of(row)
        if order is None:
            return None
        if is_query and row.status != order.venue_status:
            self.watch.asked_order(row, self.context.now())
        belief = order_frame_apply(
            order=order, row=row, is_query=is_query, now=self.context.now(), writes=orders.writes
        )
        if belief.misses_fills:
            effects.owed.add(order.order_link_id)
        effects.plans.add(order.plan_id)
        return order

    def _orders(self, rows: Sequence[Execution | VenueOrder]) -> OrderBatch:
        return OrderBatch(self.context.account_id, rows)

    def execution(self, event: Execution, effects: Effects, *, source: str) -> bool:
        """Within the books. False where it was booked before, or cannot be: the others of its page go on."""
        try:
            with transaction.atomic():
                return self._executions([Arrival(event, self.context.now())], effects, source=source)
        except (*DATABASE_LOST, LeaseLost):
            raise
        except Exception as error:
            log.exception("execution_failed", execution=event.exec_id)
            self._not_booked(event, type(error).__name__)
            return False

    def _not_booked(self, event: Execution, why: str) -> None:
        """The comparison of positions says what it did; what to make of that is for a person."""
        alert_raise(
            kind="execution_not_booked",
            severity="critical",
            dedupe_key=f"{self.context.account_id}:{event.reference}",
            sentence=(
                f"{event.symbol}: execution {event.exec_id} ({event.kind}, {event.side} {plain(event.quantity)}"
                f" at {plain(event.price)}) cannot be booked ({why})."
            ),
            now=self.context.now(),
        )

    def _executions(
        self, arrivals: Sequence[Arrival], effects: Effects, *, source: str, orders: OrderBatch | None = None
    ) -> bool:
        for arrival in arrivals:
            if not arrival.execution.is_bookable:
                self._not_booked(arrival.execution, "no quantity or no price")
        arrivals = [arrival for arrival in arrivals if arrival.execution.is_bookable]
        if not arrivals:
            return False
        bookings = executions_book(
            account_id=self.context.account_id,
            arrivals=arrivals,
            hedge_mode=self.context.hedge_mode,
            now=self.context.now(),
            source=source,
            orders=orders,
        )
        if source == "stream" and len(bookings) < len(arrivals):
            INCIDENTS.told_again(len(arrivals) - len(bookings))
        if source != "stream":
            new = {booking.fill.reference for booking in bookings if booking.fill is not None}
            for arrival in arrivals:
                if arrival.execution.reference in new:
                    self.watch.asked_execution(arrival.execution, self.context.now())
        for booking in bookings:
            gauges.FILLS.labels(source=source).inc()
            effects.fills += 1
            effects.positions.add((booking.symbol, booking.position_idx))
            if booking.plan_id is not None:
                effects.plans.add(booking.plan_id)
        return bool(bookings)

    def step(self, plan_ids: set[int]) -> None:
        """Within the books: every open plan among these takes its next step."""
        plans = list(
            Plan.objects.filter(pk__in=plan_ids, status__in=OPEN_PLAN_STATUSES).select_related("signal__decision")
        )
        if not plans:
            return
        prices = self.context.prices.read({plan.symbol for plan in plans})
        stops = entry_stops(self.context.account_id) if self.entries_allowed else None
        for plan in plans:
            price = prices.get(plan.symbol)
            market = MarketView(
                now_ms=self.context.exchange_ms(),
                price=price.mark if price else None,
                trend=self.trends.get(plan.symbol),
                next_funding_ms=price.next_funding_ms if price else None,
                entries_allowed=stops is not None and not stops.why(plan) and self._may_enter(plan.symbol),
            )
            with plan_guarded(self.context, plan):
                plan_step(plan=plan, market=market, now=self.context.now())

    def _may_enter(self, symbol: str) -> bool:
        return self.entries_allowed and effective_state(self.context.account_id, symbol) is State.ACTIVE
