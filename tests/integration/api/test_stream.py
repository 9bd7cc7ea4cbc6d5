"""/ws/live/: every event as JSON, by session or token, until the person's access ends."""

import asyncio
import json
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.test import Client
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from accounts.core.groups import person_group
from accounts.models import TokenFamily, User
from accounts.services.tokens import tokens_issue
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


@pytest.mark.parametrize("how", ["deactivated", "logged out"])
def test_the_stream_ends_with_the_access(how: str) -> None:
    user = make_user("trader")
    token = tokens_issue(user=user, otp=True).access

    async def listen() -> int:
        program = socket(token)
        await program.connect(timeout=5)
        await program.receive_json_from(timeout=5)
        if how == "deactivated":
            await User.objects.filter(pk=user.pk).aupdate(is_active=False)
        else:
            from django.utils import timezone

            await TokenFamily.objects.filter(user=user).aupdate(revoked_at=timezone.now())
        layer = get_channel_layer()
        assert layer is not None
        await layer.group_send(person_group(user.pk), {"type": "access.ended"})
        said = await program.receive_output(timeout=5)
        return int(said["code"])

    assert run_async(listen()) == 4401


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
