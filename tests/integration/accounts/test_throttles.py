"""How often somebody may call: counted in Redis, in one step, by a window that slides."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.utils import timezone
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.throttling import SimpleRateThrottle

from accounts.api.throttles import AddressThrottle
from accounts.services.attempts import attempt_wait_s


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


@pytest.mark.parametrize(
    ("former", "present", "asked_at_s", "wait_s"),
    [
        # ten at 45 s: nothing before the next minute, of which the first tenth still sees all but one of them
        (0, 10, 45.0, 21.0),
        (0, 10, 0.0, 66.0),
        # of ten in the last minute nine are in view after six seconds of this one
        (10, 0, 0.0, 6.0),
        (10, 0, 5.25, 0.75),
        # beside six of this minute and one more there is room for three of ten: after seven tenths of it
        (10, 6, 41.0, 1.0),
        # beside five and one more for four of seven: after three sevenths of it, 25.7142... s, rounded up
        (7, 5, 25.0, 0.715),
    ],
)
def test_it_says_how_long_to_wait(former: int, present: int, asked_at_s: float, wait_s: float) -> None:
    start_s = 60_060.0
    assert [ask(start_s - 1.0) for _ in range(former)] == [None] * former
    assert [ask(start_s + asked_at_s) for _ in range(present)] == [None] * present
    refused = ask(start_s + asked_at_s)
    assert refused is not None
    assert refused.wait() == wait_s
    assert ask(start_s + asked_at_s + wait_s - 0.001) is not None
    assert ask(start_s + asked_at_s + wait_s) is None


def test_a_login_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", {"login": "10/min"})
    start = datetime(2026, 11, 2, 10, 0, 45, tzinfo=UTC)

    def wait_s(after_s: float) -> int:
        with patch.object(timezone, "now", return_value=start + timedelta(seconds=after_s)):
            return attempt_wait_s("login")

    assert [wait_s(0) for _ in range(11)] == [0] * 10 + [21]
    assert wait_s(20.999) == 1
    assert wait_s(21) == 0


def test_the_header_and_the_sentence_name_whole_seconds_that_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", {"address": "1/min"})
    now_s = [60_000.5]
    monkeypatch.setattr(AddressThrottle, "timer", lambda self: now_s[0])
    client = APIClient()
    assert client.get("/api/v1/signals").status_code == 401
    refused = client.get("/api/v1/signals")
    assert (refused.status_code, refused["Retry-After"]) == (429, "120")
    assert refused.json()["detail"] == "Request was throttled. Expected available in 120 seconds."
    now_s[0] += 120
    assert client.get("/api/v1/signals").status_code == 401
