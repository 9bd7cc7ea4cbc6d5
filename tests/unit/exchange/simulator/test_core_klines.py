"""Bars: minutes from prints, longer bars from minutes, the past before the start, what a client may ask for."""

from decimal import Decimal

import pytest

from avigrid.exchange.simulator.feed import HistoryBar
from avigrid.exchange.simulator.klines import Bars, bar_end, bar_start
from tests.support.simulated_venue import START_MS, Floor

D = Decimal
MINUTE = 60_000
DAY = 86_400_000
T0 = 1_700_006_400_000
"""2023-11-15 00:00 UTC, a Wednesday."""


def filled(prints: list[tuple[int, int, int]], until: int) -> Bars:
    bars = Bars()
    for minute, price, qty in prints:
        bars.print(T0 + minute * MINUTE, price, qty)
    bars.roll(T0 + until * MINUTE)
    return bars


def test_a_minute_is_what_its_prints_make_it() -> None:
    bars = Bars()
    for price, qty in ((100, 1), (105, 2), (98, 3), (101, 4)):
        bars.print(T0 + 10, price, qty)
    assert bars.current("1") == (T0, 100, 105, 98, 101, 10, 100 + 210 + 294 + 404)


def test_an_empty_minute_stays_at_the_previous_close() -> None:
    bars = filled([(0, 100, 1), (3, 110, 1)], 4)
    assert [bar[1:6] for bar in bars.closed("1")] == [
        (100, 100, 100, 100, 1),
        (100, 100, 100, 100, 0),
        (100, 100, 100, 100, 0),
        (100, 110, 100, 110, 1),
    ]


def test_longer_bars_are_folded_from_minutes() -> None:
    bars = filled([(0, 100, 1), (1, 107, 2), (2, 95, 3), (4, 99, 4), (5, 120, 5)], 6)
    assert bars.closed("3") == [
        (T0, 100, 107, 95, 95, 6, 100 + 214 + 285),
        (T0 + 3 * MINUTE, 95, 120, 95, 120, 9, 396 + 600),
    ]
    assert bars.closed("5") == [(T0, 100, 107, 95, 99, 10, 100 + 214 + 285 + 396)]
    assert bars.current("5") == (T0 + 5 * MINUTE, 99, 120, 99, 120, 5, 600)
    assert bars.current("60") == (T0, 100, 120, 95, 120, 15, 100 + 214 + 285 + 396 + 600)


def test_closing_tells_every_interval_that_ends() -> None:
    told: list[tuple[str, int]] = []
    bars = Bars(lambda interval, bar, following: told.append((interval, bar[0])))
    bars.print(T0, 100, 1)
    bars.roll(T0 + 15 * MINUTE)
    assert [interval for interval, _ in told].count("1") == 15
    assert [interval for interval, _ in told].count("5") == 3
    assert ("15", T0) in told
    assert "30" not in {interval for interval, _ in told}


@pytest.mark.parametrize(
    ("interval", "ms", "start", "end"),
    [
        ("5", T0 + 7 * MINUTE, T0 + 5 * MINUTE, T0 + 10 * MINUTE),
        ("D", T0 + 5, T0, T0 + DAY),
        ("W", T0, T0 - 2 * DAY, T0 + 5 * DAY),  # Monday 13 November
        ("M", T0, 1_698_796_800_000, 1_701_388_800_000),  # 1 November, 1 December
        ("M", 1_706_745_600_000, 1_706_745_600_000, 1_709_251_200_000),  # February 2024 has 29 days
    ],
)
def test_where_bars_begin_and_end(interval: str, ms: int, start: int, end: int) -> None:
    assert bar_start(interval, ms) == start
    assert bar_end(interval, start) == end


