"""One pool of Redis connections a process, whatever thread asks.

Django makes a cache object for every thread and each would open connections of its own; an ASGI server answers every
request on a fresh thread, so that each would begin with dialling Redis.
"""

import os
import threading
from typing import Any

from redis import ConnectionPool

_lock = threading.Lock()
_pools: dict[tuple[object, ...], "SharedPool"] = {}


class SharedPool(ConnectionPool):
    """`CACHES[...]["OPTIONS"]["pool_class"]`; Django only ever calls `from_url`."""

    @classmethod
    def from_url(cls, url: str, **options: Any) -> "SharedPool":
        # a forked child must not share its parent's sockets
        key = (os.getpid(), url, *sorted((name, repr(value)) for name, value in options.items()))
        with _lock:
            if key not in _pools:
                _pools[key] = super().from_url(url, **options)
            return _pools[key]
