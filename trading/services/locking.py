"""One writer at a time per trading account: every change of plans, orders, fills and limits takes this lock first."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from avigrid.common import leases
from avigrid.common.leases import HeldLease

_LOCK_SPACE = 0x41566_2


@contextmanager
def account_transaction(account_id: int, *, fence: HeldLease | None = None) -> Iterator[None]:
    """A transaction that holds the account's lock until it ends, and proves the caller's lease where it has one."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_LOCK_SPACE, account_id])
        if fence is not None:
            leases.check(fence)
        yield


NOTIFY_CHANNEL = "avigrid_execution"


def wake_execution(account_id: int) -> None:
    """Delivered when the surrounding transaction commits, and only then."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [NOTIFY_CHANNEL, str(account_id)])
