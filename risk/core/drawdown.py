"""How far equity stands below its peak, and what that demands."""

from decimal import Decimal
from enum import StrEnum

from avigrid.kernel.money import ZERO
from risk.core.limits import RiskLimits
from risk.core.states import State


class DrawdownLevel(StrEnum):
    NONE = "none"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"

    @property
    def depth(self) -> int:
        return list(DrawdownLevel).index(self)

    @property
    def demands(self) -> State:
        """Yellow only warns."""
        return {DrawdownLevel.ORANGE: State.REDUCING, DrawdownLevel.RED: State.HALTED}.get(self, State.ACTIVE)


def drawdown_ratio(equity_usd: Decimal, peak_usd: Decimal | None) -> Decimal:
    """In [0, 1] for positive equity; more than 1 where equity is negative."""
    if peak_usd is None or peak_usd <= 0 or equity_usd >= peak_usd:
        return ZERO
    return (peak_usd - equity_usd) / peak_usd


def drawdown_level(equity_usd: Decimal, peak_usd: Decimal | None, limits: RiskLimits) -> DrawdownLevel:
    """A level begins exactly at its ratio. Multiplied, not divided, so that no rounding decides."""
    if peak_usd is None or peak_usd <= 0:
        return DrawdownLevel.NONE
    lost_usd = peak_usd - equity_usd
    if lost_usd >= limits.drawdown_red_ratio * peak_usd:
        return DrawdownLevel.RED
    if lost_usd >= limits.drawdown_orange_ratio * peak_usd:
        return DrawdownLevel.ORANGE
    if lost_usd >= limits.drawdown_yellow_ratio * peak_usd:
        return DrawdownLevel.YELLOW
    return DrawdownLevel.NONE


def peak_after(peak_usd: Decimal | None, equity_usd: Decimal, *, transfer_usd: Decimal = ZERO) -> Decimal:
    """The new peak, given equity AFTER a transfer (in > 0, out < 0) that happened since the last look.

    A transfer scales the peak with the equity it changed, so the drawdown ratio is the same before and after:
    a deposit hides no loss, a withdrawal is none.
    """
    before_usd = equity_usd - transfer_usd
    if peak_usd is None or peak_usd <= 0 or before_usd <= 0:
        return equity_usd
    if transfer_usd:
        return max(max(peak_usd, before_usd) * equity_usd / before_usd, equity_usd)
    return max(peak_usd, equity_usd)
