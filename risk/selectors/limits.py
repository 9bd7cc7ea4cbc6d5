"""The limits in force."""

from dataclasses import fields

from django.db import connection
from django.db.models import QuerySet

from avigrid.common.reading import read_once
from risk.core.limits import RiskLimits
from risk.models import RiskLimitsVersion

FIELDS = tuple(field.name for field in fields(RiskLimits))
# Written out once: composing it anew takes the ORM longer than the database needs to answer.
_CURRENT = f"SELECT version, {', '.join(FIELDS)} FROM risk_risklimitsversion WHERE account_id = %s AND active"  # noqa: S608


@read_once
def current_limits(account_id: int) -> tuple[int, RiskLimits]:
    """(version, limits); version 0 is the defaults, in force until an admin makes the first version."""
    with connection.cursor() as cursor:
        cursor.execute(_CURRENT, [account_id])
        row = cursor.fetchone()
    return (0, RiskLimits()) if row is None else (row[0], RiskLimits(*row[1:]))


def limits_of(account_id: int) -> RiskLimits:
    return current_limits(account_id)[1]


def limits_history(account_id: int) -> QuerySet[RiskLimitsVersion]:
    return RiskLimitsVersion.objects.filter(account_id=account_id).select_related("created_by").order_by("-version")
