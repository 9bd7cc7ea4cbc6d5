"""Books against venue, both ways, and the repair of what differs. One at a time per account, by lease.

The order matters: executions first, then orders, then positions, so that whatever is explainable is explained before
anything is called unexplained. A question without an answer ends the run as `incomplete`: nothing is concluded.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import structlog
from django.db.models import Max

from avigrid.common import push
from avigrid.kernel.errors import AviGridError
from avigrid.kernel.orders import Execution, OrderStatus, VenueOrder
from avigrid.kernel.portfolio import VenuePosition
from trading.engine import differences
from trading.engine.differences import BookedOrder, Books, Difference, Kind, VenuePicture
from trading.engine.lifecycle import OrderEventKind
from trading.models import (
    EquitySnapshot,
    Fill,
    LedgerEntry,
    LedgerKind,
    Order,
    ReconciliationFinding,
    ReconciliationRun,
    Severity,
)
from trading.runtime import gauges
from trading.runtime.asking import patiently
from trading.runtime.context import Context
from trading.runtime.faults import fault_point
from trading.runtime.hearing import Effects, Hearing
from trading.runtime.position_repair import position_repair
from trading.runtime.wallet import wallet_check
from trading.selectors.books import booked_positions, done_orders, live_orders
from trading.services.booking import booked_references
from trading.services.equity import TOLERATED_USD, balance_gap, equity_store
from trading.services.findings import claimed_subjects, finding_close, finding_note
from trading.services.intents import installation
from trading.services.order_events import order_event_apply
from trading.services.plan_step import order_cancel_request
from trading.services.times import to_ms

log = structlog.get_logger(__name__)

GRACE_MS = 3_000
HISTORY_MS = 7 * 24 * 3_600_000
_LEDGER_MS = 90 * 24 * 3_600_000
_OVERLAP_MS = 10 * 60_000
_MISSED_AFTER_MS = 5_000
_SECOND_LOOK = 2
# Findings whose cause is looked for again by these scopes, and which close when it is gone.
_SEEN_BY = {
    "orders": (Kind.ORDER_FOREIGN,),
    "positions": (Kind.POSITION_FOREIGN, Kind.POSITION_MISMATCH, Kind.STOP_MISSING, Kind.EXITS_EXCEED),
}


@dataclass(frozen=True, slots=True)
class Result:
    status: str
    critical: int = 0
    warnings: int = 0
    infos: int = 0
    error: str = ""

    @property
    def is_good(self) -> bool:
        return self.status in ("good", "findings") and self.critical == 0


@dataclass(slots=True)
class Reconciler:
    """`drain` lets the caller book what its stream has delivered meanwhile, before anything is called missing."""

    context: Context
    hearing: Hearing
    drain: Callable[[], None] = field(default=lambda: None)

    def run(self, scope: str) -> Result:
        """Scopes: orders, positions, wallet; start, reconnect, full and manual look at everything."""
        fault_point("before_reconciliation")
        now = self.context.now()
        run = ReconciliationRun(account_id=self.context.account_id, scope=scope, status="running", started_at=now)
        run.fence = self.context.fence.token if self.context.fence else 0
        run.save()
        found: list[Difference] = []
        try:
            everything = scope in ("start", "reconnect", "full", "manual")
            if everything or scope == "positions":
                found += self._executions(run, everything=everything)
            if everything or scope == "orders":
                found += self._orders(run)
            if everything or scope == "positions":
                found += self._positions(run)
            if everything or scope == "wallet":
                found += self._wallet(run)
        except AviGridError as error:
            log.warning("reconciliation_incomplete", scope=scope, code=error.code)
            return self._finish(run, Result("incomplete", error=f"{error.code}: {error.message}"[:300]), found)
        counts = [sum(row.level == level for row in found) for level in ("critical", "warning", "info")]
        still_open = ReconciliationFinding.objects.filter(
            account_id=self.context.account_id, is_open=True, severity=Severity.CRITICAL
        ).count()
        status = "findings" if found or still_open else "good"
        return self._finish(run, Result(status, max(counts[0], still_open), counts[1], counts[2]), found)

    # -- executions ---------------------------------------------------------------------------------------------

    def _executions(self, run: ReconciliationRun, *, everything: bool) -> list[Difference]:
        end_ms = self.context.exchange_ms() + 60_000
        start_ms = self._since_ms(end_ms, everything=everything)
        rows = patiently(lambda: self.context.gateway.executions(start_ms=start_ms, end_ms=end_ms))
        fault_point("after_reconciliation_fetch")
        self.drain()
        return self._book(run, rows)

    def _since_ms(self, end_ms: int, *, everything: bool) -> int:
        """From the last booked fill on; a first run, or a long absence, takes the whole of what the venue remembers."""
        account = Fill.objects.filter(account_id=self.context.account_id).exclude(source="adopted")
        last = account.aggregate(last=Max("executed_at"))["last"]
        if last is None:
            return end_ms - HISTORY_MS
        overlap = _OVERLAP_MS if not everything else 24 * 3_600_000
        return max(to_ms(last) - overlap, end_ms - HISTORY_MS)

    def _book(self, run: ReconciliationRun, rows: list[Execution]) -> list[Difference]:
        fundings = LedgerEntry.objects.filter(account_id=self.context.account_id, kind=LedgerKind.FUNDING)
        known = booked_references(self.context.account_id, rows)
        known |= set(fundings.filter(reference__in=[row.reference for row in rows]).values_list("reference", flat=True))
        missing = [row for row in rows if row.reference not in known]
        if not missing:
            return []
        picture = VenuePicture(None, None, missing)
        named = {row.subject: row for row in differences.missed_fills(self._books([], known), picture)}
        found: list[Difference] = []
        effects = Effects()
        with self.context.books():
            for row in missing:
                if not self.hearing.execution(row, effects, source="rest"):
                    continue
                # What is seconds old is merely on its way through the stream.
                if self.context.exchange_ms() - row.time_ms >= _MISSED_AFTER_MS or run.scope == "start":
                    difference = named[row.reference]
                    finding_note(
                        run=run,
                        difference=difference,
                        now=self.context.now(),
                        action="booked",
                        proof=f"execution/list, executed at {row.time_ms}",
                        repaired=True,
                    )
                    found.append(difference)
            self.hearing.step(effects.plans)
        return found

    # -- orders -------------------------------------------------------------------------------------------------

    def _orders(self, run: ReconciliationRun) -> list[Difference]:
        listed = patiently(self.context.gateway.open_orders)
        self.drain()
        looked_up: dict[str, VenueOrder | None] = {}
        executions: dict[str, list[Execution]] = {}
        links = {row.order_link_id for row in listed}
        for order in self._live_orders():
            if order.order_link_id in links or order.status is OrderStatus.INTENT or order.sent_age_ms < GRACE_MS:
                continue
            try:
                evidence = self._evidence(order)
            except AviGridError as error:
                log.warning("evidence_unavailable", order=order.order_link_id, code=error.code)
                continue  # no answer: this order stays as it is believed to be
            looked_up[order.order_link_id], executions[order.order_link_id] = evidence
        picture = VenuePicture(listed, None, None, looked_up)
        found = differences.order_differences(
            self._books(self._live_orders(), set(), listed=listed), picture, grace_ms=GRACE_MS
        )
        effects = Effects()
        with self.context.books():
            for difference in found:
                self._order_repair(run, difference, picture, executions, effects)
            for row in listed:
                if not differences.is_position_stop(row):
                    self.hearing.order_row(row, effects, is_query=True)
            self._close_gone(found, _SEEN_BY["orders"])
            self.hearing.step(effects.plans)
        claimed = claimed_subjects(self.context.account_id)
        return [
            row
            for row in found
            if (row.kind is not Kind.ORDER_LOST or self._is_new_loss(row))
            and not (row.kind is Kind.ORDER_FOREIGN and row.subject[:100] in claimed)
        ]

    def _evidence(self, order: BookedOrder) -> tuple[VenueOrder | None, list[Execution]]:
        gateway = self.context.gateway
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
        now = self.context.now()
        link = difference.subject
        if difference.kind is Kind.ORDER_FOREIGN:
            finding_note(run=run, difference=difference, now=now, action="shown, not touched")
            return
        order = Order.objects.select_related("plan").get(order_link_id=link)
        for execution in executions.get(link, ()):
            self.hearing.execution(execution, effects, source="rest")
        if difference.kind is Kind.ORDER_DONE:
            row = picture.looked_up[link]
            assert row is not None
            self.hearing.order_row(row, effects, is_query=True)
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
        elif difference.kind is Kind.ORDER_REVIVED:
            row = next(row for row in picture.open_orders or () if row.order_link_id == link)
            self.hearing.order_row(row, effects, is_query=True)
            order.refresh_from_db()
            action = "adopted back"
            if not order.plan.is_open:
                order_cancel_request(order=order, now=now)
                action = "being cancelled: its plan is over"
            finding_note(run=run, difference=difference, now=now, action=action, repaired=True)

    def _is_new_loss(self, difference: Difference) -> bool:
        status = Order.objects.values_list("status", flat=True).get(order_link_id=difference.subject)
        return status == OrderStatus.UNKNOWN.value and difference.numbers.get("status") != OrderStatus.UNKNOWN.value

    # -- positions ----------------------------------------------------------------------------------------------

    def _positions(self, run: ReconciliationRun) -> list[Difference]:
        found: list[Difference] = []
        rows: list[VenuePosition] = []
        for look in range(_SECOND_LOOK):
            rows = patiently(self.context.gateway.positions)
            self.drain()
            found = differences.position_differences(
                self._books([], set()), VenuePicture(None, rows, None, history_start_ms=self._history_start_ms())
            )
            if not any(row.kind is Kind.POSITION_MISMATCH for row in found) or look == _SECOND_LOOK - 1:
                break
            end_ms = self.context.exchange_ms() + 60_000  # a fill may have happened between the two answers
            start_ms = end_ms - 3_600_000
            self._book(run, patiently(partial(self.context.gateway.executions, start_ms=start_ms, end_ms=end_ms)))
        self.context.positions.clear()
        self.context.positions.update({(row.symbol, row.position_idx): row for row in rows})
        if any(row.kind is not Kind.POSITION_MISMATCH for row in found) or not found:
            listed = patiently(self.context.gateway.open_orders)
            found += differences.exit_differences(self._books([], set()), VenuePicture(listed, rows, None))
        held = {f"{row.symbol}/{row.position_idx}": row for row in rows}
        with self.context.books():
            for difference in found:
                position_repair(self.context, self.hearing, run, difference, held.get(difference.subject))
            self._close_gone(found, _SEEN_BY["positions"])
        return found

    # -- wallet -------------------------------------------------------------------------------------------------

    def _wallet(self, run: ReconciliationRun) -> list[Difference]:
        gateway = self.context.gateway
        wallet = patiently(gateway.wallet)
        everything = run.scope in ("full", "manual", "start")
        unexplained = abs(balance_gap(self.context.account_id, wallet)) > TOLERATED_USD
        end_ms = self.context.exchange_ms() + 60_000
        start_ms = self._explained_until_ms(end_ms)
        rows = patiently(lambda: gateway.ledger(start_ms=start_ms, end_ms=end_ms)) if everything or unexplained else []
        self.drain()
        with self.context.books():
            transfer_usd, found = wallet_check(account_id=self.context.account_id, rows=rows, end_ms=end_ms)
            equity_store(
                account_id=self.context.account_id,
                wallet=wallet,
                at_ms=self.context.exchange_ms(),
                transfer_usd=transfer_usd,
            )
            for difference in found:
                finding_note(run=run, difference=difference, now=self.context.now(), action="bridge shown")
            if everything:
                self._close_gone(found, (Kind.WALLET_OFF,))
        return found

    def _explained_until_ms(self, end_ms: int) -> int:
        """A day back; after a longer absence to the last wallet whose balance was explained."""
        last = EquitySnapshot.objects.filter(account_id=self.context.account_id).aggregate(last=Max("at"))["last"]
        day_ms = end_ms - 24 * 3_600_000
        return day_ms if last is None else max(min(day_ms, to_ms(last) - _OVERLAP_MS), end_ms - _LEDGER_MS)

    # -- shared -------------------------------------------------------------------------------------------------

    def _books(self, live: list[BookedOrder], known: set[str], *, listed: list[VenueOrder] | None = None) -> Books:
        links = [row.order_link_id for row in listed or () if row.order_link_id]
        return Books(
            installation=installation(),
            live_orders=live,
            done_orders=done_orders(self.context.account_id, links, self.context.now()),
            positions=booked_positions(self.context.account_id),
            known_executions=frozenset(known),
        )

    def _live_orders(self) -> list[BookedOrder]:
        return live_orders(self.context.account_id, self.context.now())

    def _history_start_ms(self) -> int:
        return self.context.exchange_ms() - HISTORY_MS

    def _close_gone(self, found: list[Difference], kinds: tuple[Kind, ...]) -> None:
        still = {(row.kind.value, row.subject[:100]) for row in found}
        for finding in ReconciliationFinding.objects.filter(
            account_id=self.context.account_id, is_open=True, kind__in=[kind.value for kind in kinds]
        ):
            if (finding.kind, finding.subject) not in still:
                finding_close(
                    finding=finding, now=self.context.now(), resolution="gone", proof="venue and books agree again"
                )

    def _finish(self, run: ReconciliationRun, result: Result, found: list[Difference]) -> Result:
        run.status = result.status
        run.error = result.error
        run.finished_at = self.context.now()
        run.counts = {"critical": result.critical, "warning": result.warnings, "info": result.infos}
        run.save()
        gauges.RECONCILIATIONS.labels(scope=run.scope, status=result.status).inc()
        for difference in found:
            gauges.FINDINGS.labels(kind=difference.kind.value).inc()
        push.event("reconciliation", {"run_id": run.pk, "scope": run.scope, "status": run.status})
        return result
