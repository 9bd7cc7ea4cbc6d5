"""Dead tapes are told from quiet ones."""

from dataclasses import replace

import pytest

from avigrid.exchange.bybit.trade_watch import TradeWatch
from avigrid.kernel.market import Kline

BAR = Kline("BTCUSDT", 1, 60_000, 100.0, 101.0, 99.0, 100.5, 5.0, 500.0, False)


class Watched:
    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.watch = TradeWatch(silence_s=25.0, monotonic=lambda: self.now_s)
        self.volume = 5.0

    def grow(self, after_s: float = 1.0, **changes: object) -> bool:
        self.now_s += after_s
        self.volume += 1.0
        return self.watch.grew(replace(BAR, volume=self.volume, **changes))

    def stand(self, after_s: float) -> bool:
        self.now_s += after_s
        return self.watch.grew(replace(BAR, volume=self.volume))


@pytest.fixture
def watched() -> Watched:
    fresh = Watched()
    assert not fresh.stand(0)
    fresh.watch.traded("BTCUSDT")
    assert not fresh.grow()  # the trade that came
    return fresh


def test_a_tape_that_owes_trades_is_dead_within_thirty_seconds(watched: Watched) -> None:
    assert [second for second in range(1, 31) if watched.grow()] == [27]
    assert [second for second in range(1, 31) if watched.grow()] == [23]  # said again, 26 s later


def test_a_living_tape_never_is(watched: Watched) -> None:
    for _ in range(100):
        watched.watch.traded("BTCUSDT")
        assert not watched.grow()


def test_a_quiet_market_is_no_dead_tape(watched: Watched) -> None:
    assert not any(watched.stand(1.0) for _ in range(100))
    assert not watched.grow()  # the kline is quicker than its trade
    watched.watch.traded("BTCUSDT")
    assert not any(watched.stand(1.0) for _ in range(100))


def test_a_new_bar_is_no_growth_and_longer_intervals_do_not_count(watched: Watched) -> None:
    assert not watched.grow(start_ms=120_000)
    assert not any(watched.grow(interval_min=5) for _ in range(100))


def test_each_symbol_has_its_own_tape(watched: Watched) -> None:
    for _ in range(30):
        watched.watch.traded("BTCUSDT")
        watched.grow()
        watched.watch.grew(replace(BAR, symbol="ETHUSDT", volume=watched.volume))
        watched.watch.traded("ETHUSDT")
    assert not watched.grow()
    watched.watch.forget("BTCUSDT")
    assert not watched.grow()
