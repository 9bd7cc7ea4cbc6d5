"""API tokens: login with code, rotation, reuse, logout, second factor, throttles, problem bodies."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from redis.exceptions import ConnectionError as RedisConnectionError
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from accounts.api.throttles import LoginThrottle, RoleThrottle
from accounts.core import totp
from accounts.core.roles import Role
from accounts.models import AuditEntry, TokenFamily, TotpDevice
from accounts.services.users import user_deactivate, user_role_set
from avigrid.common import rate_window
from tests.support.users import PASSWORD, api_client, code_for, make_user

pytestmark = pytest.mark.django_db
URL = "/api/v1/auth/"


@pytest.fixture(autouse=True)
def _fresh_throttles() -> None:
    cache.clear()


def post(path: str, body: dict[str, Any], client: APIClient | None = None, **extra: Any) -> Any:
    return (client or APIClient()).post(URL + path, body, format="json", **extra)


def log_in(role: str = "trader") -> tuple[Any, dict[str, Any]]:
    user = make_user(role, password=PASSWORD)
    body = {"email": user.email, "password": PASSWORD}
    if Role(role).needs_device:
        body["code"] = code_for(user)
    answer = post("login", body)
    assert answer.status_code == 200, answer.content
    return user, answer.json()


def bearer(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_claims_and_lifetimes() -> None:
    user, pair = log_in()
    access, refresh = AccessToken(pair["access"]), RefreshToken(pair["refresh"])
    assert access["sub"] == str(user.pk)
    assert access["role"] == "trader"
    assert access["jti"] != refresh["jti"]
    assert access["otp"] is True
    assert access["exp"] - access["iat"] == 15 * 60 == pair["access_expires_s"]
    assert refresh["exp"] - refresh["iat"] == 7 * 24 * 3600
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.after, entry.otp_used) == ("login", {"door": "api", "role": "trader"}, True)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"password": "wrong"}, 401, "wrong_credentials"),
        ({"email": "nobody@desk.example"}, 401, "wrong_credentials"),
        ({"code": ""}, 401, "code_required"),
        ({"code": "000000"}, 401, "wrong_credentials"),
        ({"email": "not an address"}, 400, "invalid"),
        ({"password": None}, 400, "invalid"),
    ],
)
def test_refused_logins(change: dict[str, Any], status: int, code: str) -> None:
    user = make_user("trader", password=PASSWORD)
    answer = post("login", {"email": user.email, "password": PASSWORD, "code": code_for(user), **change})
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == code
    assert TokenFamily.objects.count() == 0
    if status == 400:
        assert list(answer.json()["errors"]) == list(change)


def test_lockout_answers_429() -> None:
    user = make_user("viewer", password=PASSWORD)
    answers = [post("login", {"email": user.email, "password": "wrong"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 429]
    assert answers[-1].json()["code"] == "locked_out"
    assert answers[-1]["Content-Type"] == "application/problem+json"
    assert post("login", {"email": user.email, "password": PASSWORD}).status_code == 429


def test_rotation_and_reuse_revokes_the_family() -> None:
    _, first = log_in()
    second = post("refresh", {"refresh": first["refresh"]}).json()
    assert second["refresh"] != first["refresh"]
    assert bearer(second["access"]).get("/api/v1/accounts").status_code == 200
    reused = post("refresh", {"refresh": first["refresh"]})
    assert (reused.status_code, reused.json()["code"]) == (401, "token_reused")
    # the thief and the owner are both out, access tokens included
    assert post("refresh", {"refresh": second["refresh"]}).json()["code"] == "token_revoked"
    assert bearer(second["access"]).get("/api/v1/accounts").status_code == 401
    assert AuditEntry.objects.filter(action="token.reused").count() == 1


def test_reuse_of_one_login_leaves_another_alone() -> None:
    user, first = log_in()
    other = post("login", {"email": user.email, "password": PASSWORD, "code": code_for(user)}).json()
    post("refresh", {"refresh": first["refresh"]})
    post("refresh", {"refresh": first["refresh"]})
    assert bearer(other["access"]).get("/api/v1/accounts").status_code == 200


def test_logout_ends_access_at_once_and_twice_is_harmless() -> None:
    _, pair = log_in()
    assert post("logout", {"refresh": pair["refresh"]}).status_code == 204
    assert bearer(pair["access"]).get("/api/v1/accounts").status_code == 401
    assert post("logout", {"refresh": pair["refresh"]}).status_code == 204
    assert post("refresh", {"refresh": pair["refresh"]}).status_code == 401


@pytest.mark.parametrize("kind", ["garbage", "access", "expired", "foreign"])
def test_what_is_no_refresh_token_is_refused(kind: str) -> None:
    user, pair = log_in()
    expired = RefreshToken(pair["refresh"])
    expired.set_exp(from_time=timezone.now() - timedelta(days=8))
    foreign = RefreshToken.for_user(user)
    text = {"garbage": "abc", "access": pair["access"], "expired": str(expired), "foreign": str(foreign)}[kind]
    for path in ("refresh", "logout"):
        answer = post(path, {"refresh": text})
        assert (answer.status_code, answer.json()["code"]) == (401, "token_invalid")


@pytest.mark.parametrize("what", ["deactivated", "role", "expired", "epoch"])
def test_access_ends_at_once(what: str) -> None:
    user, pair = log_in()
    if what == "deactivated":
        user_deactivate(user=user, actor="test")
    elif what == "role":
        user_role_set(user=user, role=Role.VIEWER, actor="test")
    elif what == "epoch":
        type(user).objects.filter(pk=user.pk).update(auth_epoch=99)
    token = AccessToken(pair["access"])
    if what == "expired":
        token.set_exp(from_time=timezone.now() - timedelta(minutes=16))
    answer = bearer(str(token)).get("/api/v1/accounts")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_token_signed_by_somebody_else() -> None:
    _, pair = log_in()
    head, body, _ = pair["access"].split(".")
    forged = f"{head}.{body}.{base64.urlsafe_b64encode(b'x' * 32).decode().rstrip('=')}"
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    for text in (forged, f"{none}.{body}."):
        assert bearer(text).get("/api/v1/accounts").status_code == 401


def test_trader_without_device_sets_one_up_and_logs_in_again() -> None:
    user = make_user("trader", with_device=False, password=PASSWORD)
    pair = post("login", {"email": user.email, "password": PASSWORD}).json()
    client = bearer(pair["access"])
    refused = client.get("/api/v1/accounts")
    assert (refused.status_code, refused.json()["code"]) == (403, "device_required")
    set_up = post("2fa/setup", {}, client).json()
    raw = base64.b32decode(set_up["secret"] + "=" * (-len(set_up["secret"]) % 8))
    assert post("2fa/confirm", {"code": "000000"}, client).status_code == 409
    TotpDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    code = totp.current_code(secret=raw, now_s=int(timezone.now().timestamp()))
    assert len(post("2fa/confirm", {"code": code}, client).json()["recovery_codes"]) == 10
    assert client.get("/api/v1/accounts").status_code == 403  # this token was issued without a code
    stolen = post("2fa/setup", {}, client)
    assert (stolen.status_code, stolen.json()["code"]) == (403, "device_required")
    TotpDevice.objects.update(last_step=-1)
    body = {"email": user.email, "password": PASSWORD, "code": code}
    assert bearer(post("login", body).json()["access"]).get("/api/v1/accounts").status_code == 200


def test_disabling_the_device_needs_its_code_and_ends_every_login() -> None:
    user, pair = log_in()
    client = bearer(pair["access"])
    code_for(user)
    assert post("2fa/disable", {"code": "000000"}, client).status_code == 409
    assert TotpDevice.objects.filter(user=user).exists()
    assert post("2fa/disable", {"code": code_for(user)}, client).status_code == 204
    assert not TotpDevice.objects.filter(user=user).exists()
    assert client.get("/api/v1/accounts").status_code == 401


def test_a_risky_call_asks_for_a_fresh_code_and_takes_it_in_the_header() -> None:
    admin = make_user("admin")
    client = api_client(admin)
    body = {"email": "new@desk.example", "role": "viewer"}
    answer = client.post("/api/v1/users", body, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "fresh_code_required")
    answer = client.post("/api/v1/users", body, format="json", HTTP_X_OTP_CODE="000000")
    assert answer.status_code == 403
    answer = client.post("/api/v1/users", body, format="json", HTTP_X_OTP_CODE=code_for(admin))
    assert answer.status_code == 201


def test_session_calls_need_the_csrf_token() -> None:
    from tests.support.users import login

    admin = make_user("admin")
    client = login(APIClient(enforce_csrf_checks=True), admin, fresh_code=True)
    answer = client.post("/api/v1/users", {"email": "a@desk.example", "role": "viewer"}, format="json")
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]


def test_throttles_by_address_and_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LoginThrottle.THROTTLE_RATES, "login", "3/min")
    answers = [post("login", {"email": "x@desk.example", "password": "y"}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert int(answers[-1]["Retry-After"]) > 0
    assert answers[-1].json()["code"] == "throttled"
    cache.clear()
    monkeypatch.setitem(RoleThrottle.THROTTLE_RATES, "viewer", "2/min")
    one, two = api_client(make_user("viewer")), api_client(make_user("viewer"))
    assert [one.get("/api/v1/accounts").status_code for _ in range(3)] == [200, 200, 429]
    assert two.get("/api/v1/accounts").status_code == 200


@pytest.mark.parametrize("who", ["nobody", "a wrong token", "a viewer", "a guesser"])
def test_an_address_is_counted_before_it_is_refused(monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    client, path, refused, extra = APIClient(), "/api/v1/accounts", 401, {}
    if who == "a wrong token":
        client.credentials(HTTP_AUTHORIZATION="Bearer a.b.c")
    elif who == "a viewer":
        client, path, refused = api_client(make_user("viewer")), "/api/v1/audit", 403
    elif who == "a guesser":
        client, path, refused, extra = api_client(make_user("admin")), "/api/v1/users/1", 403, {"HTTP_X_OTP_CODE": "0"}
    monkeypatch.setitem(LoginThrottle.THROTTLE_RATES, "address", "3/min")
    ask = client.patch if extra else client.get
    answers = [ask(path, **extra) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [refused, refused, refused, 429]
    assert (answers[-1]["Content-Type"], answers[-1].json()["code"]) == ("application/problem+json", "throttled")
    assert 0 < int(answers[-1]["Retry-After"]) <= 60 + 20
    assert APIClient().get("/accounts/login/").status_code == 200  # pages have limits of their own


def test_a_call_counts_once_for_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LoginThrottle.THROTTLE_RATES, "address", "2/min")
    client = api_client(make_user("viewer"))
    assert [client.get("/api/v1/accounts").status_code for _ in range(3)] == [200, 200, 429]


def test_without_redis_the_api_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Gone:
        def __init__(self, **_: Any) -> None: ...

        def pipeline(self, **_: Any) -> Any:
            asked.append(1)
            raise RedisConnectionError("redis is away")

    monkeypatch.setitem(LoginThrottle.THROTTLE_RATES, "address", "1/min")
    client = api_client(make_user("viewer"))
    assert [client.get("/api/v1/accounts").status_code for _ in range(2)] == [200, 429]
    monkeypatch.setattr(rate_window, "Redis", Gone)
    assert [client.get("/api/v1/accounts").status_code for _ in range(3)] == [200, 200, 200]
    assert asked


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{not json", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'"text"', "application/json", 400),
        (b"null", "application/json", 400),
        (b"email=a", "application/x-www-form-urlencoded", 415),
        (b'{"email": "a\\u0000@b.example", "password": "x"}', "application/json", 400),
        (b"{" + b" " * 1_100_000 + b"}", "application/json", 413),
    ],
)
def test_bad_bodies(body: bytes, kind: str, status: int) -> None:
    answer = APIClient().post(URL + "login", body, content_type=kind)
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
