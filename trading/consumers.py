"""The socket behind every page: it only carries fragments out. Nothing is ordered over it."""

import re
import time
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer

from accounts.consumers import AccessBound
from accounts.permissions import socket_role
from trading.runtime import fragments as _registered  # noqa: F401 - fills the registry, whoever knocks first
from trading.runtime import hub, screen

_PING = re.compile(r"ping (\d{1,15})", re.ASCII)


class ScreenConsumer(AccessBound, AsyncWebsocketConsumer):
    """`/ws/screen/?fragments=topbar,signals&lang=en`; closes with 4401 unless a verified person of some role asks."""

    watcher: hub.Watcher | None = None

    async def connect(self) -> None:
        await self.accept()
        role = await database_sync_to_async(socket_role)(self.scope)
        if role is None:
            await self.close(4401)
            return
        await self.bind_access()
        query = parse_qs(self.scope.get("query_string", b"").decode("latin-1"))
        names = screen.registry.known(query.get("fragments", [""])[0].split(","))
        language = "ru" if query.get("lang", ["en"])[0] == "ru" else "en"
        self.watcher = hub.Watcher(screen.Reader(role, language), names, self._write)
        hub.hub().join(self.watcher)

    async def disconnect(self, code: int) -> None:
        await self.unbind_access()
        if self.watcher is not None:
            hub.hub().leave(self.watcher)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Pages have nothing to say here. A ping comes back with the time: a dead line is noticed, countdowns run by
        this machine's clock.
        """
        ping = _PING.fullmatch(text_data or "")
        if ping is not None:
            stamp = f'data-ms="{time.time_ns() // 1_000_000}" data-echo="{ping[1]}"'
            await self.send(text_data=f'<i id="server-clock" hx-swap-oob="true" {stamp} hidden></i>')

    async def _write(self, html: str) -> None:
        await self.send(text_data=html)
