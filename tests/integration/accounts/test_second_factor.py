"""Devices replaced, codes refused and the vault away: what an open session alone must not be enough for."""

import base64
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import segno
from axes.models import AccessAttempt
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from rest_framework.throttling import SimpleRateThrottle

from accounts.ciphers import get_cipher
from accounts.core import totp
from accounts.models import AuditEntry, RecoveryCode, TotpDevice, TradingAccount, User
from accounts.services.second_factor import PENDING_FOR, _new_recovery_codes
from accounts.views.own import qr_svg
from tests.support.users import PASSWORD, api_client, code_for, login, make_device, make_user
from tests.support.vault_stub import VaultStub

pytestmark = pytest.mark.django_db
DEVICE, LOGIN, CODE, FRESH = "/accounts/device/", "/accounts/login/", "/accounts/code/", "/accounts/fresh/"
API = "/api/v1/auth/2fa/"


@pytest.fixture(autouse=True)
def _fresh_throttles() -> None:
    cache.clear()


def secret_on(page: Any) -> str:
    found = re.search(r'class="secret"[^>]*>([A-Z2-7 ]+)<', page.content.decode())
    return found.group(1).replace(" ", "") if found else ""


def code_of(secret: str) -> str:
    raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    return totp.current_code(secret=raw, now_s=int(timezone.now().timestamp()))


def present_device(user: User) -> TotpDevice:
    return TotpDevice.objects.get(user=user, confirmed=True)


def last() -> tuple[str, Any]:
    entry = AuditEntry.objects.latest("pk")
    return entry.action, entry.after


# -- replacing a device ---------------------------------------------------------------------------------------------


def test_an_open_session_alone_cannot_replace_the_device() -> None:
    user = make_user("trader")
    thief = login(Client(), user, fresh_code=True)
    old = present_device(user).pk
    tries = [thief.get(DEVICE), *(thief.post(DEVICE, form) for form in ({"present_code": "000000"}, {"code": "1"}))]
    for answer in tries:
        assert secret_on(answer) == ""
        assert b"<svg" not in answer.content
    assert not TotpDevice.objects.filter(user=user, confirmed=False).exists()
    assert present_device(user).pk == old


def test_replacing_with_a_code_of_the_old_device_ends_every_other_login() -> None:
    user = make_user("trader")
    mine, other, program = login(Client(), user), login(Client(), user), api_client(user)
    other.get("/accounts/sessions/")
    old = present_device(user).pk
    page = mine.post(DEVICE, {"present_code": code_for(user)})
    secret = secret_on(page)
    assert len(secret) == 32
    # the secret was shown to whoever held the old device, and is not shown again
    wrong = mine.post(DEVICE, {"code": "000000"})
    assert (wrong.status_code, secret_on(wrong), b"<svg" in wrong.content) == (400, "", False)
    TotpDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    done = mine.post(DEVICE, {"code": code_of(secret)})
    assert done.status_code == 200
    assert present_device(user).pk != old
    assert last() == ("device.confirmed", {"replaced": True})
    assert mine.get("/accounts/sessions/").status_code == 200
    assert other.get("/accounts/sessions/").status_code == 302
    assert program.get("/api/v1/accounts").status_code == 401


def test_a_recovery_code_replaces_a_lost_device() -> None:
    user = make_user("trader")
    recovery = _new_recovery_codes(user)[0]
    page = login(Client(), user).post(DEVICE, {"present_code": recovery})
    assert len(secret_on(page)) == 32
    assert RecoveryCode.objects.filter(user=user, used_at__isnull=False).count() == 1


def test_a_device_nobody_confirmed_in_time_is_forgotten() -> None:
    user = make_user("viewer")
    browser = login(Client(), user)
    secret = secret_on(browser.get(DEVICE))
    assert secret_on(browser.get(DEVICE)) == secret
    TotpDevice.objects.update(created_at=timezone.now() - PENDING_FOR)
    assert browser.post(DEVICE, {"code": code_of(secret)}).status_code == 400
    assert not TotpDevice.objects.filter(user=user, confirmed=True).exists()


