"""Budgets: never more than the venue allows in any window, urgent lanes first, waiting instead of dropping."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avigrid.exchange.bybit.calls import CANCEL, CREATE, KLINE, PRIVATE_CALLS, REALTIME, Lane
from avigrid.exchange.bybit.limits import IP_LIMIT, Limiter, LocalWindows
from avigrid.kernel.errors import Retryable


class Wall:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


def limiter(wall: Wall, share: float = 1.0) -> Limiter:
    windows = LocalWindows(wall, share_ratio=share)
    return Limiter(windows, account="a", monotonic=wall, sleep=wall.sleep)


def granted_at(wall: Wall, budget: Limiter, count: int, lane: Lane, patience_s: float = 60.0) -> list[float]:
    times = []
    for _ in range(count):
        budget.acquire(CREATE, lane, patience_s=patience_s)
        times.append(wall.now_s)
    return times


def test_the_limit_holds_in_every_rolling_second() -> None:
    wall = Wall()
    times = granted_at(wall, limiter(wall), 35, Lane.PROTECT)
    assert times[9] == 0.0
    assert all(later - earlier >= 1.0 for earlier, later in zip(times, times[10:], strict=False))
    assert times[-1] == pytest.approx(3.0, abs=0.3)


def test_only_a_share_is_used_when_counting_alone() -> None:
    wall = Wall()
    assert granted_at(wall, limiter(wall, share=0.45), 5, Lane.PROTECT)[3:] == [0.0, pytest.approx(1.0)]


def test_entries_leave_room_for_exits_and_exits_for_protection() -> None:
    wall = Wall()
    budget = limiter(wall)
    assert granted_at(wall, budget, 7, Lane.ENTRY) == [0.0] * 7
    with pytest.raises(Retryable) as refused:
        budget.acquire(CREATE, Lane.ENTRY, patience_s=0.5)
    assert refused.value.code == "budget_exhausted"
    assert refused.value.details["retry_after_s"] == pytest.approx(1.0)
    assert wall.now_s == 0.0
    assert granted_at(wall, budget, 2, Lane.EXIT, 0.0) == [0.0] * 2
    with pytest.raises(Retryable):
        budget.acquire(CREATE, Lane.EXIT, patience_s=0.0)
    assert granted_at(wall, budget, 1, Lane.PROTECT, 0.0) == [0.0]
    with pytest.raises(Retryable):
        budget.acquire(CREATE, Lane.PROTECT, patience_s=0.0)
    assert budget.refused == {"create": 3}


def test_groups_do_not_share_and_accounts_do_not_either() -> None:
    wall = Wall()
    windows = LocalWindows(wall, share_ratio=1.0)
    first = Limiter(windows, account="a", monotonic=wall, sleep=wall.sleep)
    second = Limiter(windows, account="b", monotonic=wall, sleep=wall.sleep)
    granted_at(wall, first, 10, Lane.PROTECT)
    first.acquire(CANCEL, Lane.PROTECT, patience_s=0.0)
    second.acquire(CREATE, Lane.PROTECT, patience_s=0.0)
    assert wall.now_s == 0.0


def test_market_data_is_held_by_the_address_limit_with_room_for_orders() -> None:
    wall = Wall()
    budget = limiter(wall)
    for _ in range(int(IP_LIMIT * 0.6)):
        budget.acquire(KLINE, Lane.READ, patience_s=0.0)
    with pytest.raises(Retryable):
        budget.acquire(KLINE, Lane.READ, patience_s=1.0)
    budget.acquire(CREATE, Lane.ENTRY, patience_s=0.0)


def test_a_blocked_address_stops_everything_until_it_ends() -> None:
    wall = Wall()
    budget = limiter(wall)
    budget.block_address(seconds=600)
    with pytest.raises(Retryable) as refused:
        budget.acquire(CANCEL, Lane.PROTECT, patience_s=5)
    assert refused.value.details["retry_after_s"] == 600
    wall.now_s = 600.0
    budget.acquire(CANCEL, Lane.PROTECT, patience_s=0)


def test_a_refusal_by_the_venue_pauses_only_its_group() -> None:
    wall = Wall()
    budget = limiter(wall)
    budget.refused_by_venue(CREATE, seconds=1.5)
    budget.acquire(CANCEL, Lane.PROTECT, patience_s=0)
    budget.acquire(CREATE, Lane.PROTECT, patience_s=5)
    assert wall.now_s == pytest.approx(1.5)
    assert budget.waited_s["create"] == pytest.approx(1.5)


def test_a_refusal_of_market_data_does_not_hold_up_orders() -> None:
    wall = Wall()
    budget = limiter(wall)
    budget.refused_by_venue(KLINE, seconds=2.0)
    budget.acquire(CREATE, Lane.ENTRY, patience_s=0)
    budget.acquire(KLINE, Lane.READ, patience_s=5)
    assert wall.now_s == pytest.approx(2.0)


def test_headers_teach_the_accounts_real_limit() -> None:
    wall = Wall()
    budget = limiter(wall)
    budget.observe(CREATE, {"X-Bapi-Limit": "20", "X-Bapi-Limit-Status": "19"})
    assert granted_at(wall, budget, 20, Lane.PROTECT) == [0.0] * 20


def test_headers_reveal_what_others_used() -> None:
    wall = Wall()
    budget = limiter(wall)
    budget.observe(CREATE, {"X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "2"})
    assert granted_at(wall, budget, 3, Lane.PROTECT) == [0.0, 0.0, pytest.approx(1.0)]


@pytest.mark.parametrize(
    "headers", [{}, {"X-Bapi-Limit": "0"}, {"X-Bapi-Limit": "x", "X-Bapi-Limit-Status": "-1"}, {"X-Bapi-Limit": ""}]
)
def test_useless_headers_change_nothing(headers: dict[str, str]) -> None:
    wall = Wall()
    budget = limiter(wall)
    budget.observe(CREATE, headers)
    assert granted_at(wall, budget, 10, Lane.PROTECT) == [0.0] * 10


@given(
    st.lists(
        st.tuples(st.sampled_from([CREATE, CANCEL, REALTIME]), st.sampled_from(list(Lane)), st.floats(0, 0.5)),
        max_size=80,
    )
)
def test_no_history_of_requests_breaks_a_window(requests: list[tuple[object, Lane, float]]) -> None:
    wall = Wall()
    budget = limiter(wall)
    sent: dict[str, deque[float]] = {call.name: deque() for call in PRIVATE_CALLS}
    for call, lane, pause_s in requests:
        wall.now_s += pause_s
        budget.acquire(call, lane, patience_s=1e9)  # type: ignore[arg-type]
        times = sent[call.name]  # type: ignore[attr-defined]
        times.append(wall.now_s)
        limit = call.per_second  # type: ignore[attr-defined]
        if len(times) > limit:
            assert times[-1] - times[-1 - limit] >= 1.0 - 1e-9
