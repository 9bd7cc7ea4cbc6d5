"""Django's admin: what asks for a fresh code elsewhere asks for one here too."""

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, AuditEntry, TradingAccount, User, UserSession
from accounts.services.api_keys import Credentials
from accounts.services.second_factor import _new_recovery_codes
from accounts.services.sessions import session_note
from accounts.services.trading_accounts import trading_account_create
from avigrid.kernel.portfolio import KeyInfo
from tests.support.planted import database_holds
from tests.support.users import code_for, login, make_user

pytestmark = pytest.mark.django_db
ADD_USER, USERS = "/admin/accounts/user/add/", "/admin/accounts/user/"
ADD_KEY, KEYS = "/admin/accounts/apikey/add/", "/admin/accounts/apikey/"
SECRET = "PLANTEDneverRealSECRET4712"


@pytest.fixture(autouse=True)
def _plain(settings: Any) -> None:
    cache.clear()
    settings.KEY_TRIAL_CALL = "tests.support.api_world.good_key"


@pytest.fixture
def admin() -> User:
    return make_user("admin")


def browser(admin: User, *, code_age_s: float) -> Client:
    client: Client = login(Client(), admin)
    session = client.session
    session["otp_code_at"] = (timezone.now() - timedelta(seconds=code_age_s)).timestamp()
    session.save()
    return client


def key_form(**extra: Any) -> dict[str, Any]:
    account = trading_account_create(label="main", environment="demo", actor="test")
    return {"account": account.pk, "label": "desk", "key_id": "AbCdEfGh12", "secret": SECRET, **extra}


def user_form(**extra: Any) -> dict[str, Any]:
    return {"email": "new@desk.example", "name": "", "role": "viewer", **extra}


def test_the_pages_open_with_a_code_of_some_minutes_ago(admin: User) -> None:
    assert browser(admin, code_age_s=120).get(USERS).status_code == 200
    assert browser(admin, code_age_s=301).get(USERS).status_code == 302


@pytest.mark.parametrize(("url", "form"), [(ADD_USER, user_form), (ADD_KEY, key_form)])
def test_adding_wants_a_code_of_this_minute(admin: User, url: str, form: Any) -> None:
    people = User.objects.count()
    answer = browser(admin, code_age_s=61).post(url, form())
    assert answer.status_code == 200
    assert "Enter the code your device shows now." in answer.content.decode()
    assert (User.objects.count(), ApiKey.objects.count()) == (people, 0)


@pytest.mark.parametrize(("url", "form"), [(ADD_USER, user_form), (ADD_KEY, key_form)])
@pytest.mark.parametrize("code_age_s", [61, 301])
def test_a_code_in_the_form_will_do(admin: User, url: str, form: Any, code_age_s: float) -> None:
    answer = browser(admin, code_age_s=code_age_s).post(url, form(otp_code=code_for(admin)))
    assert answer.status_code == 302, answer.content.decode()
    assert (User.objects.filter(email="new@desk.example").count(), ApiKey.objects.count()) in ((1, 0), (0, 1))


def test_a_wrong_code_counts_and_keeps_nothing_of_the_form(admin: User) -> None:
    client = browser(admin, code_age_s=61)
    form = key_form(otp_code="000000")
    statuses = []
    for _ in range(5):
        code_for(admin)
        statuses.append(client.post(ADD_KEY, form).status_code)
    assert statuses == [200] * 4 + [429]
    assert AuditEntry.objects.filter(action="code.refused", after={"step": "keys.change"}).count() == 5
    assert database_holds(SECRET) == []


@pytest.mark.parametrize("action", ["send_link", "remove_device"])
def test_actions_want_a_code_of_this_minute(admin: User, action: str) -> None:
    person = make_user("trader")
    chosen = {"action": action, "_selected_action": [person.pk]}
    entries = AuditEntry.objects.count()
    answer = browser(admin, code_age_s=61).post(USERS, chosen)
    assert answer["Location"].startswith("/accounts/fresh/?next=%2Fadmin%2Faccounts%2Fuser%2F")
    assert AuditEntry.objects.count() == entries
    answer = browser(admin, code_age_s=5).post(USERS, chosen)
    assert answer["Location"] == USERS
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.otp_used) == (
        {"send_link": "link.issued", "remove_device": "device.removed"}[action],
        True,
    )


def test_changing_a_role_wants_one_too(admin: User) -> None:
    person = make_user("viewer")
    url, form = f"{USERS}{person.pk}/change/", {"name": "", "role": "admin", "is_active": "on"}
    assert browser(admin, code_age_s=61).post(url, form).status_code == 200
    assert User.objects.get(pk=person.pk).role == "viewer"
    assert browser(admin, code_age_s=5).post(url, form).status_code == 302
    assert User.objects.get(pk=person.pk).role == "admin"


