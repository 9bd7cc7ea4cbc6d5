"""Where the software may place signals by itself."""

from datetime import datetime

from trading.models import AutoMode


def auto_modes_standing(account_id: int, *, now: datetime) -> list[AutoMode]:
    """By symbol; none that was revoked or has run out."""
    rows = AutoMode.objects.filter(account_id=account_id, revoked_at__isnull=True, until__gt=now)
    return list(rows.select_related("granted_by").order_by("symbol"))


def auto_mode_of(account_id: int, symbol: str, *, now: datetime) -> AutoMode | None:
    """None: off."""
    rows = AutoMode.objects.filter(account_id=account_id, symbol=symbol, revoked_at__isnull=True, until__gt=now)
    return rows.select_related("granted_by").first()
