"""Longer bars of the simulated exchange are exactly their minutes, however many of those were empty."""

from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from avigrid.exchange.simulator.klines import INTERVALS, MINUTE_MS, Bar, Bars, bar_end, bar_start

FIRST_MS = 1_759_881_600_000  # a Wednesday, eight days into its month
prints = st.lists(
    st.tuples(st.sampled_from([1, 400, 59_999, MINUTE_MS, 11 * MINUTE_MS, 3_000 * MINUTE_MS]), st.integers(90, 110),
              st.integers(0, 3)),
    min_size=1,
    max_size=12,
)  # fmt: skip


def whole(interval: str, minutes: list[Bar], now_ms: int) -> list[Bar]:
    """The closed bars of `interval`, gathered from closed minutes the plain way."""
    bars = []
    for start, group in groupby(minutes, key=lambda minute: bar_start(interval, minute[0])):
        rows = list(group)
        if bar_end(interval, start) <= now_ms:
            highs, lows = [row[2] for row in rows], [row[3] for row in rows]
            volume, turnover = sum(row[5] for row in rows), sum(row[6] for row in rows)
            bars.append((start, rows[0][1], max(highs), min(lows), rows[-1][4], volume, turnover))
    return bars


@settings(max_examples=50)
@given(st.integers(0, 20_000), prints)
def test_longer_bars_are_their_minutes(offset: int, moves: list[tuple[int, int, int]]) -> None:
    bars, now_ms = Bars(), FIRST_MS + offset * 1_000
    for wait_ms, price, qty in moves:
        bars.print(now_ms, price, qty)
        now_ms += wait_ms
        bars.roll(now_ms)
    minutes = bars.closed("1")
    for interval in INTERVALS[1:]:
        assert bars.closed(interval) == whole(interval, minutes, now_ms), interval
        current, start = bars.current(interval), bar_start(interval, now_ms)
        assert current is not None
        assert current[0] == start
        opened = next((minute[1] for minute in minutes if minute[0] >= start), current[1])
        assert current[1] == opened
