"""Everything that may wake the execution process, in one queue: private frames, NOTIFY, and the wish to stop."""

import json
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import structlog
from django.db import connection

from avigrid.exchange.ports import AccountFeed
from trading.runtime.private_stream import Failed, Heard, PrivateStream
from trading.services.locking import NOTIFY_CHANNEL

__all__ = ["Failed", "Heard", "Inbox", "Item", "Woken", "database_url"]

log = structlog.get_logger(__name__)
_RECONNECT_S = 1.0
_LISTEN_POLL_S = 5.0


@dataclass(frozen=True, slots=True)
class Woken:
    """A NOTIFY: "intents", "plan", "reconcile", "trading_state"; `flatten` comes with the last.

    "listening" is our own: from now on notices are heard, and some may have been missed.
    """

    kind: str
    symbol: str | None = None
    flatten: bool = False


Item = Heard | Woken | Failed


class Inbox:
    def __init__(self, account_id: int, feed: Callable[[], AccountFeed], database_url: str) -> None:
        self._account_id = account_id
        self._database_url = database_url
        self._items: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._stream = PrivateStream(feed, self.put)
        self._stopping = threading.Event()

    def start(self) -> None:
        self._stream.start()
        threading.Thread(target=self._listen, name="listen", daemon=True).start()

    def switch(self, feed: Callable[[], AccountFeed]) -> None:
        """Another private stream, of a new key say; the old one ends once this one is up."""
        self._stream = PrivateStream(feed, self.put, replaces=self._stream)
        self._stream.start()

    def stop(self) -> None:
        self._stopping.set()
        self._stream.stop()

    def put(self, item: Item) -> None:
        self._items.put(item)

    def take(self, *, wait_s: float, limit: int = 200) -> list[Item]:
        """What is there, waiting at most `wait_s` for the first one."""
        items: list[Item] = []
        try:
            items.append(self._items.get(timeout=wait_s) if wait_s > 0 else self._items.get_nowait())
            while len(items) < limit:
                items.append(self._items.get_nowait())
        except queue.Empty:
            pass
        return items

    def __len__(self) -> int:
        return self._items.qsize()

    def _listen(self) -> None:
        """Losing the database costs wake-ups, which the timer replaces; come back quietly when it does."""
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self._database_url, autocommit=True) as listener:
                    listener.execute(f"LISTEN {NOTIFY_CHANNEL}")
                    self.put(Woken("listening"))  # something may have been committed while nobody listened
                    while not self._stopping.is_set():
                        for notice in listener.notifies(timeout=_LISTEN_POLL_S):
                            self._notice(notice.payload)
            except psycopg.Error as error:
                log.warning("listen_lost", error=type(error).__name__)
                self._stopping.wait(_RECONNECT_S)

    def _notice(self, payload: str) -> None:
        try:
            said = json.loads(payload)
            if int(said["account_id"]) != self._account_id:
                return
            self.put(Woken(str(said["kind"]), said.get("symbol"), bool(said.get("flatten", False))))
        except (ValueError, KeyError, TypeError):
            log.warning("notice_unreadable", payload=payload[:200])


def database_url() -> str:
    """The default database as libpq wants it, for the connection that only listens."""
    row = connection.settings_dict
    return psycopg.conninfo.make_conninfo(
        dbname=row["NAME"],
        user=row.get("USER") or None,
        password=row.get("PASSWORD") or None,
        host=row.get("HOST") or None,
        port=row.get("PORT") or None,
        application_name="avigrid-listen",
    )
