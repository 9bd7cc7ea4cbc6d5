"""How often somebody may call: counted in Redis, in one step, by a window that slides."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIRequestFactory

from accounts.api.throttles import AddressThrottle


class Ten(AddressThrottle):
    rate = "10/min"
    now_s = 60_000.0

    def timer(self) -> float:  # type: ignore[override]
        return type(self).now_s


@pytest.fixture(autouse=True)
def fresh() -> None:
    cache.clear()
    Ten.now_s = 60_000.0


def ask(at_s: float | None = None) -> Ten | None:
    """None where the call may pass, else the throttle that refused."""
    if at_s is not None:
        Ten.now_s = at_s
    throttle: Any = Ten()
    return None if throttle.allow_request(APIRequestFactory().get("/"), None) else throttle


def test_calls_at_the_same_moment_are_all_counted() -> None:
    with ThreadPoolExecutor(8) as pool:
        refused = list(pool.map(lambda _: ask(), range(40)))
    assert sum(answer is None for answer in refused) == 10


def test_what_was_refused_uses_nothing_up() -> None:
    assert [ask() for _ in range(10)] == [None] * 10
    assert all(ask() for _ in range(50))
    # 10 calls of the last minute, of which 9 are still in view after six seconds of the next: room for one
    assert ask(60_066.0) is None
    assert ask(60_066.0) is not None


def test_no_double_burst_at_the_turn_of_the_minute() -> None:
    assert [ask(60_059.0) for _ in range(10)] == [None] * 10
    assert ask(60_060.5) is not None
    assert ask(60_120.0 + 59.0) is None


def test_it_says_how_long_to_wait() -> None:
    for _ in range(10):
        ask(60_045.0)
    refused = ask(60_045.0)
    assert refused is not None
    assert refused.wait() == 15.0
