"""Leases with fencing: at most one holder at a time, and a holder that lost its lease cannot write any more.

Time is the database's own, so that machines with different clocks agree. A holder renews well before `ttl_s`; whoever
takes an expired lease gets a greater token; writes that matter call `check()` inside their transaction.
"""

import os
import socket
from dataclasses import dataclass

from django.db import connection

from avigrid.kernel.errors import OperatorNeeded


class LeaseLost(OperatorNeeded):
    """Somebody else holds the lease now: stop at once."""

    code = "lease_lost"


@dataclass(frozen=True, slots=True)
class HeldLease:
    name: str
    holder: str
    token: int


def holder_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def acquire(name: str, *, ttl_s: float, holder: str | None = None) -> HeldLease | None:
    """The lease if it is free, expired or already ours; None while another holds it."""
    holder = holder or holder_name()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO common_lease (name, holder, token, expires_at)
            VALUES (%(name)s, %(holder)s, 1, clock_timestamp() + %(ttl)s * interval '1 second')
            ON CONFLICT (name) DO UPDATE SET
                holder = EXCLUDED.holder,
                token = common_lease.token + (CASE WHEN common_lease.holder = EXCLUDED.holder
                                              AND common_lease.expires_at >= clock_timestamp() THEN 0 ELSE 1 END),
                expires_at = EXCLUDED.expires_at
            WHERE common_lease.holder = EXCLUDED.holder OR common_lease.expires_at < clock_timestamp()
            RETURNING token
            """,
            {"name": name, "holder": holder, "ttl": ttl_s},
        )
        row = cursor.fetchone()
    return HeldLease(name, holder, row[0]) if row else None


def renew(lease: HeldLease, *, ttl_s: float) -> None:
    """Raises LeaseLost where the token is no longer ours (even if our lease only expired and was taken)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE common_lease SET expires_at = clock_timestamp() + %s * interval '1 second' "
            "WHERE name = %s AND holder = %s AND token = %s",
            [ttl_s, lease.name, lease.holder, lease.token],
        )
        if cursor.rowcount != 1:
            raise LeaseLost(f"lease {lease.name} was taken by another process", name=lease.name, token=lease.token)


def check(lease: HeldLease) -> None:
    """Inside a transaction: lock the lease row in share mode and prove that it is still ours."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM common_lease WHERE name = %s AND holder = %s AND token = %s FOR SHARE",
            [lease.name, lease.holder, lease.token],
        )
        if cursor.fetchone() is None:
            raise LeaseLost(f"lease {lease.name} was taken by another process", name=lease.name, token=lease.token)


def release(lease: HeldLease) -> None:
    """Give it back at once, so that a successor need not wait for the time to run out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE common_lease SET expires_at = clock_timestamp() - interval '1 second' "
            "WHERE name = %s AND holder = %s AND token = %s",
            [lease.name, lease.holder, lease.token],
        )


def holder_of(name: str) -> str | None:
    """Who holds a live lease of this name."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT holder FROM common_lease WHERE name = %s AND expires_at >= clock_timestamp()", [name])
        row = cursor.fetchone()
    return row[0] if row else None
