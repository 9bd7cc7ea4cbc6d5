"""People: created by link, roles, last admin, deactivation, erasure; over services, commands and the API."""

from io import StringIO
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.core import mail
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from accounts.core import totp
from accounts.core.roles import Role
from accounts.models import AuditEntry, OneTimeLink, TotpDevice, User
from accounts.selectors.audit_chain import verify_chain
from accounts.selectors.people import has_role, users_with_role
from accounts.services.demo import demo_code, demo_users_create
from accounts.services.links import link_find, link_issue, link_send, link_use
from accounts.services.users import (
    user_anonymize,
    user_create,
    user_deactivate,
    user_reactivate,
    user_rename,
    user_role_set,
)
from avigrid.kernel.errors import Rejected
from tests.support.planted import database_holds
from tests.support.users import PASSWORD, api_client, code_for, login, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_throttles() -> None:
    cache.clear()


def test_createsuperuser_works_with_an_email(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--noinput", "--email", "First@Desk.example", stdout=StringIO())
    user = User.objects.get()
    assert user.email == "first@desk.example"
    assert user.role is Role.ADMIN
    assert user.check_password(PASSWORD)
    assert user.password.startswith("argon2")
    entry = AuditEntry.objects.latest("pk")
    assert (entry.actor_name, entry.action, entry.object_id) == ("command", "user.created", str(user.pk))


def test_createsuperuser_takes_no_weak_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "password")
    with pytest.raises(CommandError, match="too short"):
        call_command("createsuperuser", "--noinput", "--email", "first@desk.example")
    assert not User.objects.exists()


def test_changepassword_is_audited_and_ends_every_login(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user("viewer", password=PASSWORD)
    browser, program = login(Client(), user), api_client(user)
    browser.get("/accounts/sessions/")
    typed = iter(["short", "short", "another horse 43 battery", "another horse 43 battery"])
    monkeypatch.setattr("getpass.getpass", lambda prompt="": next(typed))
    call_command("changepassword", user.email.upper(), stdout=StringIO(), stderr=StringIO())
    user.refresh_from_db()
    assert user.check_password("another horse 43 battery")
    entry = AuditEntry.objects.latest("pk")
    assert (entry.actor_name, entry.action, entry.after) == ("command", "password.set", {"by": "operator"})
    assert browser.get("/accounts/sessions/").status_code == 302
    assert program.get("/api/v1/accounts").status_code == 401


def test_email_is_unique_whatever_the_case() -> None:
    user_create(email="Ann@Desk.example", role=Role.VIEWER, actor="test")
    with pytest.raises(Rejected) as caught:
        user_create(email="ann@desk.EXAMPLE", role=Role.ADMIN, actor="test")
    assert caught.value.code == "email_taken"
    assert User.objects.count() == 1


def test_roles_include_each_other_and_end_with_deactivation() -> None:
    trader = make_user("trader")
    assert has_role(trader, "viewer")
    assert has_role(trader, Role.TRADER)
    assert not has_role(trader, Role.ADMIN)
    make_user("admin")
    assert users_with_role(Role.TRADER).count() == 2
    user_deactivate(user=trader, actor="test")
    trader.refresh_from_db()
    assert not has_role(trader, Role.VIEWER)
    assert users_with_role(Role.TRADER).count() == 1


def test_role_change_replaces_the_group_and_is_audited() -> None:
    user = make_user("viewer")
    changed = user_role_set(user=user, role=Role.TRADER, actor="test", otp_used=True)
    assert [group.name for group in changed.groups.all()] == ["trader"]
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.before, entry.after, entry.otp_used) == (
        "user.role_changed",
        {"role": "viewer"},
        {"role": "trader"},
        True,
    )


def test_the_last_admin_stays() -> None:
    admin = make_user("admin")
    for attempt in (
        lambda: user_deactivate(user=admin, actor="test"),
        lambda: user_role_set(user=admin, role=Role.VIEWER, actor="test"),
        lambda: user_anonymize(user=admin, actor="test"),
    ):
        with pytest.raises(Rejected) as caught:
            attempt()
        assert caught.value.code == "last_admin"
    admin = User.objects.get(pk=admin.pk)
    assert admin.is_active
    assert admin.role is Role.ADMIN
    make_user("admin")
    user_deactivate(user=admin, actor="test")
    assert not User.objects.get(pk=admin.pk).is_active