def test_the_first_device_needs_no_code_of_another() -> None:
    user = make_user("trader", with_device=False)
    browser = login(Client(), user)
    done = browser.post(DEVICE, {"code": code_of(secret_on(browser.get(DEVICE)))})
    assert done.status_code == 200
    assert present_device(user).confirmed
    assert browser.get("/accounts/sessions/").status_code == 200


def test_the_api_too_wants_a_code_of_the_old_device() -> None:
    user = make_user("trader")
    client = api_client(user)
    without = client.post(API + "setup", {}, format="json")
    assert (without.status_code, without.json()["code"]) == (409, "present_code_required")
    wrong = client.post(API + "setup", {}, format="json", HTTP_X_OTP_CODE="000000")
    assert (wrong.status_code, wrong.json()["code"]) == (409, "wrong_code")
    assert not TotpDevice.objects.filter(user=user, confirmed=False).exists()
    begun = client.post(API + "setup", {}, format="json", HTTP_X_OTP_CODE=code_for(user))
    confirmed = client.post(API + "confirm", {"code": code_of(begun.json()["secret"])}, format="json")
    assert len(confirmed.json()["recovery_codes"]) == 10
    assert client.get("/api/v1/accounts").status_code == 401  # every login of the old device is over, this one too


# -- wrong codes and passwords are seen -----------------------------------------------------------------------------


def flatten_page(user: User, code: str) -> Any:
    return login(Client(), user).post("/risk/flatten", {"reason": "test", "otp_code": code})


def flatten_api(user: User, code: str) -> Any:
    return api_client(user).post("/api/v1/admin/flatten", {"reason": "test"}, format="json", HTTP_X_OTP_CODE=code)


def disable_api(user: User, code: str) -> Any:
    return api_client(user).post(API + "disable", {"code": code}, format="json")


def replace_page(user: User, code: str) -> Any:
    return login(Client(), user).post(DEVICE, {"present_code": code})


@pytest.mark.parametrize(
    ("ask", "step"),
    [
        (flatten_page, "flatten"),
        (flatten_api, "flatten"),
        (disable_api, "device.disable"),
        (replace_page, "device.replace"),
    ],
)
def test_wrong_codes_are_audited_and_lock_out(ask: Any, step: str) -> None:
    user = make_user("admin")
    statuses = []
    for _ in range(5):
        code_for(user)  # forget the device's own slowing down
        statuses.append(ask(user, "000000").status_code)
    refused = AuditEntry.objects.filter(action="code.refused", actor=user)
    assert [entry.after for entry in refused] == [{"step": step}] * 5
    assert statuses[:4] == [statuses[0]] * 4 != [429] * 4
    assert statuses[4] == 429
    assert ask(user, code_for(user)).status_code == 429  # even the right one, from there
    assert Client().post(LOGIN, {"email": user.email, "password": "x"}).status_code == 429


def confirm_page(user: User, code: str) -> Any:
    return login(Client(), user).post(DEVICE, {"code": code})


def confirm_api(user: User, code: str) -> Any:
    return api_client(user).post(API + "confirm", {"code": code}, format="json")


def fresh_page(user: User, code: str) -> Any:
    return login(Client(), user).post(FRESH, {"code": code})


def admin_page(user: User, code: str) -> Any:
    client = login(Client(), user)
    session = client.session
    session["otp_code_at"] = (timezone.now() - timedelta(seconds=100)).timestamp()
    session.save()
    form = {"email": "new@desk.example", "name": "", "role": "viewer", "otp_code": code}
    return client.post("/admin/accounts/user/add/", form)


DOORS = [flatten_page, flatten_api, disable_api, replace_page, confirm_page, confirm_api, fresh_page, admin_page]


