"""One decision at a time per account: the lock every placement and every state change takes first."""

from dataclasses import dataclass

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from avigrid.kernel.errors import Bug, Rejected
from risk.core.states import Environment
from risk.models import TradingState


@dataclass(frozen=True, slots=True)
class LockedAccount:
    account_id: int
    environment: Environment
    active: bool


def account_lock(*, account_id: int) -> LockedAccount:
    """Lock the account's row until the surrounding transaction ends; taking it again is free.

    NO KEY UPDATE, so that rows merely pointing at the account (fills, orders) can still be written by others.
    Take it BEFORE reading what goes into a snapshot. Raises Rejected `unknown_account`.
    """
    if not connection.in_atomic_block:
        raise Bug("the account lock needs a transaction to live in", code="no_transaction")
    accounts = TradingState._meta.get_field("account").related_model._default_manager
    row = (
        accounts.select_for_update(no_key=True)
        .filter(pk=account_id)
        .order_by()
        .values_list("environment", "active")
        .first()
    )
    if row is None:
        raise Rejected(f"There is no trading account {account_id}.", code="unknown_account", account_id=account_id)
    return LockedAccount(account_id, Environment(row[0]), row[1])


def account_lock_try(*, account_id: int, wait_ms: int) -> bool:
    """The same, but give up after `wait_ms`: a halt must not wait for a placement that hangs."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{wait_ms}ms"])
            account_lock(account_id=account_id)
            cursor.execute("SELECT set_config('lock_timeout', '0', true)")
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            return False
        raise
    return True
