"""Runs an async piece of a test and leaves no database session of its thread behind."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections


def run_async[Answer](work: Coroutine[Any, Any, Answer]) -> Answer:
    async def whole() -> Answer:
        try:
            return await work
        finally:
            await sync_to_async(connections.close_all)()

    return asyncio.run(whole())