def test_deactivation_is_idempotent_and_can_be_undone() -> None:
    user = make_user("viewer")
    user_deactivate(user=user, actor="test")
    entries = AuditEntry.objects.count()
    user_deactivate(user=user, actor="test")
    assert AuditEntry.objects.count() == entries
    user_reactivate(user=user, actor="test")
    assert User.objects.get(pk=user.pk).is_active


def test_erasure_leaves_a_pseudonym_and_nothing_else(client: Any) -> None:
    email = "Anastasia.Personal@desk.example"
    user = user_create(email=email, role=Role.TRADER, actor="test", name="Anastasia", password=PASSWORD)
    user_rename(user=user, name="Anastasia Q", actor=user)
    client.post("/accounts/login/", {"email": email, "password": PASSWORD})
    Client().post("/accounts/login/", {"email": email, "password": "wrong"})
    assert AccessAttempt.objects.filter(username__iexact=email).exists()  # the lockout keeps addresses too
    mine = AuditEntry.objects.filter(actor=user).count()
    assert mine > 0
    asked = {"actor": email, "object_id": email, "text": "Anastasia fell ill", "of": "Anastasia"}
    assert api_client(make_user("admin")).get("/api/v1/audit/export", asked).status_code == 200
    out = StringIO()
    call_command("anonymize_user", email, "--reason", "left", "--yes", stdout=out)
    pseudonym = f"erased-{user.pk}@erased.invalid"
    assert pseudonym in out.getvalue()
    user = User.objects.get(pk=user.pk)
    assert (user.email, user.name, user.is_active, user.has_usable_password()) == (pseudonym, "", False, False)
    assert AuditEntry.objects.filter(actor=user).count() == mine
    assert database_holds("anastasia", ignore_case=True) == []
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # the links of this test's own transaction
    assert verify_chain().is_good
    assert user_anonymize(user=user, actor="test") == pseudonym
    with pytest.raises(Rejected):
        user_reactivate(user=user, actor="test")


def test_anonymize_of_an_unknown_person() -> None:
    with pytest.raises(CommandError, match="no user"):
        call_command("anonymize_user", "nobody@desk.example", "--yes")


def test_demo_people_log_in_with_what_is_printed(client: Any) -> None:
    people = demo_users_create()
    assert [person.role for person in people] == list(Role)
    admin = people[-1]
    assert admin.password not in repr(admin)
    assert client.post("/accounts/login/", {"email": admin.email, "password": admin.password}).status_code == 302
    out = StringIO()
    call_command("demo_code", "admin", stdout=out)
    assert client.post("/accounts/code/", {"code": out.getvalue().strip()}).status_code == 302
    secret = admin.otpauth_uri.split("secret=")[1].split("&")[0]
    import base64

    raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    assert demo_code(email=admin.email, now_s=59) == totp.current_code(secret=raw, now_s=59)
    again = demo_users_create()
    assert User.objects.count() == 3
    assert again[0].password != people[0].password


def test_demo_code_only_for_demo_people_in_the_demo(settings: Any) -> None:
    trader = make_user("trader")
    with pytest.raises(Rejected) as caught:
        demo_code(email=trader.email, now_s=0)
    assert caught.value.code == "not_a_demo_user"
    settings.AVIGRID = {**settings.AVIGRID, "DEMO": False}
    for refused in (demo_users_create, lambda: demo_code(email="admin@demo.avigrid.example", now_s=0)):
        with pytest.raises(Rejected) as caught:
            refused()
        assert caught.value.code == "not_in_demo"


# -- over the API ---------------------------------------------------------------------------------------------------


