"""Milliseconds, datetimes and PostgreSQL's own microseconds: the only place where they meet."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PG_EPOCH_MS = 946_684_800_000
"""2000-01-01, where PostgreSQL's binary timestamps begin."""


def to_datetime(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(ms))


def to_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def floor_to(ms: int, interval_min: int) -> int:
    """The open time of the bar that contains `ms`."""
    return ms - ms % (interval_min * 60_000)
