"""A replayed plan that is over, as the report tells it."""

from trading.avi5.decide import Decision
from trading.avi5.state import PlanState
from trading.backtest.holdings import Holdings
from trading.backtest.result import PlanResult

END_OF_DATA = "end_of_data"
"""The reason of a plan that was still alive when the bars ended, also if its close was decided at the last of them."""


def result_of(
    decision: Decision,
    plan: PlanState,
    held: Holdings,
    *,
    number: int,
    bars: tuple[int, int],
    closed_ms: int,
    outlived_data: bool,
) -> PlanResult:
    """`bars`: the fine bars in which it acted, first and last."""
    spec = plan.spec
    known_reason = None if outlived_data else plan.close_reason
    return PlanResult(
        number=number,
        symbol=spec.symbol,
        direction=spec.direction,
        profile=spec.profile.value,
        decided_ms=decision.decided_ms,
        closed_ms=closed_ms,
        entry=spec.entry,
        stop=spec.stop,
        planned_loss_usd=spec.planned_loss_usd,
        score=decision.score,
        cost_r=decision.cost_r,
        hour=decision.hour,
        used_proxy=decision.used_proxy,
        status=plan.status.value,
        reason=known_reason.value if known_reason else END_OF_DATA,
        legs=tuple(held.legs),
        funding_usd=held.funding,
        r_usd=spec.r_usd,
        first_bar=bars[0],
        last_bar=bars[1],
    )