def test_api_creates_with_a_link(django_capture_on_commit_callbacks: Any) -> None:
    admin = make_user("admin")
    with django_capture_on_commit_callbacks(execute=True):
        answer = api_client(admin).post(
            "/api/v1/users",
            {"email": "New@desk.example", "role": "trader"},
            format="json",
            HTTP_X_OTP_CODE=code_for(admin),
        )
    assert answer.status_code == 201
    body = answer.json()
    assert (body["email"], body["role"], body["is_active"], body["has_device"]) == (
        "new@desk.example",
        "trader",
        True,
        False,
    )
    assert mail.outbox[0].to == ["new@desk.example"]
    assert "password" not in answer.content.decode()


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({"email": "x", "role": "trader"}, 400, "email"),
        ({"email": "a@desk.example", "role": "boss"}, 400, "role"),
        ({"email": "a@desk.example"}, 400, "role"),
        ({"email": "a@desk.example", "role": "viewer", "name": "x" * 121}, 400, "name"),
        ({"email": "taken@desk.example", "role": "viewer"}, 409, "email_taken"),
    ],
)
def test_api_refuses_bad_input(body: dict[str, Any], status: int, where: str) -> None:
    admin = make_user("admin")
    user_create(email="taken@desk.example", role=Role.VIEWER, actor="test")
    count = User.objects.count()
    answer = api_client(admin).post("/api/v1/users", body, format="json", HTTP_X_OTP_CODE=code_for(admin))
    assert answer.status_code == status
    assert where in (answer.json().get("errors") or answer.json()["code"])
    assert User.objects.count() == count


def test_api_changes_only_what_is_given() -> None:
    admin, person = make_user("admin"), make_user("trader")
    client = api_client(admin)

    def patch(**body: Any) -> Any:
        return client.patch(f"/api/v1/users/{person.pk}", body, format="json", HTTP_X_OTP_CODE=code_for(admin))

    assert patch(name="Bob").json()["role"] == "trader"
    assert patch(role="viewer").json()["role"] == "viewer"
    assert patch(reset_device=True).json()["has_device"] is False
    assert not TotpDevice.objects.filter(user=person).exists()
    assert patch(is_active=False, reason="holiday").json()["is_active"] is False
    assert AuditEntry.objects.latest("pk").reason == "holiday"
    assert patch(is_active=True).json()["is_active"] is True
    own = client.patch(f"/api/v1/users/{admin.pk}", {"role": "viewer"}, format="json", HTTP_X_OTP_CODE=code_for(admin))
    assert (own.status_code, own.json()["code"]) == (409, "last_admin")


def test_api_changes_all_that_is_asked_or_nothing() -> None:
    admin, other = make_user("admin"), make_user("admin")
    entries = AuditEntry.objects.count()
    user_deactivate(user=other, actor="test")
    body = {"name": "Renamed", "role": "viewer", "reset_device": True}
    answer = api_client(admin).patch(f"/api/v1/users/{admin.pk}", body, format="json", HTTP_X_OTP_CODE=code_for(admin))
    assert (answer.status_code, answer.json()["code"]) == (409, "last_admin")
    admin.refresh_from_db()
    assert admin.name == ""
    assert TotpDevice.objects.filter(user=admin).exists()
    assert AuditEntry.objects.count() == entries + 1  # the deactivation


DUMMY = "django.core.mail.backends.dummy.EmailBackend"


def test_without_mail_the_answer_holds_the_link(settings: Any, client: Client) -> None:
    admin = make_user("admin")
    body = {"email": "new@desk.example", "role": "viewer"}
    settings.EMAIL_BACKEND = DUMMY
    made = api_client(admin).post("/api/v1/users", body, format="json", HTTP_X_OTP_CODE=code_for(admin)).json()
    assert made["link"].startswith("http://testserver/accounts/link/")
    assert client.get(made["link"]).status_code == 200
    ask = {"reset_password": True}
    url = f"/api/v1/users/{made['id']}"
    reset = api_client(admin).patch(url, ask, format="json", HTTP_X_OTP_CODE=code_for(admin)).json()
    assert reset["link"] not in ("", made["link"])
    assert client.get(made["link"]).status_code == 200  # a reset leaves the activation alone
    assert client.post("/accounts/reset/", {"email": "new@desk.example"}).content.count(b"Ask an admin")
    assert client.get(reset["link"]).status_code == 200  # what nobody would receive is not made