def test_what_select_returns() -> None:
    bars = filled([(n, 100 + n, 1) for n in range(10)], 9)  # minutes 0..8 closed, 9 open

    def minutes(start: int | None, end: int | None, limit: int) -> list[int]:
        edges = [None if edge is None else T0 + edge * MINUTE for edge in (start, end)]
        return [(bar[0] - T0) // MINUTE for bar in bars.select("1", edges[0], edges[1], limit)]

    assert minutes(None, None, 3) == [7, 8, 9]
    assert minutes(None, 4, 3) == [2, 3, 4]
    assert minutes(2, None, 3) == [2, 3, 4]
    assert minutes(8, None, 5) == [8, 9]
    assert minutes(2, 8, 3) == [6, 7, 8]
    assert minutes(2, 4, 100) == [2, 3, 4]
    assert minutes(20, None, 5) == []
    assert minutes(None, -5, 5) == []
    floored = bars.select("1", T0 + 2 * MINUTE + 59_999, T0 + 3 * MINUTE + 1, 10)
    assert [(bar[0] - T0) // MINUTE for bar in floored] == [2, 3]


def past(count: int, interval_min: int) -> list[HistoryBar]:
    """Bars that end at the venue's start; the n-th opens at 100 + n and closes one higher."""
    length = interval_min * MINUTE
    return [
        HistoryBar(
            START_MS - (count - n) * length, D(100 + n), D(102 + n), D(99 + n), D(101 + n), D(2), D(2) * (100 + n)
        )
        for n in range(count)
    ]


def test_history_is_there_before_the_first_trade() -> None:
    floor = Floor()
    floor.venue.load_history("SOLUSDT", 1, past(120, 1))
    params = {"category": "linear", "symbol": "SOLUSDT"}
    minutes = floor.venue.kline(params | {"interval": "1", "limit": "3"})["list"]
    assert minutes[1] == [str(START_MS - MINUTE), "219", "221", "218", "220", "2", "438"]
    assert minutes[0][1:] == ["220", "220", "220", "220", "0", "0"]
    hour = floor.venue.kline(params | {"interval": "60"})["list"]
    assert len(hour) == 3
    quarter = floor.venue.kline(params | {"interval": "15", "limit": "1000"})["list"][1]
    assert D(quarter[2]) - D(quarter[1]) == 16
    assert floor.venue.mark_price_kline(params | {"interval": "1"})["list"][1][4] == "220"
    assert floor.venue.ticker("SOLUSDT")["lastPrice"] == "220.000"
    assert floor.venue.ticker("SOLUSDT")["prevPrice24h"] == "100.000"


def test_five_minute_history_makes_longer_bars_and_no_shorter_ones() -> None:
    floor = Floor()
    floor.venue.load_history("SOLUSDT", 5, past(48, 5))
    params = {"category": "linear", "symbol": "SOLUSDT"}
    assert len(floor.venue.kline(params | {"interval": "5"})["list"]) == 49
    assert len(floor.venue.kline(params | {"interval": "1"})["list"]) == 1
    with pytest.raises(ValueError, match="7 minutes"):
        floor.venue.load_history("SOLUSDT", 7, past(3, 7))


def test_rollover_frames_hold_the_closed_bar_and_the_new_one() -> None:
    floor = Floor()
    floor.trade("Buy", "50001", "0.5")
    floor.venue.advance(START_MS + MINUTE)
    closed = {(item.symbol, item.interval): item.items for item in floor.venue.drain_rollovers()}
    old, new = closed["BTCUSDT", "1"]
    assert (old["confirm"], old["close"], old["volume"], old["end"]) == (True, "50001", "0.5", START_MS + MINUTE - 1)
    assert (new["confirm"], new["open"], new["volume"], new["start"]) == (False, "50001", "0", START_MS + MINUTE)
    assert ("BTCUSDT", "15") in closed  # it is 22:15
    assert ("BTCUSDT", "30") not in closed
    assert floor.venue.drain_rollovers() == []


def test_klines_refuse_what_bybit_refuses() -> None:
    floor = Floor()
    assert floor.refusal("kline", interval="2").code == 10001
    assert floor.refusal("kline").code == 10001
    assert floor.refusal("kline", interval="1", symbol="NOPE").code == 10001
    assert floor.refusal("kline", interval="1", limit="0").code == 10001
    assert len(floor.venue.kline({"symbol": "BTCUSDT", "interval": "1", "limit": "99999"})["list"]) <= 1000
