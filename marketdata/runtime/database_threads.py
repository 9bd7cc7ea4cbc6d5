"""A few threads that own the database connections of an async process."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import InterfaceError, OperationalError, connections


class DatabaseThreads:
    """Runs synchronous calls; each thread keeps its connection until `close`."""

    def __init__(self, count: int = 4) -> None:
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="marketdata-db")

    async def run[**P, T](self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: _call(call, *args, **kwargs))

    async def close(self) -> None:
        """After the last `run`: every thread closes its own connection, then ends."""
        meeting = threading.Barrier(self._count)

        def close_own() -> None:
            meeting.wait(10)  # holds each thread until all are here, so that none closes twice and none is missed
            connections.close_all()

        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._pool, close_own) for _ in range(self._count)))
        self._pool.shutdown(wait=True)


def _call[**P, T](call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return call(*args, **kwargs)
    except (OperationalError, InterfaceError):
        # The next call of this thread opens a new connection, if this one is broken.
        for connection in connections.all(initialized_only=True):
            connection.close_if_unusable_or_obsolete()
        raise
