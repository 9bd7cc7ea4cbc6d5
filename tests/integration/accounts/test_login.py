"""Logging in on the web: two steps, lockout, mandatory device, one-time links, sessions."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.throttling import SimpleRateThrottle

from accounts.core import totp
from accounts.core.roles import Role
from accounts.models import AuditEntry, OneTimeLink, RecoveryCode, TokenFamily, TotpDevice, User, UserSession
from accounts.services.sessions import session_note
from accounts.services.users import user_deactivate, user_role_set
from tests.support.users import PASSWORD, code_for, login, make_device, make_user

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"
CODE = "/accounts/code/"


@pytest.fixture(autouse=True)
def _fresh_throttles() -> None:
    cache.clear()


def enter(client: Client, user: User, password: str = PASSWORD, **extra: Any) -> Any:
    return client.post(LOGIN, {"email": user.email, "password": password, **extra})


def last_action() -> str:
    return AuditEntry.objects.latest("pk").action


def test_viewer_enters_with_password_alone(client: Client) -> None:
    user = make_user("viewer", password=PASSWORD)
    answer = enter(client, user, next="/accounts/sessions/")
    assert answer.status_code == 302
    assert answer["Location"] == "/accounts/sessions/"
    assert client.get("/accounts/sessions/").status_code == 200
    assert last_action() == "login"
    assert UserSession.objects.get().user == user


def test_email_is_case_insensitive(client: Client) -> None:
    user = make_user("viewer", password=PASSWORD)
    assert client.post(LOGIN, {"email": user.email.upper(), "password": PASSWORD}).status_code == 302


def test_trader_needs_password_then_code(client: Client) -> None:
    user = make_user("trader", password=PASSWORD)
    assert enter(client, user)["Location"] == CODE
    assert client.get("/accounts/sessions/").status_code == 302  # not in yet
    answer = client.post(CODE, {"code": "000000"})
    assert answer.status_code == 401
    assert last_action() == "login.failed"
    answer = client.post(CODE, {"code": code_for(user)})
    assert answer.status_code == 302
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.otp_used) == ("login", True)
    assert client.get("/accounts/sessions/").status_code == 200


def test_a_code_works_once(client: Client) -> None:
    user = make_user("trader", password=PASSWORD)
    code = code_for(user)
    enter(client, user)
    assert client.post(CODE, {"code": code}).status_code == 302
    other = Client()
    enter(other, user)
    assert other.post(CODE, {"code": code}).status_code == 401


def test_code_page_alone_leads_back_to_login(client: Client) -> None:
    assert client.get(CODE)["Location"] == LOGIN
    assert client.post(CODE, {"code": "123456"})["Location"] == LOGIN


def test_pending_password_expires(client: Client) -> None:
    user = make_user("trader", password=PASSWORD)
    enter(client, user)
    session = client.session
    session["login_pending"] = {**session["login_pending"], "at": timezone.now().timestamp() - 301}
    session.save()
    assert client.post(CODE, {"code": code_for(user)})["Location"] == LOGIN


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "javascript:alert(1)"])
def test_next_never_leaves_the_house(client: Client, target: str) -> None:
    user = make_user("viewer", password=PASSWORD)
    assert enter(client, user, next=target)["Location"] == "/"


def test_wrong_password_and_unknown_address_look_the_same(client: Client) -> None:
    user = make_user("viewer", password=PASSWORD)
    wrong = enter(client, user, password="wrong horse 42 battery")
    unknown = client.post(LOGIN, {"email": "nobody@desk.example", "password": "wrong horse 42 battery"})
    assert wrong.status_code == unknown.status_code == 401

    def visible(answer: Any) -> str:
        text = re.sub(r'name="csrfmiddlewaretoken" value="[^"]*"', "", answer.content.decode())
        return re.sub(r'value="[^"]*@desk.example"', "", text)

    assert visible(wrong) == visible(unknown)


def test_five_wrong_passwords_lock_out_even_the_right_one(client: Client) -> None:
    user = make_user("viewer", password=PASSWORD)
    for _ in range(4):
        assert enter(client, user, password="wrong").status_code == 401
    answer = enter(client, user, password="wrong")
    assert answer.status_code == 429
    assert answer["Retry-After"] == "900"
    assert enter(client, user).status_code == 429
    # another person at the same desk is not affected
    other = make_user("viewer", password=PASSWORD)
    assert enter(client, other).status_code == 302


def test_wrong_codes_count_towards_the_lockout(client: Client) -> None:
    user = make_user("trader", password=PASSWORD)
    enter(client, user)
    answers = []
    for _ in range(5):
        code_for(user)  # forget the device's own slowing down
        answers.append(client.post(CODE, {"code": "000000"}).status_code)
    assert answers == [401, 401, 401, 401, 429]
    assert enter(Client(), user).status_code == 429


def test_the_device_itself_slows_down_guessing() -> None:
    user = make_user("trader")
    device = TotpDevice.objects.get(user=user)
    assert not device.verify_token("000000")
    good = totp.current_code(secret=b"12345678901234567890", now_s=int(timezone.now().timestamp()))
    assert not device.verify_token(good)  # within the first second


def test_deactivated_person_cannot_enter(client: Client) -> None:
    user = make_user("viewer", password=PASSWORD)
    user_deactivate(user=user, actor="test")
    assert enter(client, user).status_code == 401


def test_trader_without_device_can_only_set_one_up(client: Client) -> None:
    user = make_user("trader", with_device=False, password=PASSWORD)
    assert enter(client, user)["Location"] == "/accounts/device/"
    assert client.get("/")["Location"] == "/accounts/device/"
    page = client.get("/accounts/device/")
    assert b"<svg" in page.content
    secret = re.search(r'class="secret">([A-Z2-7 ]+)<', page.content.decode()).group(1).replace(" ", "")  # type: ignore[union-attr]
    assert client.get("/accounts/device/").content.count(secret[:4].encode()) >= 1  # a reload shows the same one
    assert client.post("/accounts/device/", {"code": "000000"}).status_code == 400

    import base64

    raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    TotpDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    code = totp.current_code(secret=raw, now_s=int(timezone.now().timestamp()))
    answer = client.post("/accounts/device/", {"code": code})
    assert answer.status_code == 200
    recovery = re.findall(r"<li>([A-Z2-9]{5}-[A-Z2-9]{5})</li>", answer.content.decode())
    assert len(recovery) == 10
    assert client.get("/").status_code == 200
    stored = (
        "".join(RecoveryCode.objects.values_list("code_hash", flat=True)) + TotpDevice.objects.get().secret_ciphertext
    )
    assert secret not in stored
    assert not any(code in stored for code in recovery)

    for expected in (302, 401):  # a recovery code opens the door once
        other = Client()
        enter(other, user)
        assert other.post(CODE, {"code": recovery[0].lower()}).status_code == expected


def test_a_session_without_the_code_cannot_replace_the_device(client: Client) -> None:
    user = make_user("viewer", password=PASSWORD)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    make_device(user)
    assert client.get("/accounts/device/")["Location"] == LOGIN
    assert TotpDevice.objects.filter(user=user).count() == 1


def test_one_time_link_sets_the_password_once(client: Client, django_capture_on_commit_callbacks: Any) -> None:
    user = make_user("viewer", password=PASSWORD)
    inside = login(Client(), user)
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post("/accounts/reset/", {"email": user.email}).status_code == 200
    url = re.search(r"http://testserver(\S+)", mail.outbox[0].body).group(1)  # type: ignore[union-attr]
    assert url.split("/")[-2] not in str(list(OneTimeLink.objects.values()))
    page = client.get(url)
    assert page.status_code == 200
    assert page["Referrer-Policy"] == "no-referrer"
    for weak in ("short7", "onlyletterslonger", "123456789012345", "password1234"):
        assert client.post(url, {"password": weak, "repeat": weak}).status_code == 400
    new = "another horse 43 battery"
    assert client.post(url, {"password": new, "repeat": new})["Location"] == LOGIN
    assert client.post(url, {"password": new, "repeat": new}).status_code == 410
    assert inside.get("/accounts/sessions/").status_code == 302  # sessions opened before are over
    assert enter(client, user, password=new).status_code == 302


def test_link_expires_after_48_hours(client: Client, django_capture_on_commit_callbacks: Any) -> None:
    user = make_user("viewer", password=PASSWORD)
    with django_capture_on_commit_callbacks(execute=True):
        client.post("/accounts/reset/", {"email": user.email})
    url = re.search(r"http://testserver(\S+)", mail.outbox[0].body).group(1)  # type: ignore[union-attr]
    left = OneTimeLink.objects.get().expires_at - timezone.now()
    assert timedelta(hours=47, minutes=59) < left <= timedelta(hours=48)
    OneTimeLink.objects.update(expires_at=timezone.now())
    assert client.get(url).status_code == 410


def test_reset_tells_nobody_who_has_an_account(client: Client) -> None:
    user = make_user("viewer")
    known = client.post("/accounts/reset/", {"email": user.email})
    unknown = client.post("/accounts/reset/", {"email": "nobody@desk.example"})
    assert known.content == unknown.content


def test_sessions_are_listed_and_ended(client: Client) -> None:
    user = make_user("viewer", password=PASSWORD)
    other = Client(HTTP_USER_AGENT="the other browser")
    enter(other, user)
    enter(client, user)
    assert b"the other browser" in client.get("/accounts/sessions/").content
    row = UserSession.objects.get(user_agent="the other browser")
    stranger = login(Client(), make_user("viewer"))
    assert stranger.post(f"/accounts/sessions/{row.pk}/end/").status_code == 404
    assert other.get("/accounts/sessions/").status_code == 200
    assert client.post(f"/accounts/sessions/{row.pk}/end/").status_code == 302
    assert other.get("/accounts/sessions/").status_code == 302
    assert client.get("/accounts/sessions/").status_code == 200


def test_my_account_is_a_page_of_the_desk(client: Client) -> None:
    user = make_user("trader")
    login(client, user)
    assert 'href="/accounts/sessions/"' in client.get("/").content.decode()
    session_note(user=user, session_key=client.session.session_key or "")
    page = client.get("/accounts/sessions/").content.decode()
    assert 'action="/halt"' in page
    assert 'class="nav"' in page
    assert "theme.js" in page
    assert page.count("data-date") == 2
    for wanted in ("/accounts/password/", "/accounts/device/", "/accounts/logout/"):
        assert f'"{wanted}"' in page


def test_who_may_not_see_the_desk_sees_their_account_without_it(client: Client) -> None:
    """A trader without a device may do nothing but set one up: no equity, no positions around it either."""
    login(client, make_user("trader", with_device=False))
    page = client.get("/accounts/sessions/").content.decode()
    assert "theme.js" in page
    assert 'href="/accounts/device/"' in page
    assert "topbar" not in page
    assert "/ws/screen/" not in page


def test_deactivation_and_role_change_end_sessions_at_once(client: Client) -> None:
    first, second = make_user("viewer"), make_user("viewer")
    one, two = login(Client(), first), login(Client(), second)
    assert one.get("/").status_code == two.get("/").status_code == 200
    user_deactivate(user=first, actor="test")
    user_role_set(user=second, role=Role.TRADER, actor="test")
    assert one.get("/").status_code == 302
    assert two.get("/")["Location"].startswith(LOGIN)


def test_changing_the_password_keeps_this_session_only(client: Client) -> None:
    user = make_user("viewer", password=PASSWORD)
    other = Client()
    enter(other, user)
    enter(client, user)
    new = "another horse 43 battery"
    form = {"old": "not it 42 at all", "password": new, "repeat": new}
    assert client.post("/accounts/password/", form).status_code == 400
    assert client.post("/accounts/password/", {**form, "old": PASSWORD}).status_code == 302
    assert client.get("/accounts/sessions/").status_code == 200
    assert other.get("/accounts/sessions/").status_code == 302


def test_logout_is_a_post_and_final(client: Client) -> None:
    login(client, make_user("viewer"))
    assert client.get(reverse("accounts:logout")).status_code == 405
    assert client.post(reverse("accounts:logout")).status_code == 302
    assert client.get("/").status_code == 302
    assert UserSession.objects.count() == 0


def test_what_is_over_is_not_listed(client: Client) -> None:
    user = make_user("viewer")
    login(client, user)
    client.get("/accounts/sessions/")
    for key, ends in (("lapsed", timedelta(seconds=-1)), ("living", timedelta(hours=1))):
        Session.objects.create(session_key=key, session_data="", expire_date=timezone.now() + ends)
        UserSession.objects.create(user=user, session_key=key, user_agent=f"a {key} one")
        TokenFamily.objects.create(user=user, user_agent=f"a {key} program", expires_at=timezone.now() + ends)
    UserSession.objects.create(user=user, session_key="gone", user_agent="a gone one")
    page = client.get("/accounts/sessions/").content.decode()
    assert re.findall(r"a \w+ one", page) == ["a living one"]
    assert re.findall(r"a \w+ program", page) == ["a living program"]


def test_htmx_request_is_sent_to_the_login_as_a_whole(client: Client) -> None:
    answer = client.get("/", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == LOGIN


@pytest.mark.parametrize(("page", "scope"), [(LOGIN, "login"), (CODE, "code"), ("/accounts/fresh/", "code")])
def test_an_address_may_only_try_so_often(page: str, scope: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever name it gives: nobody gets to keep the hasher busy."""
    monkeypatch.setitem(SimpleRateThrottle.THROTTLE_RATES, scope, "3/hour")
    user = make_user("trader", password=PASSWORD)
    client = Client()
    if page == CODE:
        enter(client, user)
    elif page != LOGIN:
        login(client, user)
    answers = []
    for number in range(4):
        form = {"email": f"x{number}@desk.example", "password": "wrong", "code": "000000"}
        answers.append(client.post(page, form))
    assert [answer.status_code for answer in answers[:3]] == [403 if page.endswith("fresh/") else 401] * 3
    assert answers[3].status_code == 429
    assert 0 < int(answers[3]["Retry-After"]) <= 3600 + 1200  # the next hour still sees a third of them at its start
    assert client.get(page).status_code == 200


def test_pages_and_api_use_up_the_same_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SimpleRateThrottle.THROTTLE_RATES, "login", "2/hour")
    form = {"email": "x@desk.example", "password": "wrong"}
    assert Client().post(LOGIN, form).status_code == 401
    assert Client().post("/api/v1/auth/login", form, content_type="application/json").status_code == 401
    assert Client().post(LOGIN, form).status_code == 429
    assert Client().post("/api/v1/auth/login", form, content_type="application/json").status_code == 429


def test_without_redis_the_login_stays_open(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert enter(Client(), make_user("viewer", password=PASSWORD)).status_code == 302
