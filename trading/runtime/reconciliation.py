"""Books against venue, both ways, and the repair of what differs. One at a time per account, by lease.

The order matters: executions first, then orders, then positions, so that whatever is explainable is explained before
anything is called unexplained. A question without an answer ends the run as `incomplete`: nothing is concluded.
"""

from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.db.models import Max

from avigrid.common import push
from avigrid.common.leases import LeaseLost
from avigrid.kernel.errors import AviGridError
from trading.engine.differences import Difference, Kind
from trading.models import EquitySnapshot, ReconciliationFinding, ReconciliationRun, Severity
from trading.runtime import gauges
from trading.runtime.asking import patiently
from trading.runtime.comparing import Comparing
from trading.runtime.context import Context
from trading.runtime.faults import fault_point
from trading.runtime.hearing import Hearing
from trading.runtime.history import History
from trading.runtime.order_comparison import OrderComparison
from trading.runtime.position_comparison import PositionComparison
from trading.runtime.wallet import wallet_check
from trading.services.equity import TOLERATED_USD, balance_gap, equity_store
from trading.services.findings import finding_note
from trading.services.times import to_ms

log = structlog.get_logger(__name__)

_LEDGER_MS = 90 * 24 * 3_600_000
_OVERLAP_MS = 10 * 60_000


@dataclass(frozen=True, slots=True)
class Result:
    """`status`: good, findings, incomplete (an answer was missing), busy (it is another process's turn).

    Good or findings: every question was answered, and the account may trade. What is critical keeps new risk out of its
    own symbol: entries wait there until it is settled (`trading.selectors.entry_stops`).
    """

    status: str
    critical: int = 0
    warnings: int = 0
    infos: int = 0
    error: str = ""


class Reconciler:
    def __init__(self, context: Context, hearing: Hearing, drain: Callable[[], None] = lambda: None) -> None:
        """`drain`: see Comparing."""
        self.context = context
        self.work = Comparing(context, hearing, drain)
        self.history = History(self.work)
        self.orders = OrderComparison(self.work)
        self.positions = PositionComparison(self.work, self.history)

    def run(self, scope: str) -> Result:
        """Scopes: orders, positions, wallet; start, reconnect, full and manual look at everything."""
        fault_point("before_reconciliation")
        if not self.work.begin():
            return Result("busy")
        try:
            return self._run(scope)
        finally:
            self.work.end()

    def _run(self, scope: str) -> Result:
        now = self.context.now()
        run = ReconciliationRun(account_id=self.context.account_id, scope=scope, status="running", started_at=now)
        run.fence = self.work.lease.token if self.work.lease else 0
        run.save()
        found: list[Difference] = []
        try:
            everything = scope in ("start", "reconnect", "full", "manual")
            if everything or scope == "positions":
                found += self.history.compare(run, everything=everything)
            if everything or scope == "orders":
                found += self.orders.compare(run)
            if everything or scope == "positions":
                found += self.positions.compare(run)
            if everything or scope == "wallet":
                found += self._wallet(run)
        except AviGridError as error:
            if isinstance(error, LeaseLost) and not self.work.is_turn(error):
                raise
            log.warning("reconciliation_incomplete", scope=scope, code=error.code)
            return self._finish(run, Result("incomplete", error=f"{error.code}: {error.message}"[:300]), found)
        counts = [sum(row.level == level for row in found) for level in ("critical", "warning", "info")]
        still_open = ReconciliationFinding.objects.filter(
            account_id=self.context.account_id, is_open=True, severity=Severity.CRITICAL
        ).count()
        status = "findings" if found or still_open else "good"
        return self._finish(run, Result(status, max(counts[0], still_open), counts[1], counts[2]), found)

    # -- wallet -------------------------------------------------------------------------------------------------

    def _wallet(self, run: ReconciliationRun) -> list[Difference]:
        self.work.keep()
        gateway = self.context.gateway
        wallet = patiently(gateway.wallet)
        everything = run.scope in ("full", "manual", "start")
        unexplained = abs(balance_gap(self.context.account_id, wallet)) > TOLERATED_USD
        end_ms = self.context.exchange_ms() + 60_000
        start_ms = self._explained_until_ms(end_ms)
        rows = patiently(lambda: gateway.ledger(start_ms=start_ms, end_ms=end_ms)) if everything or unexplained else []
        self.work.drain()
        with self.work.books():
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
                self.work.close_gone(found, (Kind.WALLET_OFF,))
        return found

    def _explained_until_ms(self, end_ms: int) -> int:
        """A day back; after a longer absence to the last wallet whose balance was explained."""
        last = EquitySnapshot.objects.filter(account_id=self.context.account_id).aggregate(last=Max("at"))["last"]
        day_ms = end_ms - 24 * 3_600_000
        return day_ms if last is None else max(min(day_ms, to_ms(last) - _OVERLAP_MS), end_ms - _LEDGER_MS)

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
