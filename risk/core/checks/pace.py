"""Not too soon, not too often."""

from risk.core.limits import RiskLimits
from risk.core.locks import anti_churn_free_ms, loss_streak_free_ms
from risk.core.outcome import Number, Outcome, not_asked
from risk.core.request import RiskRequest
from risk.core.snapshot import Snapshot


def anti_churn(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("anti_churn", request)
    frees = [
        anti_churn_free_ms(entry, limits)
        for entry in (*snapshot.last_entries, *snapshot.guards.entries)
        if entry.symbol == request.symbol and entry.direction == request.direction
    ]
    free_ms = max(frees, default=now_ms)
    left_s = _ceil_s(free_ms - now_ms)
    numbers: dict[str, Number] = {"wait_s": left_s, "limit_s": limits.anti_churn_s}
    if left_s > 0:
        word = "long" if request.direction > 0 else "short"
        sentence = f"The last {word} entry on {request.symbol} was too recent; free in {left_s} s."
        return Outcome("anti_churn", False, sentence, numbers, available_at_ms=free_ms)
    return Outcome("anti_churn", True, f"The last such entry on {request.symbol} is long enough ago.", numbers)


def loss_streak(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("loss_streak", request)
    guards = snapshot.guards
    free_ms = loss_streak_free_ms(guards.stop_streak, guards.last_stop_ms, limits)
    left_s = _ceil_s((now_ms if free_ms is None else free_ms) - now_ms)
    numbers: dict[str, Number] = {"stops": guards.stop_streak, "limit": limits.loss_streak_stops, "wait_s": left_s}
    if left_s > 0:
        sentence = f"{guards.stop_streak} stops in a row: new entries pause for another {left_s} s."
        return Outcome("loss_streak", False, sentence, numbers, available_at_ms=free_ms)
    return Outcome("loss_streak", True, f"{guards.stop_streak} stops in a row, no pause runs.", numbers)


def order_budget(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    """Entries only: an exit over budget waits in its lane, it is never refused."""
    if not request.opens:
        return not_asked("order_budget", request)
    minute = snapshot.orders_last_minute + len(request.lines)
    day = snapshot.orders_today + len(request.lines)
    passed = minute <= limits.orders_per_minute and day <= limits.orders_per_day
    sentence = (
        f"Orders would be {minute} this minute (limit {limits.orders_per_minute}) "
        f"and {day} today (limit {limits.orders_per_day})."
    )
    numbers: dict[str, Number] = {
        "minute": minute,
        "minute_limit": limits.orders_per_minute,
        "day": day,
        "day_limit": limits.orders_per_day,
    }
    return Outcome("order_budget", passed, sentence, numbers)


def _ceil_s(ms: int) -> int:
    return max(0, -(-ms // 1000))
