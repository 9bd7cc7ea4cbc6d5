"""When a message goes where: severities, quiet hours, waits between attempts. Pure; times are passed in."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

SEVERITIES = ("info", "warning", "critical")
TOLD_KINDS = frozenset({"plan_opened", "plan_closed", "break_even", "funding", "notification_test"})
"""Of mere information these are worth a message; every warning is."""

FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 3600.0
JITTER_SHARE = 0.2
MAX_ATTEMPTS = 30
GIVE_UP_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """[start, end) on the clock of `zone`; may span midnight. Equal ends: never quiet."""

    start: time
    end: time
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Manner:
    """What a channel wants to hear, and when."""

    least_severity: str = "info"
    quiet: QuietHours | None = None


def wants(manner: Manner, *, kind: str, severity: str) -> bool:
    """An unknown severity counts as critical: rather told than lost."""
    if severity == "info" and kind not in TOLD_KINDS:
        return False
    return _weight(severity) >= _weight(manner.least_severity)


def quiet_until(manner: Manner, *, severity: str, now: datetime) -> datetime | None:
    """When the message may go out; None: at once. Critical ones know no quiet."""
    quiet = manner.quiet
    if quiet is None or quiet.start == quiet.end or _weight(severity) >= _weight("critical"):
        return None
    zone = ZoneInfo(quiet.zone)
    local = now.astimezone(zone)
    clock = local.time()
    if quiet.start < quiet.end:
        is_quiet = quiet.start <= clock < quiet.end
    else:
        is_quiet = clock >= quiet.start or clock < quiet.end
    if not is_quiet:
        return None
    day = local.date() if clock < quiet.end else local.date() + timedelta(days=1)
    return datetime.combine(day, quiet.end, tzinfo=zone).astimezone(now.tzinfo)


def wait_s(attempts: int, *, chance: float) -> float:
    """After `attempts` failures: doubled each time, shortened by up to a fifth, so that many do not come back at once.
    `chance` in [0, 1)."""
    full_s = min(FIRST_WAIT_S * 2.0 ** min(max(attempts, 1) - 1, 30), LONGEST_WAIT_S)
    return full_s * (1 - JITTER_SHARE * chance)


def is_hopeless(*, attempts: int, age: timedelta) -> bool:
    return attempts >= MAX_ATTEMPTS or age > GIVE_UP_AFTER


def _weight(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
