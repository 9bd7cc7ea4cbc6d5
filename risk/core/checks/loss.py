"""How much was lost already?"""

from risk.core.drawdown import DrawdownLevel, drawdown_level, drawdown_ratio
from risk.core.limits import RiskLimits
from risk.core.outcome import Number, Outcome, not_asked, share, shown
from risk.core.request import RiskRequest
from risk.core.snapshot import Snapshot
from risk.core.states import State


def daily_loss_r(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("daily_loss_r", request)
    loss_usd = snapshot.day_loss_usd
    loss_r = loss_usd / limits.r_usd
    numbers: dict[str, Number] = {"loss_r": loss_r, "limit_r": limits.daily_loss_r, "loss_usd": loss_usd}
    sentence = f"Today's result is {shown(-loss_r)} R, trading stops at {shown(-limits.daily_loss_r)} R."
    return Outcome("daily_loss_r", loss_usd < limits.daily_loss_r * limits.r_usd, sentence, numbers)


def drawdown(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("drawdown", request)
    peak_usd = snapshot.guards.peak_equity_usd
    level = drawdown_level(snapshot.equity_usd, peak_usd, limits)
    ratio = drawdown_ratio(snapshot.equity_usd, peak_usd)
    numbers: dict[str, Number] = {
        "drawdown_ratio": ratio,
        "level": level.value,
        "equity_usd": snapshot.equity_usd,
        "peak_usd": peak_usd,
        "limit_ratio": limits.drawdown_orange_ratio,
    }
    sentence = f"Equity is {share(ratio)} below its peak (level {level}), entries stop at {_stop_at(limits)}."
    passed = level.demands is State.ACTIVE
    return Outcome("drawdown", passed, sentence, numbers, warning=level is DrawdownLevel.YELLOW)


def _stop_at(limits: RiskLimits) -> str:
    return share(limits.drawdown_orange_ratio)
