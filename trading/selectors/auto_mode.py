"""Where the software may place signals by itself."""

from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from avigrid.common.reading import read_once
from risk.selectors.history import halted_since
from trading.models import AutoMode


def auto_modes_standing(account_id: int, *, now: datetime) -> list[AutoMode]:
    """By symbol; none that was revoked, has run out, or that a HALT has overtaken, re-armed since or not."""
    return list(_unrevoked(account_id, now).exclude(halted_since("granted_at")).order_by("symbol"))


@read_once
def auto_modes_shown(account_id: int) -> list[AutoMode]:
    """As `auto_modes_standing`; once a page, whoever asks."""
    return auto_modes_standing(account_id, now=timezone.now())


def auto_mode_of(account_id: int, symbol: str, *, now: datetime) -> AutoMode | None:
    """None: off."""
    return _unrevoked(account_id, now).exclude(halted_since("granted_at")).filter(symbol=symbol).first()


def auto_modes_overtaken(account_id: int, *, now: datetime) -> list[AutoMode]:
    """Given before a HALT of the account or their symbol, and not yet ended in the books."""
    return list(_unrevoked(account_id, now).filter(halted_since("granted_at")).order_by("symbol"))


def _unrevoked(account_id: int, now: datetime) -> QuerySet[AutoMode]:
    rows = AutoMode.objects.filter(account_id=account_id, revoked_at__isnull=True, until__gt=now)
    return rows.select_related("granted_by")
