"""A process stopped in the middle of a transaction keeps the account's lock: the database takes it away after a while.

Nothing between two statements of ours takes that long; whoever did not say anything until then hangs, and its lease has
run out too.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from trading.runtime.pulse import LEASE_TTL_S

_SETTING = "idle_in_transaction_session_timeout"


@contextmanager
def hang_limit(limit_s: float = LEASE_TTL_S) -> Iterator[None]:
    """For every connection of this process that is there or is opened meanwhile."""

    def limit(connection: BaseDatabaseWrapper, **_: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, false)", [_SETTING, f"{limit_s * 1000:.0f}ms"])

    connection_created.connect(limit, weak=False)
    try:
        if connection.connection is not None:
            limit(connection)
        yield
    finally:
        connection_created.disconnect(limit)
        try:
            if connection.connection is not None:
                with connection.cursor() as cursor:
                    cursor.execute(f"RESET {_SETTING}")
        except (OperationalError, InterfaceError):
            connection.close()
