"""Symbols shared by leases between processes that know each other through the database only."""

import pytest
from django.db import connection

from avigrid.common import leases
from marketdata.runtime.shards import MEMBER, SYMBOL, ShardKeeper, symbol_of

pytestmark = pytest.mark.django_db
WANTED = tuple(f"S{number:02}USDT" for number in range(15))


def keeper(name: str, **options) -> ShardKeeper:
    return ShardKeeper(holder=name, **options)


def settle(*keepers: ShardKeeper, rounds: int = 4) -> None:
    for _ in range(rounds):
        for one in keepers:
            for symbol in one.tick(WANTED).surplus:
                one.give_back(symbol)


def expire(name: str) -> None:
    """As if that process had died and its time had run out."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE common_lease SET expires_at = clock_timestamp() - interval '1 second' WHERE holder = %s", [name]
        )


def test_one_process_takes_everything():
    alone = keeper("a")
    change = alone.tick(WANTED)
    assert sorted(symbol_of(lease) for lease in change.gained) == sorted(WANTED)
    assert alone.tick(WANTED).gained == ()


def test_a_second_process_gets_its_share_and_nobody_has_a_symbol_twice():
    first, second = keeper("a"), keeper("b")
    settle(first)
    settle(first, second)
    assert (len(first.held), len(second.held)) == (8, 7)
    assert set(first.held) | set(second.held) == set(WANTED)
    assert not set(first.held) & set(second.held)


def test_four_processes_share_fairly():
    keepers = [keeper(name) for name in "abcd"]
    settle(*keepers, rounds=6)
    assert sorted(len(one.held) for one in keepers) == [3, 4, 4, 4]


def test_the_symbols_of_a_dead_process_go_to_the_living_with_a_greater_token():
    first, second = keeper("a"), keeper("b")
    settle(first, second)
    orphans = dict(second.held)
    expire("b")
    change = first.tick(WANTED)
    assert {symbol_of(lease) for lease in change.gained} == set(orphans)
    for lease in change.gained:
        assert lease.token == orphans[symbol_of(lease)].token + 1
    # the dead one wakes up: it has lost them all, and its fence is shut
    assert set(second.tick(WANTED).lost) == set(orphans)
    with pytest.raises(leases.LeaseLost):
        leases.check(next(iter(orphans.values())))


def test_without_the_database_a_process_lets_go_when_its_time_is_over(monkeypatch):
    clock = [0.0]
    one = keeper("a", ttl_s=9.0, monotonic=lambda: clock[0])
    one.tick(WANTED)

    def gone(*args, **kwargs):
        from django.db import OperationalError

        raise OperationalError("server closed the connection")

    monkeypatch.setattr(leases, "renew", gone)
    clock[0] = 8.9
    assert one.tick(WANTED).lost == ()
    assert len(one.held) == 15
    clock[0] = 9.0
    assert set(one.tick(WANTED).lost) == set(WANTED)
    assert one.held == {}


def test_a_symbol_nobody_wants_any_more_is_offered_back():
    one = keeper("a")
    one.tick(WANTED)
    change = one.tick(WANTED[1:])
    assert change.surplus == (WANTED[0],)
    one.give_back(WANTED[0])
    assert leases.holder_of(SYMBOL + WANTED[0]) is None
    assert one.tick(WANTED[1:]).surplus == ()


def test_leaving_frees_everything_at_once():
    first, second = keeper("a"), keeper("b")
    first.tick(WANTED)
    first.leave()
    assert leases.holder_of(MEMBER + "a") is None
    assert len(second.tick(WANTED).gained) == 15
