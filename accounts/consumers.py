"""`/ws/live/`: every event as JSON, for programs; and what makes any socket end with its person's access."""

import asyncio
import contextlib
from typing import Any

import structlog
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from accounts.core.groups import person_group
from accounts.permissions import Answer, socket_answer, socket_visitor
from avigrid.common import push
from avigrid.common.events import PAGES_ONLY

NOT_LOGGED_IN, NOT_ALLOWED = 4401, 4403
_ASK_AGAIN_S = 30.0
log = structlog.get_logger(__name__)


class AccessBound:
    """Mixin of consumers: call `bind_access` once connected and `unbind_access` when disconnected.

    The socket closes at once when the person's sessions are ended, and within half a minute when a token expires.
    """

    scope: Any
    channel_layer: Any
    channel_name: str
    _group = ""
    _watch: asyncio.Task[None] | None = None

    async def bind_access(self) -> None:
        visitor = await database_sync_to_async(socket_visitor)(self.scope)
        self._group = person_group(visitor.user.pk)
        try:
            await self.channel_layer.group_add(self._group, self.channel_name)
        except Exception as error:  # Redis away: asking again has to do
            log.warning("socket_not_bound", error=type(error).__name__)
        self._watch = asyncio.create_task(self._ask_again())

    async def unbind_access(self) -> None:
        if self._watch is None:
            return
        if self._watch is not asyncio.current_task():
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        with contextlib.suppress(Exception):
            await self.channel_layer.group_discard(self._group, self.channel_name)

    async def access_ended(self, event: dict[str, Any]) -> None:
        await self.may_stay()

    async def may_stay(self) -> bool:
        answer = await database_sync_to_async(socket_answer)(self.scope, "desk.read")
        if answer is Answer.ALLOW:
            return True
        await self.close(NOT_LOGGED_IN if answer is Answer.LOGIN else NOT_ALLOWED)  # type: ignore[attr-defined]
        return False

    async def _ask_again(self) -> None:
        while True:
            await asyncio.sleep(_ASK_AGAIN_S)
            try:
                if not await self.may_stay():
                    return
            except Exception as error:  # the database away: the next question is asked all the same
                log.warning("socket_not_asked", error=type(error).__name__)


class LiveConsumer(AccessBound, AsyncJsonWebsocketConsumer):
    """Sends `{"kind": ..., "payload": {...}}`. Nothing can be ordered over it; what a client sends is ignored.

    Browsers send their session cookie, programs an `Authorization: Bearer` header with the handshake.
    """

    async def connect(self) -> None:
        await self.accept()
        if not await self.may_stay():
            return
        await self.bind_access()
        await self.channel_layer.group_add(push.GROUP, self.channel_name)
        await self.send_json({"kind": "hello", "payload": {}})

    async def disconnect(self, code: int) -> None:
        await self.unbind_access()
        with contextlib.suppress(Exception):
            await self.channel_layer.group_discard(push.GROUP, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        if text_data == "ping":
            await self.send(text_data="pong")

    async def live_event(self, event: dict[str, Any]) -> None:
        if event["kind"] not in PAGES_ONLY:
            await self.send_json({"kind": event["kind"], "payload": event["payload"]})
