"""The made-up past of a synthetic market: whole, on the grid, and ending where the live market begins."""

import numpy as np
import pytest

from avigrid.exchange.simulator.sources.past import BAR_MS, folded, past_bars

END_MS = 1_767_571_200_000
PRICES = {"BTCUSDT": 98_765.4, "SOLUSDT": 187.65}


def test_it_is_whole_and_ends_at_the_given_price() -> None:
    btc, sol = past_bars(PRICES, seed=3, end_ms=END_MS, days=2)
    for table, price in ((btc, 98_765.4), (sol, 187.65)):
        assert len(table) == 2 * 288
        assert set(np.diff(table.start_ms)) == {BAR_MS}
        assert table.start_ms[-1] == END_MS - BAR_MS
        assert table.close[-1] == pytest.approx(price, rel=1e-4)
        assert (table.open[1:] == table.close[:-1]).all()
        assert (table.low <= np.minimum(table.open, table.close)).all()
        assert (table.high >= np.maximum(table.open, table.close)).all()
        assert (table.volume > 0).all()
        # no bar jumps: five minutes of this market move it by tenths of a percent
        assert np.abs(np.diff(np.log(table.close))).max() < 0.05
    assert np.allclose(np.round(btc.close / 0.1) * 0.1, btc.close)


def test_the_same_seed_gives_the_same_past_and_another_another() -> None:
    first, again, other = (past_bars(PRICES, seed=seed, end_ms=END_MS, days=1)[0].close for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_unknown_symbols_have_no_past() -> None:
    assert past_bars({"NOPEUSDT": 1.0}, seed=1, end_ms=END_MS, days=1) == []


def test_longer_bars_are_made_of_whole_groups() -> None:
    (table,) = past_bars({"BTCUSDT": 100_000.0}, seed=3, end_ms=END_MS - BAR_MS, days=1)
    trend = folded(table, 15)
    assert set(trend.start_ms % 900_000) == {0}
    # the end lies one bar into a quarter of an hour that is left out: 288 bars less one before and two after
    assert len(trend) == (288 - 3) // 3
    at = int(np.searchsorted(table.start_ms, trend.start_ms[7]))
    assert trend.open[7] == table.open[at]
    assert trend.close[7] == table.close[at + 2]
    assert trend.high[7] == max(table.high[at : at + 3])
    assert trend.low[7] == min(table.low[at : at + 3])
    assert trend.volume[7] == pytest.approx(sum(table.volume[at : at + 3]))
