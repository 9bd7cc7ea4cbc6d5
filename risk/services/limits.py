"""Changing limits: always a new version, in force for the next decision."""

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import DecimalField
from django.utils import timezone

from accounts.services.audit import audit
from avigrid.common import push
from avigrid.kernel.errors import Rejected
from risk.core.limits import RiskLimits, changed, loosened
from risk.models import RiskLimitsVersion
from risk.selectors.limits import FIELDS, current_limits
from risk.services.account_lock import account_lock

if TYPE_CHECKING:
    from accounts.models import User


def limits_update(
    *,
    account_id: int,
    changes: Mapping[str, Decimal | int | bool],
    actor: "User | str",
    reason: str,
    otp_used: bool = False,
    expected_version: int | None = None,
) -> RiskLimitsVersion | None:
    """The new version, or None where nothing differs. Permitting more than before needs a one-time password.

    Raises Rejected: `unknown_limit`, `invalid_limit`, `reason_needed`, `otp_needed`, `limits_moved`.
    """
    unknown = sorted(set(changes) - set(FIELDS))
    if unknown:
        raise Rejected(f"There is no limit named {', '.join(unknown)}.", code="unknown_limit", names=unknown)
    if not reason.strip():
        raise Rejected("A change of limits needs a reason.", code="reason_needed")
    with transaction.atomic():
        account_lock(account_id=account_id)
        version, old = current_limits(account_id)
        if expected_version is not None and expected_version != version:
            raise Rejected(
                f"The limits are at version {version} by now, not {expected_version}.",
                code="limits_moved",
                version=version,
            )
        new = _merged(old, changes)
        names = changed(old, new)
        if not names and version:
            return None
        looser = loosened(old, new)
        if looser and not otp_used:
            raise Rejected(f"Loosening {', '.join(looser)} needs a one-time password.", code="otp_needed", names=looser)
        RiskLimitsVersion.objects.filter(account_id=account_id, active=True).update(active=False)
        row = RiskLimitsVersion.objects.create(
            account_id=account_id,
            version=version + 1,
            created_at=timezone.now(),
            created_by=None if isinstance(actor, str) else actor,
            reason=reason,
            **asdict(new),
        )
        audit(
            actor=actor,
            action="risk_limits.changed",
            obj=row,
            before={"version": version, **{name: getattr(old, name) for name in names}},
            after={"version": row.version, **{name: getattr(new, name) for name in names}},
            reason=reason,
            otp_used=otp_used,
        )
        push.event("risk_limits", {"account_id": account_id, "version": row.version})
        return row


def _merged(old: RiskLimits, changes: Mapping[str, Decimal | int | bool]) -> RiskLimits:
    try:
        return RiskLimits(**{**asdict(old), **{name: _typed(name, value) for name, value in changes.items()}})
    except (ValueError, TypeError, InvalidOperation) as error:
        raise Rejected(f"These limits cannot be: {error}", code="invalid_limit") from error


def _typed(name: str, value: Decimal | int | bool) -> Decimal | int | bool:
    """Of the default's own type; money and ratios in the grain of their columns."""
    default = getattr(RiskLimits(), name)
    if isinstance(default, bool):
        return bool(value)
    if isinstance(default, int):
        if value != int(value):
            raise ValueError(f"{name} is a whole number, got {value}")
        return int(value)
    column = RiskLimitsVersion._meta.get_field(name)
    assert isinstance(column, DecimalField)
    return Decimal(value).quantize(Decimal(1).scaleb(-column.decimal_places))
