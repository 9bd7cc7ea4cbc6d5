"""The admin makes versions, asks for a one-time password where it must, and writes nothing else."""

import base64
import time

import pytest
from django.contrib import admin as django_admin
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import reverse

from accounts.core.totp import current_code
from accounts.models import TradingAccount, User
from accounts.services.second_factor import device_for_demo
from risk.admin import ReadOnlyAdmin
from risk.models import (
    AccountMeter,
    RiskDecision,
    RiskLimitsVersion,
    TradingState,
    TradingStateChange,
)
from risk.selectors import current_limits, limits_of
from risk.selectors.limits import FIELDS
from risk.services import limits_update


def _request(rf: RequestFactory, user: User, data: dict[str, object] | None = None) -> HttpRequest:
    request = rf.get("/") if data is None else rf.post("/", data)
    request.user = user
    request.session = {}  # type: ignore[assignment]
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    return request


def _page(request: HttpRequest, version: RiskLimitsVersion | None) -> HttpResponse:
    model_admin = django_admin.site._registry[RiskLimitsVersion]
    response = model_admin.changeform_view(request, None if version is None else str(version.pk))
    return response.render() if hasattr(response, "render") else response


def _typed(owner: TradingAccount, **changes: object) -> dict[str, object]:
    limits = limits_of(owner.pk)
    data = {name: getattr(limits, name) for name in FIELDS if getattr(limits, name) is not False}
    return {**data, "reason": "after the review", **changes}


def test_the_first_version_is_added_from_the_defaults(rf: RequestFactory, account: TradingAccount, admin: User) -> None:
    page = _page(_request(rf, admin, _typed(account, account=account.pk, max_concurrent=3)), None)
    assert page.status_code == 302
    assert page["Location"] == reverse("admin:risk_risklimitsversion_changelist")
    version, limits = current_limits(account.pk)
    assert (version, limits.max_concurrent) == (1, 3)
    row = RiskLimitsVersion.objects.get(account=account)
    assert (row.created_by, row.reason) == (admin, "after the review")


@pytest.fixture
def first(account: TradingAccount, admin: User) -> RiskLimitsVersion:
    row = limits_update(account_id=account.pk, changes={"max_concurrent": 3}, actor=admin, reason="start")
    assert row is not None
    return row


def test_editing_makes_a_new_version_and_leaves_the_old(
    rf: RequestFactory, account: TradingAccount, admin: User, first: RiskLimitsVersion
) -> None:
    form = _page(_request(rf, admin), first)
    assert b'name="max_concurrent" value="3"' in form.content
    assert _page(_request(rf, admin, _typed(account, max_concurrent=2)), first).status_code == 302
    assert current_limits(account.pk)[0] == 2
    assert [(row.version, row.max_concurrent) for row in RiskLimitsVersion.objects.order_by("version")] == [
        (1, 3),
        (2, 2),
    ]


def test_loosening_needs_the_code_of_the_device(
    rf: RequestFactory, account: TradingAccount, admin: User, first: RiskLimitsVersion
) -> None:
    for code in ("", "000000"):
        refused = _page(_request(rf, admin, _typed(account, max_concurrent=4, one_time_password=code)), first)
        assert b"Loosening max_concurrent needs a valid one-time password." in refused.content
    assert current_limits(account.pk)[0] == 1

    secret = device_for_demo(user=admin).secret
    raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    code = current_code(secret=raw, now_s=int(time.time()))
    done = _page(_request(rf, admin, _typed(account, max_concurrent=4, one_time_password=code)), first)
    assert done.status_code == 302
    assert limits_of(account.pk).max_concurrent == 4


def test_what_cannot_be_is_told_beside_the_form(
    rf: RequestFactory, account: TradingAccount, admin: User, first: RiskLimitsVersion
) -> None:
    page = _page(_request(rf, admin, _typed(account, drawdown_orange_ratio="0.05")), first)
    assert b"drawdown levels must rise" in page.content
    assert current_limits(account.pk)[0] == 1


def test_a_past_version_is_read_only(
    rf: RequestFactory, account: TradingAccount, admin: User, first: RiskLimitsVersion
) -> None:
    limits_update(account_id=account.pk, changes={"max_concurrent": 2}, actor=admin, reason="less")
    first.refresh_from_db()
    page = _page(_request(rf, admin), first)
    assert page.status_code == 200
    assert b'name="max_concurrent"' not in page.content


@pytest.mark.parametrize("model", [TradingState, TradingStateChange, RiskDecision, AccountMeter])
def test_everything_else_is_for_reading(rf: RequestFactory, admin: User, model: type) -> None:
    model_admin = django_admin.site._registry[model]
    assert isinstance(model_admin, ReadOnlyAdmin)
    request = _request(rf, admin)
    assert not model_admin.has_add_permission(request)
    assert not model_admin.has_change_permission(request)
    assert not model_admin.has_delete_permission(request)
    assert model_admin.has_view_permission(request)
    assert model_admin.changelist_view(request).render().status_code == 200
