"""Locks that open by themselves. Derived from what happened and today's limits, so changed limits act at once."""

from risk.core.limits import RiskLimits
from risk.core.snapshot import LastEntry


def anti_churn_free_ms(entry: LastEntry, limits: RiskLimits) -> int:
    return entry.time_ms + limits.anti_churn_s * 1000


def loss_streak_free_ms(stops: int, last_stop_ms: int | None, limits: RiskLimits) -> int | None:
    """When entries resume after the newest stop of a streak; None where no pause was earned."""
    if stops < limits.loss_streak_stops or last_stop_ms is None:
        return None
    return last_stop_ms + limits.loss_streak_pause_min * 60_000
