"""Values at the edge of what text, numbers and dates can be, in every address and every field a page asks for.

A page need not name the field, as the API must; but it answers, and the answer is no server error.
"""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.db import transaction
from django.http import QueryDict
from django.test import Client

from accounts.permissions import http as page_door
from tests.support.api_world import ApiWorld
from tests.support.routes import Route, all_routes
from tests.support.users import login, make_user

pytestmark = pytest.mark.django_db
NUMBERS = ("9" * 18, "9" * 30)
VALUES = {
    "GET": ("\x00", "9" * 14, "9" * 30, "²", "9999-12-31", "999999999999999-1"),
    "POST": ("\x00", "9" * 30, "²"),
}
OTHERS = ("/admin/", "/metrics", "/api/", "/i18n/")
"""Django's own, or walked by the API's own test."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the fields that a page looked for in its address or form."""
    names: set[str] = set()

    def noting(read: Any) -> Any:
        def noted(self: QueryDict, key: str, *rest: Any) -> Any:
            names.add(str(key))
            return read(self, key, *rest)

        return noted

    for reader in ("get", "getlist", "__getitem__", "__contains__"):
        monkeypatch.setattr(QueryDict, reader, noting(getattr(QueryDict, reader)), raising=False)
    return names


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Client:
    cache.clear()
    settings.AVIGRID = {**settings.AVIGRID, "DEMO": True}
    monkeypatch.setattr(page_door, "code_prove", lambda **asked: True)
    world = ApiWorld()
    world.holding(world.placed())
    client: Client = login(Client(raise_request_exception=False), make_user("admin"), fresh_code=True)
    return client


def routes(method: str) -> list[Route]:
    pages = [route for route in all_routes() if not route.is_api and not route.path.startswith(OTHERS)]
    return [route for route in pages if method in (route.actions() or {}) and "logout" not in route.path]


def answered(client: Client, method: str, path: str, data: str = "") -> int:
    given = {"QUERY_STRING": data} if method == "GET" else {"content_type": "application/x-www-form-urlencoded"}
    with transaction.atomic():
        answer = client.generic(method, path, data="" if method == "GET" else data, **given)
        answer.getvalue()
        transaction.set_rollback(True)
    return int(answer.status_code)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_field_a_page_asks_for(client: Client, asked: set[str], method: str) -> None:
    faults, walked = [], 0
    for route in routes(method):
        path = route.path.replace("/symbols/sample", "/symbols/AAAUSDT")
        for address in {path, *(path.replace("/1", f"/{number}") for number in NUMBERS)}:
            asked.clear()
            if answered(client, method, address) == 500:
                faults.append(f"{method} {address}")
            walked += 1
        for name in sorted(asked - {"csrfmiddlewaretoken", "_method"}):
            for value in VALUES[method]:
                if answered(client, method, path, urlencode({name: value})) == 500:
                    faults.append(f"{method} {path} {name}={value!r}")
                walked += 1
    assert "\n".join(faults) == ""
    assert walked > 150


def test_a_charset_that_holds_no_text(client: Client) -> None:
    form = '--x\r\nContent-Disposition: form-data; name="email"\r\n\r\nme\r\n--x--\r\n'
    answer = client.generic("POST", "/accounts/login/", form, "multipart/form-data; charset=zlib; boundary=x")
    assert (answer.status_code, answer.content.decode()) == (400, "charset: This charset holds no text.")


@pytest.mark.parametrize("year", ["9" * 30, "10000", "²"])
def test_a_year_of_the_admin_beyond_the_calendar(client: Client, year: str) -> None:
    answer = client.get("/admin/accounts/auditentry/", {"at__year": year})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/accounts/auditentry/?e=1")
