"""The one subscription of a web process to the live group, and whether anything would be heard through it.

Redis going away makes no noise here: the layer swallows the broken connection and subscribes again by itself, and what
was said meanwhile is lost. So this process says something to itself all the time and listens whether it comes back.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from channels.layers import get_channel_layer

from avigrid.common import push

ECHO_S = 2.0
"""How often it speaks to itself, and how long it waits to hear that."""
_ECHO = "screen.echo"
log = structlog.get_logger(__name__)


class Ear:
    """`heard` gets every event, `lost` is called when nothing is heard any more, `found` whenever hearing begins."""

    def __init__(
        self,
        heard: Callable[[str, Mapping[str, object]], None],
        *,
        lost: Callable[[], None],
        found: Callable[[], None],
    ) -> None:
        self.is_deaf = False
        self._heard, self._lost, self._found = heard, lost, found
        self._echoed = asyncio.Event()

    async def listen(self) -> None:
        while True:
            try:
                await self._listen_to(get_channel_layer())
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self._miss(error)
                await asyncio.sleep(1)

    async def _listen_to(self, layer: Any) -> None:
        async with asyncio.timeout(ECHO_S):
            channel = await layer.new_channel("screen")
            await layer.group_add(push.GROUP, channel)
        self._hear()
        echo = asyncio.create_task(self._echo(layer, channel))
        try:
            while True:
                message = await layer.receive(channel)
                if message["type"] == _ECHO:
                    self._echoed.set()
                else:
                    self._heard(message["kind"], message.get("payload", {}))
        finally:
            echo.cancel()
            with suppress(asyncio.CancelledError):
                await echo

    async def _echo(self, layer: Any, channel: str) -> None:
        while True:
            await asyncio.sleep(ECHO_S)
            self._echoed.clear()
            try:
                async with asyncio.timeout(ECHO_S):
                    await layer.send(channel, {"type": _ECHO})
                    await self._echoed.wait()
            except Exception as error:
                self._miss(error)
            else:
                if self.is_deaf:
                    self._hear()

    def _hear(self) -> None:
        self.is_deaf = False
        self._found()

    def _miss(self, error: Exception) -> None:
        if not self.is_deaf:
            log.warning("screen_subscription_lost", error=type(error).__name__)
        self.is_deaf = True
        self._lost()