@pytest.mark.django_db(transaction=True)
def test_a_mail_server_that_refuses_leaves_the_link_with_the_admin(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    user = make_user("viewer")
    sent = link_send(user=user, purpose=OneTimeLink.Purpose.RESET, actor="test", base_url="https://desk.example/")
    assert sent.mailed is False
    assert sent.to_hand_over == sent.url
    assert sent.url not in repr(sent)


def test_mail_that_went_out_is_not_told(django_capture_on_commit_callbacks: Any) -> None:
    user = make_user("viewer")
    with django_capture_on_commit_callbacks(execute=True):
        sent = link_send(user=user, purpose=OneTimeLink.Purpose.RESET, actor="test", base_url="https://desk.example")
    assert len(mail.outbox) == 1
    assert sent.to_hand_over is None


def test_using_a_link_burns_the_others() -> None:
    user = make_user("viewer")
    first, second = (link_issue(user=user, purpose=purpose, actor="test") for purpose in OneTimeLink.Purpose)
    link_use(token=first, password=PASSWORD)
    assert link_find(token=second) is None


def test_api_lists_by_cursor_without_a_query_each(django_assert_max_num_queries: Any) -> None:
    admin = make_user("admin")
    for _ in range(25):
        make_user("viewer")
    client = api_client(admin)
    client.get("/api/v1/users")
    with django_assert_max_num_queries(6):
        first = client.get("/api/v1/users?page_size=20").json()
    assert len(first["results"]) == 20
    assert first["previous"] is None
    second = client.get(first["next"]).json()
    assert len(second["results"]) == 6
    seen = [row["id"] for row in first["results"] + second["results"]]
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 26


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"actor": "{email}"}, {"actor": "user:{id}"}),
        ({"actor": "{email}", "action": "user."}, {"actor": "user:{id}", "action": "user."}),
        ({"actor": "nobody@desk.example"}, {"actor": "[unknown]"}),
        (
            {"object_id": "{email}", "object_type": "trading.plan"},
            {"object_id": "[text]", "object_type": "trading.plan"},
        ),
        ({"text": "of Mr Smith", "x": "Mr Smith", "otp_used": "true"}, {"text": "[text]", "otp_used": "true"}),
        ({"since": "2026-01-02T00:00:00Z"}, {"since": "2026-01-02T00:00:00+00:00"}),
        ({}, {}),
    ],
)
def test_an_export_is_noted_without_anybodys_address(asked: dict[str, str], kept: dict[str, str]) -> None:
    admin = make_user("admin")
    names = {"email": admin.email.upper(), "id": str(admin.pk)}
    query = {name: value.format(**names) for name, value in asked.items()}
    assert api_client(admin).get("/api/v1/audit/export", query).status_code == 200
    noted = AuditEntry.objects.latest("pk").after
    assert noted == {"filters": {name: value.format(**names) for name, value in kept.items()}}


def test_api_audit_search_export_and_proof() -> None:
    admin = make_user("admin")
    client = api_client(admin)
    user_create(email="=cmd@desk.example", role=Role.VIEWER, actor="importer")
    found = client.get("/api/v1/audit?action=user.&actor=importer").json()["results"]
    assert [row["action"] for row in found] == ["user.created"]
    assert found[0]["actor"] == "importer"
    assert client.get("/api/v1/audit?since=not-a-time").status_code == 400
    assert client.get("/api/v1/audit?since=2999-01-01T00:00:00Z").json()["results"] == []
    export = client.get("/api/v1/audit/export?actor=importer")
    lines = b"".join(export.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[0].startswith("id,at,actor,action")
    assert len(lines) == 2
    exported = AuditEntry.objects.latest("pk")
    assert (exported.action, exported.after) == ("audit.exported", {"filters": {"actor": "importer"}})
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    proof = client.get("/api/v1/audit/verify").json()
    assert proof["good"] is True
    assert proof["first_bad_seq"] is None
