"""Leases against a real database: one holder, a growing fence, nothing written by who lost it."""

import pytest
from django.db import connection, transaction

from avigrid.common import leases

pytestmark = pytest.mark.django_db


def expire(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE common_lease SET expires_at = now() - interval '1 minute' WHERE name = %s", [name])


def test_second_process_does_not_get_a_held_lease() -> None:
    first = leases.acquire("execution:1", ttl_s=30, holder="a")
    assert first == leases.HeldLease("execution:1", "a", 1)
    assert leases.acquire("execution:1", ttl_s=30, holder="b") is None
    assert leases.holder_of("execution:1") == "a"


def test_expired_lease_goes_over_with_a_greater_token_and_fences_the_old_holder() -> None:
    first = leases.acquire("execution:1", ttl_s=30, holder="a")
    assert first is not None
    expire("execution:1")
    second = leases.acquire("execution:1", ttl_s=30, holder="b")
    assert second is not None
    assert second.token == 2
    with pytest.raises(leases.LeaseLost):
        leases.renew(first, ttl_s=30)
    with pytest.raises(leases.LeaseLost), transaction.atomic():
        leases.check(first)
    leases.check(second)


def test_reacquiring_a_live_lease_keeps_the_token_but_an_expired_one_of_ours_raises_it() -> None:
    leases.acquire("x", ttl_s=30, holder="a")
    again = leases.acquire("x", ttl_s=30, holder="a")
    assert again is not None
    assert again.token == 1
    expire("x")
    late = leases.acquire("x", ttl_s=30, holder="a")
    assert late is not None
    assert late.token == 2


def test_released_lease_is_free_at_once() -> None:
    first = leases.acquire("x", ttl_s=30, holder="a")
    assert first is not None
    leases.release(first)
    assert leases.holder_of("x") is None
    assert leases.acquire("x", ttl_s=30, holder="b") is not None
