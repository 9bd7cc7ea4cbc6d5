"""`/ws/live/`: every event as JSON, for programs. Same permission as the desk; ends when the person's access ends."""

import asyncio
import contextlib
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from accounts.permissions import Answer, socket_answer
from avigrid.common import push

ACCESS_ENDED = "access_ended"
NOT_LOGGED_IN, NOT_ALLOWED = 4401, 4403
_ASK_AGAIN_S = 30.0


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """Sends `{"kind": ..., "payload": {...}}`. Nothing can be ordered over it; what a client sends is ignored.

    Browsers send their session cookie, programs an `Authorization: Bearer` header with the handshake.
    """

    _watch: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        await self.accept()
        if not await self._may_stay():
            return
        await self.channel_layer.group_add(push.GROUP, self.channel_name)
        self._watch = asyncio.create_task(self._ask_again())
        await self.send_json({"kind": "hello", "payload": {}})

    async def disconnect(self, code: int) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            await self.channel_layer.group_discard(push.GROUP, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any) -> None:
        if text_data == "ping":
            await self.send(text_data="pong")

    async def live_event(self, event: dict[str, Any]) -> None:
        if event["kind"] == ACCESS_ENDED:
            await self._may_stay()
            return
        await self.send_json({"kind": event["kind"], "payload": event["payload"]})

    async def _may_stay(self) -> bool:
        answer = await database_sync_to_async(socket_answer)(self.scope, "desk.read")
        if answer is Answer.ALLOW:
            return True
        await self.close(NOT_LOGGED_IN if answer is Answer.LOGIN else NOT_ALLOWED)
        return False

    async def _ask_again(self) -> None:
        """A token expires without an event."""
        while True:
            await asyncio.sleep(_ASK_AGAIN_S)
            if not await self._may_stay():
                return
