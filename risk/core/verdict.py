"""The verdict: every check is evaluated and listed, passed or not."""

from dataclasses import dataclass
from enum import StrEnum

from risk.core.checks import exposure, knowledge, loss, margin, orders, pace, permission
from risk.core.limits import RiskLimits
from risk.core.outcome import Check, Outcome
from risk.core.request import RiskRequest
from risk.core.snapshot import Snapshot

CHECKS: tuple[Check, ...] = (
    permission.kill_switch,
    permission.trading_state,
    permission.stage,
    permission.symbol_open,
    knowledge.reconciled,
    knowledge.stale_data,
    knowledge.clock,
    knowledge.dependencies,
    exposure.max_concurrent,
    exposure.plan_risk_r,
    exposure.max_total_risk_r,
    exposure.per_base,
    exposure.per_symbol_risk_r,
    pace.anti_churn,
    loss.daily_loss_r,
    loss.drawdown,
    pace.loss_streak,
    margin.leverage,
    margin.notional,
    margin.margin,
    margin.liquidation,
    pace.order_budget,
    orders.price_band,
    orders.on_step,
    orders.reduce_only,
    orders.stop_move,
)


class Ruling(StrEnum):
    """QUEUE: only waiting stands between the request and an allow; offer it again at `available_at_ms`."""

    ALLOW = "allow"
    QUEUE = "queue"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    ruling: Ruling
    outcomes: tuple[Outcome, ...]
    available_at_ms: int | None = None

    @property
    def allowed(self) -> bool:
        return self.ruling is Ruling.ALLOW

    @property
    def refusals(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if not outcome.passed)

    @property
    def warnings(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.warning)

    @property
    def sentence(self) -> str:
        """For the operator: why not, or that nothing stands against it."""
        return " ".join(outcome.sentence for outcome in self.refusals) or "All risk checks passed."


def evaluate(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Verdict:
    outcomes = tuple(check(request, snapshot, limits, now_ms) for check in CHECKS)
    refused = [outcome for outcome in outcomes if not outcome.passed]
    if not refused:
        return Verdict(Ruling.ALLOW, outcomes)
    if [outcome.code for outcome in refused] == ["anti_churn"]:
        return Verdict(Ruling.QUEUE, outcomes, refused[0].available_at_ms)
    return Verdict(Ruling.DENY, outcomes)
