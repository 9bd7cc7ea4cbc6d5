"""Limits are versions: never edited, in force at once, loosened only with a one-time password."""

from dataclasses import fields
from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction

from accounts.models import AuditEntry, TradingAccount, User
from avigrid.kernel.errors import Rejected
from risk.core.limits import RiskLimits
from risk.models import RiskLimitsVersion
from risk.selectors import current_limits, limits_history, limits_of
from risk.services import limits_update


def _update(
    account: TradingAccount, admin: User, otp_used: bool = False, **changes: object
) -> RiskLimitsVersion | None:
    return limits_update(
        account_id=account.pk, changes=changes, actor=admin, reason="after the review", otp_used=otp_used
    )


def test_columns_are_the_limits_and_defaults_agree() -> None:
    own = {"id", "account", "version", "active", "created_at", "created_by", "reason"}
    columns = {
        field.name: field.get_default() for field in RiskLimitsVersion._meta.get_fields() if field.name not in own
    }
    assert columns == {field.name: getattr(RiskLimits(), field.name) for field in fields(RiskLimits)}


def test_defaults_hold_until_the_first_version(account: TradingAccount) -> None:
    assert current_limits(account.pk) == (0, RiskLimits())


def test_a_change_is_a_new_version_in_force_at_once(account: TradingAccount, admin: User) -> None:
    first = _update(account, admin, max_concurrent=3)
    second = _update(account, admin, daily_loss_r=Decimal("2.5"))
    assert first is not None
    assert second is not None
    assert (first.version, second.version) == (1, 2)
    assert limits_of(account.pk) == RiskLimits(max_concurrent=3, daily_loss_r=Decimal("2.5"))
    assert [(row.version, row.active) for row in limits_history(account.pk)] == [(2, True), (1, False)]
    entry = AuditEntry.objects.filter(action="risk_limits.changed").first()
    assert entry is not None
    assert entry.before == {"version": 1, "daily_loss_r": "5.000000"}
    assert entry.after == {"version": 2, "daily_loss_r": "2.500000"}


def test_nothing_new_is_no_version(account: TradingAccount, admin: User) -> None:
    _update(account, admin, max_concurrent=3)
    assert _update(account, admin, max_concurrent=3, daily_loss_r=5) is None
    assert limits_history(account.pk).count() == 1


def test_loosening_needs_a_one_time_password(account: TradingAccount, admin: User) -> None:
    with pytest.raises(Rejected) as caught:
        _update(account, admin, max_concurrent=6, daily_loss_r=4)
    assert caught.value.code == "otp_needed"
    assert caught.value.details["names"] == ("max_concurrent",)
    assert limits_of(account.pk) == RiskLimits()
    row = _update(account, admin, otp_used=True, max_concurrent=6)
    assert row is not None
    assert limits_of(account.pk).max_concurrent == 6


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"max_fun": 1}, "unknown_limit"),
        ({"max_concurrent": Decimal("2.5")}, "invalid_limit"),
        ({"r_usd": -1}, "invalid_limit"),
        ({"drawdown_orange_ratio": Decimal("0.05")}, "invalid_limit"),
        ({"daily_loss_r": "much"}, "invalid_limit"),
    ],
)
def test_what_cannot_be_is_refused(account: TradingAccount, admin: User, changes: dict, code: str) -> None:
    with pytest.raises(Rejected) as caught:
        _update(account, admin, otp_used=True, **changes)
    assert caught.value.code == code
    assert limits_history(account.pk).count() == 0


def test_a_change_needs_a_reason_and_the_version_it_was_made_for(account: TradingAccount, admin: User) -> None:
    with pytest.raises(Rejected) as caught:
        limits_update(account_id=account.pk, changes={"max_concurrent": 1}, actor=admin, reason=" ")
    assert caught.value.code == "reason_needed"
    _update(account, admin, max_concurrent=3)
    with pytest.raises(Rejected) as caught:
        limits_update(
            account_id=account.pk, changes={"max_concurrent": 1}, actor=admin, reason="late", expected_version=0
        )
    assert caught.value.code == "limits_moved"
    assert limits_of(account.pk).max_concurrent == 3


def test_the_database_refuses_to_edit_a_version(account: TradingAccount, admin: User) -> None:
    row = _update(account, admin, max_concurrent=3)
    assert row is not None
    versions = RiskLimitsVersion.objects.filter(pk=row.pk)
    with pytest.raises(DatabaseError, match="never edited"), transaction.atomic():
        versions.update(max_concurrent=50)
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
        versions.delete()
    assert versions.update(active=False) == 1
    with pytest.raises(DatabaseError, match="never edited"), transaction.atomic():
        versions.update(active=True)
