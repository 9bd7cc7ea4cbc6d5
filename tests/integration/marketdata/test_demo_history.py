"""A fresh demo's stored past: what its exchange knows, and a made-up past without a hole before it."""

import numpy as np
import pytest

from avigrid.kernel.market import Kline
from marketdata.selectors import bars
from marketdata.services.demo_history import demo_history_store

pytestmark = pytest.mark.django_db
BAR_MS = 300_000
NOW_MS = 1_767_571_200_000 + 7 * BAR_MS + 12_000


class Exchange:
    """Knows the bars of the last six hours, as BTCUSDT at 100,000 that never moves."""

    def klines(self, symbol: str, interval_min: int, *, start_ms: int, end_ms: int) -> list[Kline]:
        interval_ms = interval_min * 60_000
        first = NOW_MS - 6 * 3_600_000
        starts = range(-(-first // interval_ms) * interval_ms, end_ms + 1, interval_ms)
        return [Kline(symbol, interval_min, at, 1e5, 1e5, 1e5, 1e5, 1.0, 1e5, True) for at in starts if at >= start_ms]


def stored(interval_min: int) -> np.ndarray:
    return bars.range_table("BTCUSDT", interval_min, 0, NOW_MS + BAR_MS).start_ms


def test_a_synthetic_market_gets_whole_weeks(caplog: pytest.LogCaptureFixture) -> None:
    options = {"reader": Exchange(), "symbols": ["BTCUSDT"], "now_ms": NOW_MS, "days": 3, "seed": 1}
    new = demo_history_store(**options, is_synthetic=True)  # type: ignore[arg-type]
    for interval_min in (5, 15):
        times = stored(interval_min)
        assert set(np.diff(times)) == {interval_min * 60_000}, interval_min
        assert times[-1] + interval_min * 60_000 <= NOW_MS
        assert times[-1] - times[0] > 3 * 86_400_000
    assert new == len(stored(5)) + len(stored(15))
    assert "not_over" not in caplog.text
    assert demo_history_store(**options, is_synthetic=True) == 0  # type: ignore[arg-type]


def test_a_recorded_market_keeps_its_own_past_only() -> None:
    demo_history_store(
        reader=Exchange(),  # type: ignore[arg-type]
        symbols=["BTCUSDT"],
        now_ms=NOW_MS,
        days=3,
        seed=1,
        is_synthetic=False,
    )
    assert len(stored(5)) == 71  # six hours from the middle of a bar to the middle of a bar
