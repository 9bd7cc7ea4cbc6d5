"""The limits in force."""

from dataclasses import fields

from django.db.models import QuerySet

from risk.core.limits import RiskLimits
from risk.models import RiskLimitsVersion

FIELDS = tuple(field.name for field in fields(RiskLimits))


def current_limits(account_id: int) -> tuple[int, RiskLimits]:
    """(version, limits); version 0 is the defaults, in force until an admin makes the first version."""
    row = RiskLimitsVersion.objects.filter(account_id=account_id, active=True).order_by().first()
    return (0, RiskLimits()) if row is None else (row.version, limits_from(row))


def limits_of(account_id: int) -> RiskLimits:
    return current_limits(account_id)[1]


def limits_from(row: RiskLimitsVersion) -> RiskLimits:
    return RiskLimits(**{name: getattr(row, name) for name in FIELDS})


def limits_history(account_id: int) -> QuerySet[RiskLimitsVersion]:
    return RiskLimitsVersion.objects.filter(account_id=account_id).select_related("created_by").order_by("-version")
