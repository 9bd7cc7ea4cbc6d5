"""Pages nobody wants to see: they say what was not done, in the reader's language, and lead on."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client, RequestFactory
from django.utils import timezone, translation

from accounts.models import AuditEntry
from avigrid.common.api_errors import failed
from risk.core.states import State
from risk.selectors.guards import effective_state
from tests.support.api_world import ApiWorld
from tests.support.users import login, make_user

pytestmark = pytest.mark.django_db
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


def state_of(world: ApiWorld) -> State:
    return effective_state(account_id=world.account.pk, symbol="AAAUSDT")


def tab(role: str) -> tuple[Client, str]:
    """A browser with a page from before its last login: the token in that page is not the cookie's any more."""
    client: Client = login(Client(enforce_csrf_checks=True), make_user(role))
    found = TOKEN.search(client.get("/").content.decode())
    assert found is not None
    client.cookies["avigrid_csrf"] = "n" * 32
    return client, found[1]


def test_halt_from_an_old_tab_takes_one_press_more(world: ApiWorld) -> None:
    client, old = tab("trader")
    entries = AuditEntry.objects.count()
    refused = client.post("/halt", {"csrfmiddlewaretoken": old, "next": "/risk/"})
    page = refused.content.decode()
    assert refused.status_code == 403
    assert "Trading was not halted" in page
    assert AuditEntry.objects.count() == entries
    assert state_of(world) is State.ACTIVE
    form = re.search(r'<form method="post" action="/halt">(.*?)</form>', page, re.DOTALL)
    assert form is not None
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[1]))
    again = client.post("/halt", fields)
    assert (again.status_code, again["Location"]) == (302, "/risk/")
    assert state_of(world) is State.HALTED


@pytest.mark.parametrize("who", ["viewer", None])
def test_who_may_not_halt_is_offered_no_button(who: str | None, world: ApiWorld) -> None:
    client, old = tab(who) if who else (Client(enforce_csrf_checks=True), "x" * 64)
    page = client.post("/halt", {"csrfmiddlewaretoken": old}).content.decode()
    assert "Trading was not halted" in page
    assert 'action="/halt"' not in page
    assert ('href="/accounts/login/?next=/"' in page) is (who is None)


@pytest.mark.parametrize(
    ("referer", "back"),
    [
        ("http://testserver/plans/?symbol=AAAUSDT", "/plans/?symbol=AAAUSDT"),
        ("http://evil.example/plans/", "/"),
        ("http://testserver//evil.example/", "/"),
        ("", "/"),
    ],
)
def test_another_command_from_an_old_tab_leads_back(referer: str, back: str, world: ApiWorld) -> None:
    client, old = tab("trader")
    extra = {"HTTP_REFERER": referer} if referer else {}
    answer = client.post("/risk/auto-mode/revoke", {"csrfmiddlewaretoken": old}, **extra)  # type: ignore[arg-type]
    assert answer.status_code == 403
    page = answer.content.decode()
    assert "Nothing was changed" in page
    assert f'class="button primary" href="{back}"' in page


def test_nothing_is_here() -> None:
    answer = Client().get("/no/such/page/")
    assert answer.status_code == 404
    assert "There is nothing at this address" in answer.content.decode()
    assert 'href="/"' in answer.content.decode()
    russian = Client(headers={"Accept-Language": "ru"}).get("/no/such/page/").content.decode()
    assert 'lang="ru"' in russian
    assert "There is nothing" not in russian


def test_a_fault_of_ours_says_so_without_the_database(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("PLANTED")

    monkeypatch.setattr("accounts.views.login.LoginForm", broken)
    client = Client(raise_request_exception=False, headers={"Accept-Language": "ru"})
    answer = client.get("/accounts/login/")
    assert answer.status_code == 500
    page = answer.content.decode()
    assert 'lang="ru"' in page
    assert answer["X-Request-ID"] in page
    assert "PLANTED" not in page
    with django_assert_num_queries(0), translation.override("en"):
        alone = failed(RequestFactory().get("/anywhere/"))
    assert alone.status_code == 500
    assert "This is a fault of ours" in alone.content.decode()


@pytest.mark.parametrize("by_script", [False, True])
def test_a_command_of_an_ended_session_is_said_not_to_be_done(by_script: bool, world: ApiWorld) -> None:
    client = login(Client(), make_user("trader"))
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    headers = {"HX-Request": "true"} if by_script else {}
    refused = client.post("/halt", headers=headers)
    assert state_of(world) is State.ACTIVE
    target = refused["HX-Redirect"] if by_script else refused["Location"]
    page = client.get(target).content.decode()
    assert "Your session had ended: what you asked for was not done." in page
    retry = client.post(target, {"email": "x@desk.example", "password": "wrong"}).content.decode()
    assert "was not done" in retry


def test_a_page_of_an_ended_session_is_no_command(client: Client) -> None:
    for target in (client.get("/risk/")["Location"], client.get("/", headers={"HX-Request": "true"})["HX-Redirect"]):
        assert "was not done" not in client.get(target).content.decode()


def test_what_the_admin_itself_refuses_is_said_in_the_desks_words(world: ApiWorld) -> None:
    client = login(Client(), make_user("admin"), fresh_code=True)
    answer = client.get(f"/admin/accounts/tradingaccount/{world.account.pk}/delete/")
    assert answer.status_code == 403
    assert "Nothing was changed." in answer.content.decode()
