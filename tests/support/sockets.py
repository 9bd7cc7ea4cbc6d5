"""Runs an async piece of a test and leaves no database session of its threads behind."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections

from trading.runtime import hub


def run_async[Answer](work: Coroutine[Any, Any, Answer]) -> Answer:
    async def whole() -> Answer:
        try:
            return await work
        finally:
            await sync_to_async(connections.close_all)()

    try:
        return asyncio.run(whole())
    finally:
        hub._painter.submit(connections.close_all).result()
