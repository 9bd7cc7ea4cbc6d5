"""Walks every url, API operation, admin page and socket as everybody who might knock, and asserts the exact answer.

Routes are discovered, never listed. A route that declares no action fails here by name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.core.roles import Role
from accounts.models import User
from accounts.permissions.table import ACTIONS, Action, Door
from accounts.services.tokens import tokens_issue
from accounts.services.users import user_deactivate
from tests.support.routes import Route, all_routes
from tests.support.sockets import run_async
from tests.support.users import api_client, login, make_user

ROUTES = all_routes()
LOGIN_PAGE, DEVICE_PAGE, FRESH_PAGE = "/accounts/login/", "/accounts/device/", "/accounts/fresh/"


@dataclass(frozen=True)
class Persona:
    name: str
    role: Role | None
    device: bool = True
    active: bool = True
    fresh: bool = False


PERSONAS = [
    Persona("anonymous", None),
    Persona("viewer", Role.VIEWER, device=False),
    Persona("trader", Role.TRADER),
    Persona("trader without device", Role.TRADER, device=False),
    Persona("admin", Role.ADMIN),
    Persona("admin with a fresh code", Role.ADMIN, fresh=True),
    Persona("deactivated admin", Role.ADMIN, active=False, fresh=True),
]
BY_NAME = {persona.name: persona for persona in PERSONAS}


def expected(persona: Persona, action: Action) -> str:
    """Written out from the permission rules, not from the code that enforces them."""
    if action.door is Door.PUBLIC:
        return "pass"
    if persona.role is None or not persona.active:
        return "login"
    if action.door is Door.SELF:
        return "pass"
    if persona.role in (Role.TRADER, Role.ADMIN) and not persona.device:
        return "device"
    order = [Role.VIEWER, Role.TRADER, Role.ADMIN]
    assert action.least is not None
    if order.index(persona.role) < order.index(action.least):
        return "role"
    if action.code_within_s is not None and not persona.fresh:
        return "code"
    return "pass"


def answered(route: Route, method: str, response: Any) -> str:
    """What the answer means to the visitor."""
    status, target = response.status_code, response.headers.get("Location", "")
    if route.is_api:
        if status == 401:
            return "login"
        code = response.json().get("code", "") if status == 403 else ""
        refused = {"permission_denied": "role", "device_required": "device", "fresh_code_required": "code"}
        return refused.get(code, "pass" if status != 403 else f"403 {code}")
    if status == 302 and target.startswith(LOGIN_PAGE) and "next=" in target:
        return "login"
    if status == 302 and target == DEVICE_PAGE:
        return "device"
    if status == 302 and target.startswith(FRESH_PAGE):
        return "code"
    if status == 403:
        ours = {"permission_denied": "role", "fresh_code_required": "code"}.get(response.headers.get("X-Refused", ""))
        # behind its door, the admin itself refuses what nobody may do there: deleting, or adding to the audit trail
        return ours or ("pass" if route.path.startswith("/admin/") else "403")
    return "pass"


def operations() -> Iterator[tuple[Route, str, str]]:
    for route in ROUTES:
        for method, name in (route.actions() or {}).items():
            yield route, method, name


def test_there_is_something_to_walk() -> None:
    assert len(ROUTES) > 60
    assert sum(route.is_api for route in ROUTES) > 10
    assert any(route.template.startswith("admin/") for route in ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.template or "/")
def test_every_route_declares_a_known_action(route: Route) -> None:
    actions = route.actions()
    assert actions, f"/{route.template} declares no action: use @requires(...) or `access = {{...}}`"
    unknown = {method: name for method, name in actions.items() if name not in ACTIONS}
    assert not unknown, f"/{route.template} names actions the table does not have: {unknown}"


def visitor(persona: Persona, route: Route) -> Client | APIClient:
    client: Any = APIClient() if route.is_api else Client(raise_request_exception=False)
    if persona.role is None:
        return client
    user = make_user(persona.role, with_device=persona.device)
    if route.is_api and not persona.fresh:
        client = api_client(user)
    else:  # freshness lives in the session; the API takes sessions too
        client.raise_request_exception = False
        login(client, user, fresh_code=persona.fresh)
    if not persona.active:
        make_user(Role.ADMIN)  # the last one cannot be deactivated
        user_deactivate(user=user, actor="test")
    return client


WRITES = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
BOOKKEEPING = ("django_session", "accounts_usersession")


def wrote(queries: CaptureQueriesContext) -> list[str]:
    return [
        query["sql"][:200]
        for query in queries.captured_queries
        if query["sql"].lstrip().upper().startswith(WRITES) and not any(name in query["sql"] for name in BOOKKEEPING)
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("who", [persona.name for persona in PERSONAS])
def test_walk(who: str) -> None:
    """One test a persona; every wrong answer is listed."""
    persona = BY_NAME[who]
    wrong: list[str] = []
    visitors: dict[bool, Any] = {}
    walked = 0
    for route, method, name in operations():
        wanted = expected(persona, ACTIONS[name])
        if wanted == "pass" and persona.role is not None and _ends_the_session(route):
            continue
        cache.clear()
        client = visitors.get(route.is_api) or visitors.setdefault(route.is_api, visitor(persona, route))
        with CaptureQueriesContext(connection) as queries:
            response = client.generic(method, route.path, b"{}" if route.is_api else b"", **_kind(route))
        got = answered(route, method, response)
        line = f"{method} {route.path} ({name}): wanted {wanted}, got {got} [{response.status_code}]"
        if got != wanted:
            wrong.append(line)
        elif wanted == "pass" and response.status_code >= 500 and not _may_be_unready(route):
            wrong.append(f"{line}: a server error")
        elif wanted != "pass" and wrote(queries):
            wrong.append(f"{line}: refused, yet it wrote {wrote(queries)}")
        walked += 1
    assert walked > 80
    assert not wrong, "\n".join(wrong)


def _kind(route: Route) -> dict[str, str]:
    return {"content_type": "application/json" if route.is_api else "application/x-www-form-urlencoded"}


def _ends_the_session(route: Route) -> bool:
    """Would throw the walker out; its permission is `own.session`, walked by the personas it refuses."""
    return route.path in ("/accounts/logout/", "/admin/logout/", "/admin/login/", "/accounts/device/")


def _may_be_unready(route: Route) -> bool:
    return route.path == "/ready"


def test_the_walk_would_notice_an_open_door() -> None:
    """The walker itself is tried on a view that forgets to ask."""
    from django.http import HttpResponse

    def forgotten(request: Any) -> HttpResponse:
        return HttpResponse("secrets")

    route = Route(template="forgotten", path="/forgotten", view=forgotten)
    assert route.actions() is None
    assert answered(route, "GET", HttpResponse("secrets")) == "pass"
    assert expected(BY_NAME["anonymous"], ACTIONS["desk.read"]) == "login"


@pytest.mark.django_db
def test_middleware_refuses_what_declares_nothing(rf: Any) -> None:
    from accounts.middleware import AccessMiddleware

    def forgotten(request: Any) -> None:
        raise AssertionError("must not run")

    request = rf.get("/forgotten")
    request.user = AnonymousUser()
    response = AccessMiddleware(lambda _: None).process_view(request, forgotten, (), {})  # type: ignore[arg-type, return-value]
    assert response is not None
    assert response.status_code == 403


# -- sockets ---------------------------------------------------------------------------------------------------------


def socket_paths() -> list[str]:
    from avigrid.routing import websocket_urlpatterns

    return ["/" + str(pattern.pattern) for pattern in websocket_urlpatterns]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", [persona.name for persona in PERSONAS])
@pytest.mark.parametrize("path", socket_paths())
def test_sockets(who: str, path: str) -> None:
    persona = BY_NAME[who]
    allowed = expected(persona, ACTIONS["desk.read"]) == "pass"
    cookie, token = b"", b"none"
    if persona.role is not None:
        client = Client()
        user = make_user(persona.role, with_device=persona.device)
        login(client, user)
        cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items()).encode()
        with_code = persona.device and persona.role.needs_device
        token = tokens_issue(user=user, otp=with_code).access.encode()
        if not persona.active:
            make_user(Role.ADMIN)
            user_deactivate(user=User.objects.get(pk=user.pk), actor="test")
    from_a_page = [(b"origin", b"http://localhost"), (b"cookie", cookie)]
    from_a_program = [(b"authorization", b"Bearer " + token)]
    assert run_async(_stays_open(path, from_a_page)) is allowed
    assert run_async(_stays_open(path, from_a_program)) is allowed


@pytest.mark.django_db(transaction=True)
def test_sockets_from_other_sites_are_refused() -> None:
    user = make_user(Role.VIEWER)
    cookies = login(Client(), user).cookies
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items()).encode()
    bearer = b"Bearer " + tokens_issue(user=user, otp=False).access.encode()
    for path in socket_paths():
        for origin in ([(b"origin", b"https://evil.example")], []):
            assert run_async(_stays_open(path, [*origin, (b"cookie", cookie)])) is False
        elsewhere = [(b"origin", b"https://evil.example"), (b"authorization", bearer)]
        assert run_async(_stays_open(path, elsewhere)) is False


async def _stays_open(path: str, headers: list[tuple[bytes, bytes]]) -> bool:
    from avigrid.asgi import application

    socket = WebsocketCommunicator(application, path, headers=[(b"host", b"localhost"), *headers])
    connected, _ = await socket.connect(timeout=5)
    if not connected:
        return False
    for ping in ("ping", "ping 1"):  # one of them is answered by whoever was not sent away
        await socket.send_to(text_data=ping)
    first = await socket.receive_output(timeout=5)
    if socket.future and not socket.future.done():
        await socket.disconnect()
    return bool(first["type"] != "websocket.close")
