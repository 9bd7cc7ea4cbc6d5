"""Measured exchange time: offsets, fast clocks, and stamps that are never from the future."""

import pytest

from avigrid.exchange.bybit.clock import ExchangeClock
from avigrid.kernel.errors import Retryable


class World:
    """A wall with a monotonic clock, and an exchange with its own; a request takes `latency_s` each way."""

    def __init__(self, *, rate: float = 1.0, offset_ms: float = 0.0, latency_s: float = 0.0) -> None:
        self.mono_s = 1000.0
        self.rate = rate
        self.offset_ms = offset_ms
        self.latency_s = latency_s

    def wall_ms(self) -> int:
        return int(1_700_000_000_000 + (self.mono_s - 1000.0) * 1000)

    def exchange_ms(self) -> int:
        return int(1_700_000_000_000 + self.offset_ms + (self.mono_s - 1000.0) * 1000 * self.rate)

    def fetch_ms(self) -> int:
        self.mono_s += self.latency_s
        answer = self.exchange_ms()
        self.mono_s += self.latency_s
        return answer

    def clock(self, *, estimates_rate: bool = False) -> ExchangeClock:
        return ExchangeClock(
            fetch_ms=self.fetch_ms,
            monotonic=lambda: self.mono_s,
            wall_ms=self.wall_ms,
            estimates_rate=estimates_rate,
        )


def test_before_any_measurement_it_is_the_wall() -> None:
    world = World(offset_ms=700)
    clock = world.clock()
    world.mono_s += 2.5
    assert clock.now_ms() == 1_700_000_002_500
    assert clock.last is None


def test_the_offset_is_taken_at_the_middle_of_the_round_trip() -> None:
    world = World(offset_ms=700, latency_s=0.1)
    clock = world.clock()
    measured = clock.measure()
    assert measured.offset_ms == pytest.approx(700, abs=1)
    assert measured.round_trip_ms == pytest.approx(200)
    world.mono_s += 3
    assert clock.now_ms() == pytest.approx(world.exchange_ms(), abs=1)


def test_a_real_exchange_runs_at_exactly_one() -> None:
    world = World(rate=1.5)
    clock = world.clock()
    clock.measure()
    world.mono_s += 10
    assert clock.measure().rate_ratio == 1.0


def test_a_fast_exchange_is_followed_after_two_measurements() -> None:
    world = World(rate=30.0, latency_s=0.002)
    clock = world.clock(estimates_rate=True)
    clock.measure()
    world.mono_s += 0.5
    assert clock.measure().rate_ratio == pytest.approx(30, rel=0.01)
    world.mono_s += 5
    assert clock.now_ms() == pytest.approx(world.exchange_ms(), abs=500)
    assert clock.recv_window_ms == pytest.approx(150_000, rel=0.01)
    assert clock.now_ms() - clock.recv_window_ms < clock.signing_ms() < clock.now_ms() - 50_000


def test_jitter_does_not_become_a_rate() -> None:
    world = World(rate=1.0, latency_s=0.0)
    clock = world.clock(estimates_rate=True)
    clock.measure()
    world.mono_s += 0.3
    world.offset_ms = 20.0
    assert clock.measure().rate_ratio == 1.0
    assert clock.recv_window_ms == 5000
    assert clock.signing_ms() == clock.now_ms()


def test_a_clock_that_was_set_is_followed_but_not_taken_for_a_fast_one() -> None:
    world = World(rate=30.0)
    clock = world.clock(estimates_rate=True)
    clock.measure()
    world.mono_s += 1.0
    clock.measure()
    world.mono_s += 1.0
    world.offset_ms += 86_400_000.0
    assert clock.measure().rate_ratio == pytest.approx(30)
    assert clock.now_ms() == world.exchange_ms()


def test_a_slow_answer_does_not_spoil_a_good_measurement_unless_it_contradicts_it() -> None:
    world = World(offset_ms=100.0)
    clock = world.clock()
    clock.measure()
    world.latency_s = 1.0
    fetch = world.fetch_ms

    def late() -> int:
        world.mono_s += 1.9  # all of the delay on the way there: the middle is a bad guess
        world.latency_s = 0.05
        return fetch()

    clock._fetch_ms = late
    assert clock.measure().round_trip_ms == pytest.approx(2000)
    assert clock.now_ms() == pytest.approx(world.exchange_ms(), abs=1)
    world.offset_ms = 50_000.0
    clock.measure()
    assert clock.now_ms() == pytest.approx(world.exchange_ms(), abs=1_000)


def test_a_told_rate_is_not_estimated_again() -> None:
    world = World(rate=0.0)
    clock = world.clock(estimates_rate=True)
    clock.set_rate(0.0)
    world.mono_s += 60
    assert clock.now_ms() == 1_700_000_000_000
    assert clock.measure().rate_ratio == 0.0
    assert clock.recv_window_ms == 5000


def test_a_failed_measurement_changes_nothing() -> None:
    world = World()
    clock = world.clock()
    clock.measure()
    world.offset_ms = 9999

    def fail() -> int:
        raise Retryable("no answer")

    clock._fetch_ms = fail
    with pytest.raises(Retryable):
        clock.measure()
    assert clock.now_ms() == 1_700_000_000_000


def test_a_clock_that_was_set_teaches_no_speed() -> None:
    world = World(rate=30.0)
    clock = world.clock(estimates_rate=True)
    for _ in range(3):
        measured = clock.measure()
        world.mono_s += 10
    assert measured.error_ms == pytest.approx(0, abs=2)
    world.offset_ms += 90_000
    assert clock.measure().error_ms == pytest.approx(90_000, abs=2)
    assert clock.rate_ratio == pytest.approx(30)
    world.mono_s += 10
    assert clock.measure().error_ms == pytest.approx(0, abs=2)


def test_an_exchange_that_runs_at_another_speed_from_now_on_is_followed() -> None:
    world = World(rate=30.0)
    clock = world.clock(estimates_rate=True)
    for _ in range(2):
        clock.measure()
        world.mono_s += 10
    clock.measure()
    world.offset_ms += (30.0 - 15.0) * 1000 * (world.mono_s - 1000.0)
    world.rate = 15.0  # half the speed, without a jump
    for _ in range(3):
        world.mono_s += 10
        clock.measure()
    assert clock.rate_ratio == pytest.approx(15)
