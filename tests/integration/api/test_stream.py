"""/ws/live/: every event as JSON, by session or token, until the person's access ends."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from accounts import consumers
from accounts.models import TokenFamily, User
from accounts.services.sessions import session_end, session_note
from accounts.services.tokens import TokenPair, TokenRefused, family_end, tokens_issue, tokens_refresh, tokens_revoke
from accounts.services.users import user_deactivate
from avigrid.common import push
from tests.support.sockets import run_async
from tests.support.users import login, make_user
from tests.support.web_server import web_server

pytestmark = pytest.mark.django_db(transaction=True)


def socket(token: str, path: str = "/ws/live/") -> WebsocketCommunicator:
    from avigrid.asgi import application

    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost")]
    if token:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    return WebsocketCommunicator(application, path, headers=headers)


@pytest.mark.parametrize("path", ["/ws/live/", "/ws/screen/?fragments=topbar"])
def test_deactivating_a_person_closes_their_sockets_and_nobody_elses(path: str) -> None:
    leaver, other = make_user("trader"), make_user("trader")
    tokens = [tokens_issue(user=user, otp=True).access for user in (leaver, other)]

    async def watch() -> tuple[int, bool]:
        first, second = socket(tokens[0], path), socket(tokens[1], path)
        for program in (first, second):
            assert (await program.connect(timeout=5))[0]
            await program.receive_output(timeout=5)  # the greeting, or the first fragment
        await sync_to_async(user_deactivate)(user=leaver, actor="test")
        said = await first.receive_output(timeout=5)
        while said["type"] != "websocket.close":
            said = await first.receive_output(timeout=5)
        await second.send_to(text_data="ping" if path == "/ws/live/" else "ping 1")
        answer = await second.receive_output(timeout=5)
        stays = answer["type"] == "websocket.send"
        await second.disconnect()
        return int(said["code"]), stays

    assert run_async(watch()) == (4401, True)


async def say(kind: str, payload: dict[str, Any]) -> None:
    layer = get_channel_layer()
    assert layer is not None
    await layer.group_send(push.GROUP, {"type": "live.event", "kind": kind, "payload": payload})


def test_events_arrive_as_json() -> None:
    token = tokens_issue(user=make_user("trader"), otp=True).access

    async def listen() -> list[Any]:
        program = socket(token)
        assert (await program.connect(timeout=5))[0]
        hello = await program.receive_json_from(timeout=5)
        await say("price", {})  # for pages alone
        await say("signal", {"signal_id": 7})
        event = await program.receive_json_from(timeout=5)
        await program.send_to(text_data="ping")
        pong = await program.receive_from(timeout=5)
        await program.disconnect()
        return [hello, event, pong]

    assert run_async(listen()) == [
        {"kind": "hello", "payload": {}},
        {"kind": "signal", "payload": {"signal_id": 7}},
        "pong",
    ]


@pytest.mark.parametrize(
    ("role", "otp", "expected"),
    [(None, False, 4401), ("garbage", False, 4401), ("trader", False, 4403)],
)
def test_who_may_not_listen(role: str | None, otp: bool, expected: int) -> None:
    token = ""
    if role == "garbage":
        token = "a.b.c"
    elif role:
        token = tokens_issue(user=make_user(role), otp=otp).access

    async def closed_with() -> int:
        program = socket(token)
        await program.connect(timeout=5)
        said = await program.receive_output(timeout=5)
        return int(said["code"])

    assert run_async(closed_with()) == expected


def _log_out(user: User, pair: TokenPair) -> None:
    tokens_revoke(refresh=pair.refresh)


def _end_it_on_the_page(user: User, pair: TokenPair) -> None:
    assert family_end(user=user, family_id=TokenFamily.objects.get(user=user).pk)


def _use_an_old_token_again(user: User, pair: TokenPair) -> None:
    tokens_refresh(refresh=pair.refresh)
    with pytest.raises(TokenRefused):
        tokens_refresh(refresh=pair.refresh)


def _deactivate(user: User, pair: TokenPair) -> None:
    user_deactivate(user=user, actor="test")


async def closing_code(socket: WebsocketCommunicator) -> int:
    """What it is closed with; what it is sent before does not matter."""
    while (said := await socket.receive_output(timeout=5))["type"] != "websocket.close":
        pass
    return int(said["code"])


@pytest.mark.parametrize("end", [_log_out, _end_it_on_the_page, _use_an_old_token_again, _deactivate])
def test_the_stream_ends_with_the_access(end: Callable[[User, TokenPair], None]) -> None:
    user = make_user("trader")
    pair = tokens_issue(user=user, otp=True)

    async def listen() -> int:
        program = socket(pair.access)
        await program.connect(timeout=5)
        await program.receive_json_from(timeout=5)
        await sync_to_async(end)(user, pair)
        return await closing_code(program)

    assert run_async(listen()) == 4401


def page_socket(user: User) -> tuple[WebsocketCommunicator, str]:
    from avigrid.asgi import application

    client = login(Client(), user)
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"cookie", cookies.encode())]
    return WebsocketCommunicator(application, "/ws/live/", headers=headers), client.session.session_key


def test_an_open_page_ends_with_its_session() -> None:
    user = make_user("trader")
    page, key = page_socket(user)
    row = session_note(user=user, session_key=key)

    async def listen() -> int:
        await page.connect(timeout=5)
        await page.receive_json_from(timeout=5)
        assert await sync_to_async(session_end)(user=user, session_id=row.pk)
        return await closing_code(page)

    assert run_async(listen()) == 4401


def test_an_open_page_ends_when_its_session_has_expired(monkeypatch: pytest.MonkeyPatch) -> None:
    """The row of an expired session stays until the nightly clearing."""
    monkeypatch.setattr(consumers, "_ASK_AGAIN_S", 0.0)
    user = make_user("trader")
    page, key = page_socket(user)

    async def listen() -> int:
        await page.connect(timeout=5)
        await page.receive_json_from(timeout=5)
        await Session.objects.filter(session_key=key).aupdate(expire_date=timezone.now() - timedelta(seconds=1))
        return await closing_code(page)

    assert run_async(listen()) == 4401
    assert Session.objects.filter(session_key=key).exists()


def test_a_database_away_for_a_moment_does_not_end_the_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    user = make_user("trader")
    token = tokens_issue(user=user, otp=True).access
    answers = iter([OperationalError("the server closed the connection"), OperationalError("still away")])
    real = consumers.socket_answer

    def asked(scope: Any, action: str) -> Any:
        error = next(answers, None)
        if error is not None:
            raise error
        return real(scope, action)

    async def listen() -> int:
        program = socket(token)
        await program.connect(timeout=5)
        await program.receive_json_from(timeout=5)
        monkeypatch.setattr(consumers, "socket_answer", asked)
        await User.objects.filter(pk=user.pk).aupdate(is_active=False)
        return await closing_code(program)

    monkeypatch.setattr(consumers, "_ASK_AGAIN_S", 0.0)
    assert run_async(listen()) == 4401
    assert next(answers, None) is None


async def first_word(headers: dict[str, str], *, origin: str | None = None) -> str:
    """What a real client of the real server hears first: a kind of event, a closing code or a refused handshake."""
    address = f"ws://{web_server()}/ws/live/"
    try:
        async with connect(address, additional_headers=headers, origin=origin, open_timeout=10) as socket:  # type: ignore[arg-type]
            said = json.loads(await asyncio.wait_for(socket.recv(), 10))
            return str(said["kind"])
    except InvalidStatus as refused:
        return f"handshake {refused.response.status_code}"
    except ConnectionClosed as closed:
        return f"closed {closed.rcvd.code if closed.rcvd else 0}"


def cookie_of(user: User) -> str:
    client = login(Client(), user)
    return "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())


def test_a_program_needs_a_token_and_no_origin() -> None:
    user = make_user("trader")
    bearer = {"Authorization": f"Bearer {tokens_issue(user=user, otp=True).access}"}
    assert run_async(first_word(bearer)) == "hello"
    assert run_async(first_word(bearer, origin=f"http://{web_server()}")) == "hello"
    assert run_async(first_word(bearer, origin="https://evil.example")) == "handshake 403"


@pytest.mark.parametrize("bearer", ["a.b.c", ""])
def test_without_an_origin_a_session_opens_nothing(bearer: str) -> None:
    """Another site could ride on a cookie; the check of the origin is only given up together with it."""
    cookie = {"Cookie": cookie_of(make_user("trader"))}
    assert run_async(first_word(cookie)) == "handshake 403"
    assert run_async(first_word(cookie, origin=f"http://{web_server()}")) == "hello"
    assert run_async(first_word({**cookie, "Authorization": f"Bearer {bearer}"})) in ("closed 4401", "handshake 403")
