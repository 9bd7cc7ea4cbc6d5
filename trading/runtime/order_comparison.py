"""Orders, both ways: what we believe live against what the venue lists, with the evidence for each that is missing."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from avigrid.kernel.errors import AviGridError
from avigrid.kernel.orders import Execution, OrderStatus, VenueOrder
from trading.engine import differences
from trading.engine.differences import BookedOrder, Difference, Kind, VenuePicture
from trading.engine.lifecycle import OrderEventKind
from trading.models import Order, OrderEvent, ReconciliationFinding, ReconciliationRun
from trading.runtime.asking import patiently
from trading.runtime.comparing import Comparing
from trading.runtime.hearing import Effects
from trading.services.findings import claimed_subjects, finding_note
from trading.services.order_events import order_event_apply
from trading.services.plan_step import order_cancel_request

log = structlog.get_logger(__name__)
GRACE_MS = 3_000
_AMENDED_SINCE = timedelta(hours=1)


@dataclass(slots=True)
class OrderComparison:
    work: Comparing

    def compare(self, run: ReconciliationRun) -> list[Difference]:
        self.work.keep()
        listed = patiently(self.work.context.gateway.open_orders)
        self.work.drain()
        looked_up: dict[str, VenueOrder | None] = {}
        executions: dict[str, list[Execution]] = {}
        links = {row.order_link_id for row in listed}
        for order in self.work.live_orders():
            if order.order_link_id in links or order.status is OrderStatus.INTENT or order.sent_age_ms < GRACE_MS:
                continue
            try:
                evidence = self._evidence(order)
            except AviGridError as error:
                log.warning("evidence_unavailable", order=order.order_link_id, code=error.code)
                continue  # no answer: this order stays as it is believed to be
            looked_up[order.order_link_id], executions[order.order_link_id] = evidence
        looked_up |= self._revived(listed)
        picture = VenuePicture(listed, None, None, looked_up)
        found = differences.order_differences(
            self.work.picture(self.work.live_orders(), set(), listed=listed), picture, grace_ms=GRACE_MS
        )
        effects = Effects()
        with self.work.books():
            for difference in found:
                self._order_repair(run, difference, picture, executions, effects)
            over = self.work.picture([], set(), listed=listed).done_orders
            for row in listed:
                # The list is older than the books by now: what ended since is not taken back to life by it.
                if not differences.is_position_stop(row) and row.order_link_id not in over:
                    self.work.hearing.order_row(row, effects, is_query=True)
            self.work.close_gone(found, (Kind.ORDER_FOREIGN,))
            self.work.hearing.step(effects.plans)
            amended = self._amendments(run)
        claimed = claimed_subjects(self.work.context.account_id)
        return amended + [
            row
            for row in found
            if (row.kind is not Kind.ORDER_LOST or self._is_new_loss(row))
            and not (row.kind is Kind.ORDER_FOREIGN and row.subject[:100] in claimed)
        ]

    def _amendments(self, run: ReconciliationRun) -> list[Difference]:
        """Orders that somebody amended at the venue, heard just now or by the stream: taken over, shown once each."""
        account_id = self.work.context.account_id
        events = OrderEvent.objects.filter(
            order__account_id=account_id, event=OrderEventKind.AMENDED, at__gte=run.started_at - _AMENDED_SINCE
        )
        found = []
        for event in events.select_related("order"):
            link = event.order.order_link_id
            difference = Difference(
                Kind.ORDER_AMENDED,
                f"{link}/{event.pk}",
                event.order.symbol,
                f"Order {link} was amended at the venue: {event.evidence}.",
                {"order_link_id": link, "change": event.evidence},
            )
            seen = ReconciliationFinding.objects.filter(
                account_id=account_id, kind=difference.kind, subject=difference.subject
            )
            if not seen.exists():
                now = self.work.context.now()
                finding_note(run=run, difference=difference, now=now, action="taken over", repaired=True)
                found.append(difference)
        return found

    def _revived(self, listed: list[VenueOrder]) -> dict[str, VenueOrder | None]:
        """Listed as live and over in the books: it may have ended while the list was on its way, so it is asked for."""
        done = self.work.picture([], set(), listed=listed).done_orders
        found: dict[str, VenueOrder | None] = {}
        for link, order in done.items():
            self.work.keep()
            try:
                found[link] = patiently(
                    partial(self.work.context.gateway.order, symbol=order.symbol, order_link_id=link)
                )
            except AviGridError as error:
                log.warning("evidence_unavailable", order=link, code=error.code)
        return found

    def _evidence(self, order: BookedOrder) -> tuple[VenueOrder | None, list[Execution]]:
        self.work.keep()
        gateway = self.work.context.gateway
        named = {"symbol": order.symbol, "order_link_id": order.order_link_id}
        return patiently(lambda: gateway.order(**named)), patiently(lambda: gateway.executions_of(**named))

    def _order_repair(
        self,
        run: ReconciliationRun,
        difference: Difference,
        picture: VenuePicture,
        executions: dict[str, list[Execution]],
        effects: Effects,
    ) -> None:
        now = self.work.context.now()
        link = difference.subject
        if difference.kind is Kind.ORDER_FOREIGN:
            finding_note(run=run, difference=difference, now=now, action="shown, not touched")
            return
        order = Order.objects.select_related("plan").get(order_link_id=link)
        for execution in executions.get(link, ()):
            self.work.hearing.execution(execution, effects, source="rest")
        if difference.kind is Kind.ORDER_DONE:
            row = picture.looked_up[link]
            assert row is not None
            self.work.hearing.order_row(row, effects, is_query=True)
            finding_note(
                run=run,
                difference=difference,
                now=now,
                action="closed with evidence",
                proof=f"order/history: {row.status}, {row.filled_qty} filled",
                repaired=True,
            )
        elif difference.kind is Kind.ORDER_LOST:
            order.refresh_from_db()
            if order.status in (OrderStatus.OPEN.value, OrderStatus.PARTIALLY_FILLED.value):
                order_event_apply(order=order, event=OrderEventKind.MISSING, now=now, evidence="not listed, not found")
                finding_note(run=run, difference=difference, now=now, action="unknown until evidence", repaired=True)
        elif difference.kind is Kind.ORDER_REVIVED and OrderStatus(order.status).is_terminal:
            row = picture.looked_up[link]
            assert row is not None
            self.work.hearing.order_row(row, effects, is_query=True)
            order.refresh_from_db()
            action = "adopted back"
            if not order.plan.is_open:
                order_cancel_request(order=order, now=now)
                action = "being cancelled: its plan is over"
            finding_note(run=run, difference=difference, now=now, action=action, repaired=True)

    def _is_new_loss(self, difference: Difference) -> bool:
        status = Order.objects.values_list("status", flat=True).get(order_link_id=difference.subject)
        return status == OrderStatus.UNKNOWN.value and difference.numbers.get("status") != OrderStatus.UNKNOWN.value
