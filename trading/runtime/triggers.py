"""What pulls the kill switch by itself while the execution process lives: an error rate, and prices that stop coming.

Each acts once for one occurrence: after a re-arm it stays quiet until its cause was gone in between.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from risk.core.states import State, StateSource
from risk.selectors.limits import limits_of
from risk.services.states import tighten
from trading.engine.lifecycle import OrderEventKind
from trading.models import OPEN_PLAN_STATUSES, OrderEvent, Plan
from trading.runtime.context import Context
from trading.selectors.risk_view import marks_of
from trading.services.alerts import alert_raise

WINDOW = timedelta(seconds=60)
_ERRORS = (OrderEventKind.REJECT.value, OrderEventKind.UNCERTAIN.value)


@dataclass(slots=True)
class Triggers:
    context: Context
    _pulled: set[StateSource] = field(default_factory=set)
    _heard: dict[str, datetime] = field(default_factory=dict)
    """When a symbol that matters last had a fresh price, or began to matter."""

    def look(self) -> None:
        now = self.context.now()
        limits = limits_of(self.context.account_id)
        errors = OrderEvent.objects.filter(
            order__account_id=self.context.account_id, event__in=_ERRORS, at__gt=now - WINDOW
        ).count()
        self._judge(
            StateSource.ERROR_RATE,
            errors >= limits.halt_after_errors,
            f"{errors} orders failed within a minute (limit {limits.halt_after_errors}).",
        )
        if self.context.redis_down:
            return  # prices come through it; without it there is no new risk anyway, and it needs no re-arm
        silent = self._silent(now, timedelta(seconds=limits.halt_after_stale_s))
        self._judge(
            StateSource.STALE_DATA,
            bool(silent),
            f"No price of {', '.join(silent)} for {limits.halt_after_stale_s} s, and plans are open there.",
        )

    def _silent(self, now: datetime, patience: timedelta) -> list[str]:
        plans = Plan.objects.filter(account_id=self.context.account_id, status__in=OPEN_PLAN_STATUSES)
        symbols = set(plans.values_list("symbol", flat=True))
        marks = marks_of(symbols)
        self._heard = {
            symbol: now - timedelta(seconds=marks[symbol].age_s) if symbol in marks else self._heard.get(symbol, now)
            for symbol in symbols
        }
        return sorted(symbol for symbol, heard_at in self._heard.items() if now - heard_at > patience)

    def _judge(self, source: StateSource, is_wrong: bool, reason: str) -> None:
        if not is_wrong:
            self._pulled.discard(source)
            return
        if source in self._pulled:
            return
        self._pulled.add(source)
        now = self.context.now()
        with self.context.books():
            tighten(
                account_id=self.context.account_id,
                symbol=None,
                to=State.HALTED,
                source=source,
                reason=reason,
                actor="execution",
                now=now,
            )
            alert_raise(
                kind=f"kill_switch_{source}",
                severity="critical",
                dedupe_key=f"{self.context.account_id}:{now:%Y-%m-%d-%H-%M-%S}",
                sentence=f"Halted: {reason}",
                now=now,
            )