@pytest.mark.parametrize("ask", DOORS)
def test_codes_of_every_door_use_up_one_number_of_the_address(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever names it gives: the lockout counts per person, this per address."""
    monkeypatch.setitem(SimpleRateThrottle.THROTTLE_RATES, "code", "4/hour")
    for door in (flatten_page, ask, flatten_api, ask):
        answer = door(make_user("admin", with_device=not door.__name__.startswith("confirm")), "000000")
        assert answer.status_code != 429
    last = make_user("admin", with_device=not ask.__name__.startswith("confirm"))
    entries = AuditEntry.objects.filter(action__in=["code.refused", "login.failed"])
    before = entries.count()
    answer = ask(last, "000000")
    if ask is admin_page:  # beside the field: what was typed stays
        assert "Too many codes were tried from this address" in answer.content.decode()
    else:
        assert answer.status_code == 429
        assert int(answer["Retry-After"]) > 0
    assert entries.count() == before


def test_wrong_confirming_codes_and_old_passwords_are_audited_and_count() -> None:
    user = make_user("viewer", password=PASSWORD)
    browser = login(Client(), user)
    browser.get(DEVICE)
    browser.post(DEVICE, {"code": "000000"})
    assert last() == ("code.refused", {"step": "device.confirm"})
    new = "another horse 43 battery"
    form = {"old": "not it 42 at all", "password": new, "repeat": new}
    statuses = [browser.post("/accounts/password/", form).status_code for _ in range(4)]
    assert last() == ("password.refused", {"step": "password.change"})
    assert statuses == [400, 400, 400, 429]
    assert browser.post("/accounts/password/", {**form, "old": PASSWORD}).status_code == 429
    kept = str(list(AccessAttempt.objects.values_list("post_data", flat=True)))
    assert new not in kept
    assert "not it 42" not in kept


def test_every_failed_login_is_audited_also_the_one_that_locks_and_those_after() -> None:
    user = make_user("viewer", password=PASSWORD)
    for _ in range(6):
        Client().post(LOGIN, {"email": user.email, "password": "wrong"})
    Client().post(LOGIN, {"email": user.email, "password": PASSWORD})
    entries = AuditEntry.objects.filter(action="login.failed", actor=user).order_by("pk")
    assert [(entry.after or {})["locked_out"] for entry in entries] == [False] * 4 + [True] * 3


def test_a_login_of_a_program_resets_the_count_and_notes_the_time() -> None:
    user = make_user("viewer", password=PASSWORD)
    url, right = "/api/v1/auth/login", {"email": user.email, "password": PASSWORD}
    for _ in range(2):
        for _ in range(4):
            assert api_client().post(url, {**right, "password": "wrong"}, format="json").status_code == 401
        cache.clear()
        answer = api_client().post(url, right, format="json")
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
    user.refresh_from_db()
    assert user.last_login is not None
    assert timezone.now() - user.last_login < timedelta(minutes=1)


# -- the vault is away ----------------------------------------------------------------------------------------------


@pytest.fixture
def vault(settings: Any) -> Iterator[VaultStub]:
    with VaultStub("avigrid-exchange", "avigrid-otp", "avigrid-notification") as stub:
        settings.SECRETS_BACKEND, settings.VAULT_ADDR, settings.VAULT_TOKEN = "vault", stub.url, "root"
        get_cipher.cache_clear()
        yield stub
    get_cipher.cache_clear()


@pytest.fixture
def desk() -> TradingAccount:
    return TradingAccount.objects.create(label="desk", environment="simulated")


def test_login_with_a_sealed_vault(vault: VaultStub) -> None:
    user = make_user("admin", with_device=False, password=PASSWORD)
    make_device(user)
    recovery = _new_recovery_codes(user)
    vault.state.sealed = True
    browser = Client()
    assert browser.post(LOGIN, {"email": user.email, "password": PASSWORD})["Location"] == CODE
    away = browser.post(CODE, {"code": "123456"})
    assert away.status_code == 503
    assert b"Vault is sealed" in away.content
    assert b"recovery code" in away.content
    assert browser.post(CODE, {"code": recovery[0]}).status_code == 302
    assert browser.get("/accounts/sessions/").status_code == 200
    assert browser.post(FRESH, {"code": "123456"}).status_code == 503
    assert browser.get(FRESH).status_code == 200
    body = {"email": user.email, "password": PASSWORD, "code": "123456"}
    answer = api_client().post("/api/v1/auth/login", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (503, "vault_sealed")
    assert answer["Content-Type"] == "application/problem+json"
    body["code"] = recovery[1]
    assert api_client().post("/api/v1/auth/login", body, format="json").status_code == 200
    assert not AuditEntry.objects.filter(action__in=("login.failed", "code.refused")).exists()  # nobody guessed


def test_flatten_and_rearm_with_a_sealed_vault(vault: VaultStub, desk: TradingAccount) -> None:
    user = make_user("admin")
    recovery = _new_recovery_codes(user)
    vault.state.sealed = True
    page = flatten_page(user, "123456")
    assert page.status_code == 503
    assert page["X-Refused"] == "vault_sealed"
    assert b"recovery code" in page.content
    assert b"manage.py flatten" in page.content
    answer = flatten_api(user, "123456")
    assert (answer.status_code, answer.json()["code"]) == (503, "vault_sealed")
    assert not AuditEntry.objects.filter(action="trading_state.tightened").exists()
    assert flatten_page(user, recovery[0]).status_code == 302
    assert AuditEntry.objects.get(action="trading_state.tightened").otp_used
    rearm = {"reason": "test", "to": "active", "otp_code": recovery[1]}
    assert login(Client(), user).post("/risk/rearm", rearm).status_code == 302
    assert last()[0] == "trading_state.rearmed"
    assert flatten_api(user, recovery[2]).status_code == 200
    assert AuditEntry.objects.latest("pk").otp_used


@pytest.mark.parametrize("trouble", ["sealed", "denied", "gone"])
def test_every_trouble_of_the_vault_is_a_503(vault: VaultStub, desk: TradingAccount, trouble: str) -> None:
    user = make_user("admin")
    if trouble == "sealed":
        vault.state.sealed = True
    elif trouble == "denied":
        vault.state.policies.clear()
    else:
        vault.state.keys.clear()
    assert flatten_page(user, "123456").status_code == 503
    assert flatten_api(user, "123456").status_code == 503


def test_a_device_cannot_be_set_up_and_no_recovery_code_is_spent(vault: VaultStub) -> None:
    user = make_user("trader")
    recovery = _new_recovery_codes(user)
    vault.state.sealed = True
    assert login(Client(), user).post(DEVICE, {"present_code": recovery[0]}).status_code == 503
    newcomer = make_user("viewer")
    assert login(Client(), newcomer).get(DEVICE).status_code == 503
    assert api_client(newcomer).post(API + "setup", {}, format="json").status_code == 503
    assert not RecoveryCode.objects.filter(used_at__isnull=False).exists()


# -- what is scanned ------------------------------------------------------------------------------------------------


def test_the_qr_code_is_whole_at_any_width() -> None:
    """Drawn smaller than its own size it must shrink and not be cut off; four light modules around it."""
    uri = totp.provisioning_uri(secret=b"12345678901234567890", account="someone@desk.example", issuer="AviGrid")
    modules = len(segno.make(uri, error="m").matrix) + 2 * 4
    drawing = qr_svg(uri)
    head = drawing[: drawing.index(">")]
    assert f'viewBox="0 0 {modules} {modules}"' in head
    assert " width=" not in head
    assert f'fill="#fff" d="M0 0h{modules}v{modules}h-{modules}z"' in drawing
