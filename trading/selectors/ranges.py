"""The stretch of time a results page looks back over."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from trading.selectors import results

RANGES = {"1d": 1, "7d": 7, "30d": 30, "90d": 90, "all": 0}
DEFAULT = "30d"


def range_since(account_id: int, chosen: str) -> tuple[datetime, datetime]:
    """From and until, counted back from the newest booking, which on a simulated exchange is not the wall's now."""
    now = results.newest_booking(account_id) or timezone.now()
    days = RANGES[chosen]
    return (now - timedelta(days=days) if days else datetime(2000, 1, 1, tzinfo=UTC)), now
