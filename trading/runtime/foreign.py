"""Carrying out what people decided about foreign positions and orders."""

from dataclasses import dataclass

import structlog

from avigrid.common.leases import LeaseLost
from avigrid.kernel.errors import AviGridError, OrderNotFound, Rejected
from avigrid.kernel.money import plain
from avigrid.kernel.portfolio import VenuePosition
from trading.engine.wishes import Wish
from trading.models import ReconciliationFinding
from trading.runtime.context import Context
from trading.runtime.flatten import Flattener
from trading.services.adoption import position_accept, position_adopt
from trading.services.findings import finding_close
from trading.services.foreign import attempt_due, attempt_tell, finding_attempt

log = structlog.get_logger(__name__)
_CARRIED_OUT = (Wish.ADOPT, Wish.FLATTEN, Wish.CANCEL, Wish.ACCEPT)


@dataclass(slots=True)
class Foreign:
    context: Context

    def run(self) -> bool:
        """True where something was done, so that the next look at positions should come soon."""
        wished = ReconciliationFinding.objects.filter(
            account_id=self.context.account_id, is_open=True, details__wish__in=_CARRIED_OUT
        )
        done = False
        for finding in wished:
            due = attempt_due(finding)
            if due is None or due <= self.context.now():
                done = self._try(finding) or done
        return done

    def _try(self, finding: ReconciliationFinding) -> bool:
        with self.context.books():
            finding_attempt(finding=finding, now=self.context.now())
        try:
            return self._carry_out(finding)
        except LeaseLost:
            raise
        except AviGridError as error:
            log.warning("wish_not_carried_out", finding=finding.pk, code=error.code)
            with self.context.books():
                attempt_tell(finding=finding, failure=error.code, now=self.context.now())
        return False

    def _carry_out(self, finding: ReconciliationFinding) -> bool:
        wish = Wish(finding.details["wish"])
        if wish is Wish.CANCEL:
            return self._cancel(finding)
        symbol, _, index = finding.subject.partition("/")
        position_idx = int(index)
        rows = self.context.gateway.position(symbol)
        held = next((row for row in rows if row.position_idx == position_idx and row.size), None)
        if wish is Wish.ACCEPT:
            self._accept(finding, symbol, position_idx, held)
        elif held is None:
            self._close(finding, "gone", "the venue shows no such position any more")
        elif wish is Wish.ADOPT:
            self._adopt(finding, held)
        else:
            flattener = Flattener(self.context.gateway, symbol)
            flattener.close([held], now=self.context.now())
            if flattener.errors:
                raise Rejected(flattener.errors[0], code=flattener.errors[0].rsplit(" ", 1)[-1])
        return True

    def _adopt(self, finding: ReconciliationFinding, held: VenuePosition) -> None:
        with self.context.books():
            plan = position_adopt(
                account_id=self.context.account_id,
                held=held,
                exchange_ms=self.context.exchange_ms(),
                now=self.context.now(),
                actor="execution",
                reason="a person decided so",
            )
            finding_close(
                finding=finding, now=self.context.now(), resolution="adopted", proof=f"it is plan {plan.pk} now"
            )

    def _accept(
        self, finding: ReconciliationFinding, symbol: str, position_idx: int, held: VenuePosition | None
    ) -> None:
        price = self.context.prices.read({symbol}).get(symbol)
        with self.context.books():
            position_accept(
                account_id=self.context.account_id,
                symbol=symbol,
                position_idx=position_idx,
                held=held,
                mark_price=price.mark if price else None,
                exchange_ms=self.context.exchange_ms(),
                now=self.context.now(),
                actor="execution",
                reason="a person decided so",
            )
            proof = f"the books say {plain(held.signed_size) if held else 0} now, as the venue does"
            finding_close(finding=finding, now=self.context.now(), resolution="accepted", proof=proof)

    def _cancel(self, finding: ReconciliationFinding) -> bool:
        order_id = str(finding.details.get("order_id", ""))
        if not order_id:
            raise Rejected("The finding names no order.", code="no_order_id")
        try:
            self.context.gateway.cancel(symbol=finding.symbol, order_id=order_id)
        except OrderNotFound:
            self._close(finding, "gone", "the venue does not know it any more")
            return True
        self._close(finding, "cancelled", "the venue took the cancel")
        return True

    def _close(self, finding: ReconciliationFinding, resolution: str, proof: str) -> None:
        with self.context.books():
            finding_close(finding=finding, now=self.context.now(), resolution=resolution, proof=proof)
