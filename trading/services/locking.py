"""One writer at a time per trading account: every change of plans, orders and fills takes the account's lock first."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

from avigrid.common import leases
from avigrid.common.leases import HeldLease
from risk.services.account_lock import account_lock

NOTIFY_CHANNEL = "avigrid_execution"


@contextmanager
def account_transaction(account_id: int, *, fence: HeldLease | None = None) -> Iterator[None]:
    """A transaction that holds the account's lock until it ends, and proves the caller's lease where it has one."""
    with transaction.atomic():
        account_lock(account_id=account_id)
        if fence is not None:
            leases.check(fence)
        yield


def wake_execution(account_id: int, kind: str = "intents") -> None:
    """Delivered when the surrounding transaction commits, and only then."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_notify(%s, %s)", [NOTIFY_CHANNEL, json.dumps({"kind": kind, "account_id": account_id})]
        )
