"""Do we know enough to add risk? Old, missing or unproven knowledge counts as none."""

from decimal import Decimal

from risk.core.limits import RiskLimits
from risk.core.outcome import Number, Outcome, not_asked, shown
from risk.core.request import RiskRequest
from risk.core.snapshot import Snapshot


def reconciled(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("reconciled", request)
    limit_ms = limits.reconciliation_max_age_s * 1000
    last = snapshot.reconciliation
    if last.finished_ms is None:
        return Outcome("reconciled", False, "The account was never reconciled.", {"age_ms": None, "limit_ms": limit_ms})
    age_ms = now_ms - last.finished_ms
    numbers: dict[str, Number] = {"age_ms": age_ms, "limit_ms": limit_ms, "good": str(last.good).lower()}
    if not last.good:
        return Outcome("reconciled", False, "The last reconciliation left something unexplained.", numbers)
    passed = abs(age_ms) < limit_ms
    sentence = f"The last good reconciliation is {_seconds(age_ms)} s old, limit {_seconds(limit_ms)} s."
    return Outcome("reconciled", passed, sentence, numbers)


def stale_data(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("stale_data", request)
    symbol = request.symbol
    seen = next((row for row in snapshot.freshness if row.symbol == symbol), None)
    if seen is None or seen.book_ms is None or seen.bar_end_ms is None:
        missing = "bars" if seen is not None and seen.book_ms is not None else "order book"
        return Outcome("stale_data", False, f"No {missing} of {symbol} was received yet.")
    book_limit_ms = limits.book_max_age_s * 1000
    bar_limit_ms = limits.bars_max_age * seen.bar_interval_min * 60_000
    book_age_ms, bar_age_ms = now_ms - seen.book_ms, now_ms - seen.bar_end_ms
    numbers: dict[str, Number] = {
        "book_age_ms": book_age_ms,
        "book_limit_ms": book_limit_ms,
        "bar_age_ms": bar_age_ms,
        "bar_limit_ms": bar_limit_ms,
    }
    # A time from the future is as wrong as an old one: some clock cannot be trusted.
    passed = abs(book_age_ms) <= book_limit_ms and abs(bar_age_ms) <= bar_limit_ms
    sentence = (
        f"The book of {symbol} is {_seconds(book_age_ms)} s old (limit {_seconds(book_limit_ms)}), "
        f"its newest bar {_seconds(bar_age_ms)} s (limit {_seconds(bar_limit_ms)})."
    )
    return Outcome("stale_data", passed, sentence, numbers)


def clock(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("clock", request)
    offset_ms, limit_ms = snapshot.clock_offset_ms, limits.max_clock_offset_ms
    sentence = f"Our clock is {offset_ms} ms from the venue's, limit {limit_ms} ms."
    return Outcome("clock", abs(offset_ms) <= limit_ms, sentence, {"offset_ms": offset_ms, "limit_ms": limit_ms})


def dependencies(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("dependencies", request)
    down = ", ".join(sorted(snapshot.unavailable))
    if down:
        return Outcome("dependencies", False, f"No new risk while {down} cannot be reached.", {"down": down})
    return Outcome("dependencies", True, "Everything new risk needs can be reached.")


def _seconds(ms: int) -> str:
    return shown(Decimal(ms) / 1000, 1)
