"""Carrying out what people decided about foreign positions and orders."""

from dataclasses import dataclass

import structlog

from avigrid.kernel.errors import AviGridError, OrderNotFound, Rejected
from trading.engine.wishes import Wish
from trading.models import ReconciliationFinding
from trading.runtime.context import Context
from trading.runtime.flatten import Flattener
from trading.services.adoption import position_adopt
from trading.services.findings import finding_close

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Foreign:
    context: Context

    def run(self) -> bool:
        """True where something was done, so that the next look at positions should come soon."""
        wished = ReconciliationFinding.objects.filter(
            account_id=self.context.account_id, is_open=True, details__wish__in=[Wish.ADOPT, Wish.FLATTEN, Wish.CANCEL]
        )
        done = False
        for finding in wished:
            try:
                done = self._carry_out(finding) or done
            except AviGridError as error:
                log.warning("wish_not_carried_out", finding=finding.pk, code=error.code)
        return done

    def _carry_out(self, finding: ReconciliationFinding) -> bool:
        wish = Wish(finding.details["wish"])
        if wish is Wish.CANCEL:
            return self._cancel(finding)
        symbol, _, position_idx = finding.subject.partition("/")
        rows = self.context.gateway.position(symbol)
        held = next((row for row in rows if row.position_idx == int(position_idx) and row.size), None)
        if held is None:
            self._close(finding, "gone", "the venue shows no such position any more")
        elif wish is Wish.ADOPT:
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
        else:
            Flattener(self.context.gateway, symbol).close([held], now=self.context.now())
        return True

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