def test_deactivating_a_key_wants_one_too(admin: User) -> None:
    client = browser(admin, code_age_s=5)
    assert client.post(ADD_KEY, key_form()).status_code == 302
    chosen = {"action": "deactivate", "_selected_action": [ApiKey.objects.get().pk]}
    browser(admin, code_age_s=61).post(KEYS, chosen)
    assert ApiKey.objects.get().active
    client.post(KEYS, chosen)
    assert not ApiKey.objects.get().active


@pytest.mark.django_db(transaction=True)
def key_that_can_withdraw(account: TradingAccount, credentials: Credentials) -> KeyInfo:
    return KeyInfo(read_only=False, can_trade=True, can_withdraw=True, ip_bound=True, user_id="1", expires="")


@pytest.mark.parametrize("kind", ["current", "recovery"])
def test_a_key_that_is_refused_is_noted_and_its_code_is_spent(admin: User, settings: Any, kind: str) -> None:
    settings.KEY_TRIAL_CALL = f"{__name__}.key_that_can_withdraw"
    code = code_for(admin) if kind == "current" else _new_recovery_codes(admin)[0]
    form = key_form(otp_code=code)
    answer = browser(admin, code_age_s=61).post(ADD_KEY, form)
    assert (answer.status_code, answer["Location"]) == (302, ADD_KEY)
    refused = AuditEntry.objects.filter(action="key.refused")
    assert [entry.after for entry in refused] == [{"code": "key_can_withdraw"}]
    assert ApiKey.objects.count() == 0
    again = browser(admin, code_age_s=61).post(ADD_KEY, form)
    assert again.status_code == 200
    assert "Enter the code your device shows now." in again.content.decode()
    assert refused.count() == 1


def test_a_change_of_a_person_is_made_as_a_whole(admin: User) -> None:
    """The last admin keeps the old name as well."""
    url, form = f"{USERS}{admin.pk}/change/", {"name": "renamed", "role": "viewer", "is_active": "on"}
    assert browser(admin, code_age_s=5).post(url, form)["Location"] == url
    assert (User.objects.get(pk=admin.pk).name, User.objects.get(pk=admin.pk).role) == ("", "admin")
    assert not AuditEntry.objects.filter(action="user.renamed").exists()


@pytest.mark.django_db(transaction=True)
def test_a_link_no_mail_can_carry_is_shown_to_the_admin(admin: User, settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    person = make_user("viewer")
    client = browser(admin, code_age_s=5)
    chosen = {"action": "send_link", "_selected_action": [person.pk]}
    page = client.post(USERS, chosen, follow=True).content.decode()
    assert "No mail could be sent." in page
    assert f"The link of {person.email}" in page
    assert "/accounts/link/" in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mail_goes_out", [True, False])
def test_an_activation_link_is_shown_only_where_no_mail_carries_it(mail_goes_out: bool, settings: Any) -> None:
    if not mail_goes_out:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    client = browser(make_user("admin"), code_age_s=5)
    page = client.post(ADD_USER, user_form(), follow=True).content.decode()
    assert User.objects.filter(email="new@desk.example").exists()
    assert ("/accounts/link/" in page) is not mail_goes_out
    if mail_goes_out:
        assert "A link is on its way to new@desk.example." in page
        assert [message.to for message in mail.outbox] == [["new@desk.example"]]
    else:
        assert "The link of new@desk.example, once, for 48 hours" in page


def test_groups_cannot_be_edited_around_the_service(admin: User) -> None:
    assert browser(admin, code_age_s=5).get("/admin/auth/group/").status_code == 404


@pytest.mark.parametrize("code_age_s", [5, 3600])
def test_logging_out_of_the_admin_is_the_desks_logout(admin: User, code_age_s: float) -> None:
    client = browser(admin, code_age_s=code_age_s)
    session_note(user=admin, session_key=client.session.session_key or "")
    answer = client.post("/admin/logout/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/login/")
    assert not UserSession.objects.filter(user=admin).exists()
    entry = AuditEntry.objects.latest("pk")
    assert (entry.action, entry.actor, entry.after) == ("logout", admin, {"door": "web"})
    assert client.get(USERS).status_code == 302


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_admins_password_form_leads_to_the_desks(admin: User, method: str) -> None:
    """Django's own form would leave no audit entry, count no wrong guesses and end no other session."""
    answer = getattr(browser(admin, code_age_s=5), method)("/admin/password_change/")
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/")
