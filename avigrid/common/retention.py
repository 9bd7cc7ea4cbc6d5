"""How long rows stay in the database: one table of days for every app, from settings.KEEP_DAYS; 0 = for ever."""

from datetime import datetime, timedelta

from django.conf import settings


def keep_days(kind: str) -> int:
    return int(settings.AVIGRID["KEEP_DAYS"][kind])


def kept_since(kind: str, now: datetime) -> datetime | None:
    """Rows before this moment may go; None where they stay for ever."""
    days = keep_days(kind)
    return now - timedelta(days=days) if days else None
