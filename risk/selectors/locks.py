"""Locks that run, and when they open."""

from dataclasses import dataclass
from datetime import UTC, datetime

from risk.core.locks import anti_churn_free_ms, loss_streak_free_ms
from risk.core.snapshot import LastEntry
from risk.models import EntryMark
from risk.selectors.guards import meter_of
from risk.selectors.limits import limits_of


@dataclass(frozen=True, slots=True)
class LockView:
    """`symbol` "" and `direction` 0 stand for all."""

    kind: str
    symbol: str
    direction: int
    since: datetime
    until: datetime
    sentence: str


def locks_of(account_id: int, now: datetime) -> list[LockView]:
    """The locks that still hold at `now`, the one that opens first first."""
    limits = limits_of(account_id)
    now_ms = _ms(now)
    locks = []
    for mark in EntryMark.objects.filter(account_id=account_id):
        free_ms = anti_churn_free_ms(LastEntry(mark.symbol, mark.direction, _ms(mark.entered_at)), limits)
        side = "long" if mark.direction > 0 else "short"
        sentence = f"No new {side} entry on {mark.symbol} so soon after the last one."
        locks.append(LockView("anti_churn", mark.symbol, mark.direction, mark.entered_at, _time(free_ms), sentence))
    meter = meter_of(account_id)
    if meter is not None and meter.last_stop_at is not None:
        pause_ms = loss_streak_free_ms(meter.stop_streak, _ms(meter.last_stop_at), limits)
        if pause_ms is not None:
            sentence = f"{meter.stop_streak} stops in a row pause all new entries."
            locks.append(LockView("loss_streak", "", 0, meter.last_stop_at, _time(pause_ms), sentence))
    return sorted((lock for lock in locks if _ms(lock.until) > now_ms), key=lambda lock: (lock.until, lock.symbol))


def anti_churn_until(account_id: int, *, symbol: str, direction: int, now: datetime) -> datetime | None:
    """When the symbol and side frees up; None where it is free already."""
    mark = EntryMark.objects.filter(account_id=account_id, symbol=symbol, direction=direction).first()
    if mark is None:
        return None
    until = _time(anti_churn_free_ms(LastEntry(symbol, direction, _ms(mark.entered_at)), limits_of(account_id)))
    return until if until > now else None


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
