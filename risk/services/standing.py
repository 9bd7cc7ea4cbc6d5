"""Where an account stands, as a decision needs it: under its lock, and in one question to the database."""

from dataclasses import dataclass
from functools import cache

from django.db import connection

from avigrid.kernel.errors import Bug, Rejected
from risk.core.limits import RiskLimits
from risk.core.snapshot import Guards
from risk.core.states import Environment
from risk.models import TradingState
from risk.selectors.guards import GUARD_COLUMNS, guards_from
from risk.selectors.limits import FIELDS
from risk.services.account_lock import LockedAccount


@dataclass(frozen=True, slots=True)
class Standing:
    """`limits_version` 0 is the defaults."""

    account: LockedAccount
    limits_version: int
    limits: RiskLimits
    guards: Guards


def standing_of(account_id: int, symbol: str, now_ms: int) -> Standing:
    """Call it after `account_lock`: taking the lock again is free, waiting for it here would show what was before."""
    if not connection.in_atomic_block:
        raise Bug("the account lock needs a transaction to live in", code="no_transaction")
    with connection.cursor() as cursor:
        cursor.execute(_question(), {"account": account_id, "symbol": symbol})
        row = cursor.fetchone()
    if row is None:
        raise Rejected(f"There is no trading account {account_id}.", code="unknown_account", account_id=account_id)
    environment, active, version, *rest = row
    return Standing(
        LockedAccount(account_id, Environment(environment), active),
        version or 0,
        RiskLimits() if version is None else RiskLimits(*rest[: len(FIELDS)]),
        guards_from(tuple(rest[len(FIELDS) :]), symbol, now_ms),
    )


@cache
def _question() -> str:
    accounts = TradingState._meta.get_field("account").related_model._meta.db_table
    limits = ", ".join(f"limits.{name}" for name in FIELDS)
    return f"""
        SELECT account.environment, account.active, limits.version, {limits}, {GUARD_COLUMNS}
        FROM {accounts} AS account
        LEFT JOIN risk_risklimitsversion AS limits ON limits.account_id = account.id AND limits.active
        LEFT JOIN risk_accountmeter AS meter ON meter.account_id = account.id
        WHERE account.id = %(account)s
        FOR NO KEY UPDATE OF account
    """  # noqa: S608
