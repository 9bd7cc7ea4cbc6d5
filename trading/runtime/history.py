"""The venue's executions against our fills: from where on they are asked for, and what is missing booked.

A first look at an account has a beginning to find as well: what was held before the venue's history.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from django.db import transaction
from django.db.models import Max, Min

from avigrid.kernel.errors import AviGridError, OperatorNeeded, Retryable
from avigrid.kernel.money import ZERO, plain
from avigrid.kernel.orders import Execution, Side
from avigrid.kernel.portfolio import VenuePosition
from trading.engine import differences
from trading.engine.differences import Difference, Kind, VenuePicture
from trading.engine.ledger import FillFact
from trading.engine.openings import Opening, opening_of
from trading.models import Fill, LedgerEntry, LedgerKind, Order, ReconciliationRun
from trading.runtime.asking import patiently
from trading.runtime.comparing import Comparing
from trading.runtime.faults import fault_point
from trading.runtime.hearing import Effects
from trading.services.adoption import opening_book, position_adopt
from trading.services.booking import FUNDING, booked_references, position_idx_of
from trading.services.findings import finding_note
from trading.services.times import to_ms

log = structlog.get_logger(__name__)
HISTORY_MS = 7 * 24 * 3_600_000
"""How far back a first look goes; from then on, however long the absence, to where the last one ended."""
_AHEAD_MS = 60_000
_OVERLAP_MS = 10 * 60_000
_OVERLAP_WHOLE_MS = 24 * 3_600_000
_MISSED_AFTER_MS = 5_000
_STILL_LOOKS = 3
_RECENT_MS = 3_600_000


@dataclass(slots=True)
class History:
    work: Comparing

    def compare(self, run: ReconciliationRun, *, everything: bool) -> list[Difference]:
        end_ms = self.work.context.exchange_ms() + _AHEAD_MS
        start_ms = self._since_ms(end_ms, everything=everything)
        found = []
        if start_ms is None:
            found += self._first(run, end_ms - HISTORY_MS, end_ms)
        else:
            rows = self._ask(start_ms, end_ms)
            self._fetched()
            found += self.book(run, rows)
        run.executions_until_ms = end_ms - _AHEAD_MS
        return found

    def start_ms(self) -> int:
        """Before that a first look sees no executions."""
        return self.work.context.exchange_ms() - HISTORY_MS

    def book_recent(self, run: ReconciliationRun) -> list[Difference]:
        """What happened while something else was asked, and a little more."""
        end_ms = self.work.context.exchange_ms() + _AHEAD_MS
        return self.book(run, self._ask(end_ms - _RECENT_MS, end_ms))

    def book(self, run: ReconciliationRun, rows: list[Execution]) -> list[Difference]:
        account_id = self.work.context.account_id
        fundings = LedgerEntry.objects.filter(account_id=account_id, kind=LedgerKind.FUNDING)
        known = booked_references(account_id, rows)
        known |= set(fundings.filter(reference__in=[row.reference for row in rows]).values_list("reference", flat=True))
        missing = [row for row in rows if row.reference not in known]
        if not missing:
            return []
        picture = VenuePicture(None, None, missing)
        named = {row.subject: row for row in differences.missed_fills(self.work.picture([], known), picture)}
        found: list[Difference] = []
        effects = Effects()
        with self.work.books():
            for row in missing:
                if not self.work.hearing.execution(row, effects, source="rest"):
                    continue
                # What is seconds old is merely on its way through the stream.
                if self.work.context.exchange_ms() - row.time_ms >= _MISSED_AFTER_MS or run.scope == "start":
                    difference = named[row.reference]
                    finding_note(
                        run=run,
                        difference=difference,
                        now=self.work.context.now(),
                        action="booked",
                        proof=f"execution/list, executed at {row.time_ms}",
                        repaired=True,
                    )
                    found.append(difference)
            self.work.hearing.step(effects.plans)
        return found

    def _since_ms(self, end_ms: int, *, everything: bool) -> int | None:
        """Not later than the last booked fill, nor than where the last comparison ended; None: the first look."""
        account_id = self.work.context.account_id
        overlap_ms = _OVERLAP_WHOLE_MS if everything else _OVERLAP_MS
        runs = ReconciliationRun.objects.filter(account_id=account_id)
        fills = Fill.objects.filter(account_id=account_id).exclude(source="adopted")
        marks = runs.filter(executions_until_ms__gt=0).aggregate(
            first=Min("executions_until_ms"), last=Max("executions_until_ms")
        )
        last = fills.aggregate(last=Max("executed_at"))["last"]
        if marks["last"] is None:
            if not runs.filter(status__in=("good", "findings")).exists() and not self._has_traded():
                return None
            return end_ms - HISTORY_MS if last is None else to_ms(last) - overlap_ms
        recent_ms = end_ms - HISTORY_MS if last is None else max(to_ms(last) - overlap_ms, end_ms - HISTORY_MS)
        # What is older than the first look is in its opening already.
        return max(min(recent_ms, marks["last"] - overlap_ms), marks["first"] + _AHEAD_MS - HISTORY_MS)

    def _has_traded(self) -> bool:
        return Order.objects.filter(account_id=self.work.context.account_id).exists()

    def _ask(self, start_ms: int, end_ms: int) -> list[Execution]:
        self.work.keep()
        return patiently(lambda: self.work.context.gateway.executions(start_ms=start_ms, end_ms=end_ms))

    def _fetched(self) -> None:
        fault_point("after_reconciliation_fetch")
        self.work.drain()

    # -- the first look -----------------------------------------------------------------------------------------

    def _first(self, run: ReconciliationRun, start_ms: int, end_ms: int) -> list[Difference]:
        """Positions and the history of one moment: what the one has more than the other was held before."""
        rows, held = self._still(start_ms, end_ms)
        self._check_mode(held)
        self._fetched()
        told = self._by_position(rows)
        openings: dict[tuple[str, int], Opening] = {}
        with self.work.books():
            for key in sorted(told.keys() | held.keys()):
                opening = self._opening(key, told.get(key, []), held.get(key))
                if opening is not None:
                    openings[key] = opening
        found = self.book(run, rows)
        with self.work.books():
            found += [self._begun(run, key, opening, held.get(key)) for key, opening in openings.items()]
        return found

    def _still(self, start_ms: int, end_ms: int) -> tuple[list[Execution], dict[tuple[str, int], VenuePosition]]:
        """Asked around the positions until nothing has happened in between."""
        rows = self._ask(start_ms, end_ms)
        for _ in range(_STILL_LOOKS):
            positions = patiently(self.work.context.gateway.positions)
            again = self._ask(start_ms, end_ms)
            if {row.reference for row in again} == {row.reference for row in rows}:
                return again, {(row.symbol, row.position_idx): row for row in positions if row.size}
            rows = again
        raise Retryable("The account trades too fast to find its beginning.", code="no_still_moment")

    def _check_mode(self, held: Mapping[tuple[str, int], VenuePosition]) -> None:
        """Executions do not name their position: in the other mode they would be counted to a wrong one."""
        wrong = sorted({symbol for symbol, position_idx in held if bool(position_idx) != self.work.context.hedge_mode})
        if wrong:
            raise OperatorNeeded(
                f"Positions are held in the other position mode ({', '.join(wrong)}): close them, then it can be set.",
                code="position_mode",
                symbols=wrong,
            )

    def _by_position(self, rows: list[Execution]) -> dict[tuple[str, int], list[FillFact]]:
        found: dict[tuple[str, int], list[FillFact]] = {}
        for row in rows:
            if row.kind != FUNDING and row.is_bookable:
                key = (row.symbol, position_idx_of(row, hedge_mode=self.work.context.hedge_mode))
                fact = FillFact(row.reference, row.side, row.price, row.quantity, row.fee_usd, row.time_ms, row.seq)
                found.setdefault(key, []).append(fact)
        return found

    def _opening(self, key: tuple[str, int], told: list[FillFact], held: VenuePosition | None) -> Opening | None:
        symbol, position_idx = key
        opening = opening_of(
            told,
            held_size=held.signed_size if held else ZERO,
            held_price=held.avg_price if held else None,
            direction={1: 1, 2: -1}.get(position_idx, 0),
        )
        if opening is None:
            return None
        opening_book(
            account_id=self.work.context.account_id,
            symbol=symbol,
            position_idx=position_idx,
            side=Side.from_direction(1 if opening.size > 0 else -1),
            quantity=abs(opening.size),
            price=opening.price,
            at_ms=min((row.time_ms for row in told), default=held.created_ms if held else 0) - 1,
            now=self.work.context.now(),
        )
        return opening

    def _begun(
        self, run: ReconciliationRun, key: tuple[str, int], opening: Opening, held: VenuePosition | None
    ) -> Difference:
        symbol, position_idx = key
        difference = Difference(
            Kind.POSITION_OLD,
            f"{symbol}/{position_idx}",
            symbol,
            f"{plain(opening.size)} {symbol} is older than the venue's history: taken at {plain(opening.price)}.",
            {"opening": plain(opening.size), "price": plain(opening.price)},
        )
        action, proof = "opening booked", "the venue's position less its executions"
        if held is not None and opening.is_held_still:
            try:
                with transaction.atomic():
                    plan = position_adopt(
                        account_id=self.work.context.account_id,
                        held=held,
                        exchange_ms=self.work.context.exchange_ms(),
                        now=self.work.context.now(),
                        actor="reconciliation",
                        reason="older than the venue's history",
                    )
                action, proof = "adopted", f"plan {plan.pk} with provenance adopted"
            except AviGridError as error:  # it is shown as foreign then
                log.warning("opening_not_adopted", symbol=symbol, code=error.code)
        finding_note(
            run=run, difference=difference, now=self.work.context.now(), action=action, proof=proof, repaired=True
        )
        return difference
