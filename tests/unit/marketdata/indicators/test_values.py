"""Indicators against values worked out here in another way: whole-window formulas with exact sums, and by hand."""

import gzip
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from marketdata.indicators import batch, formulas
from marketdata.indicators.incremental import Atr, Donchian, Ema, Incremental, ShareAtOrBelow, Trend, Vwap

Rows = list[tuple[float, float, float, float]]


def read_rows(path: Path, count: int) -> Rows:
    """(high, low, close, volume) of the first bars."""
    rows = []
    with gzip.open(path, "rt") as file:
        next(file)
        for line in file:
            _, _, high, low, close, volume = (float(x) for x in line.split(","))
            rows.append((high, low, close, volume))
            if len(rows) == count:
                break
    return rows


def exact_vwap_sigma(rows: Rows) -> tuple[float, float]:
    """In fractions, without rounding until the very end."""
    points = [((Fraction(h) + Fraction(low) + Fraction(c)) / 3, Fraction(v)) for h, low, c, v in rows]
    weight = sum(v for _, v in points)
    vwap = sum(p * v for p, v in points) / weight
    variance = sum(v * (p - vwap) ** 2 for p, v in points) / weight
    return float(vwap), math.sqrt(variance)


def closed_form_ema(values: list[float], span: int) -> float:
    """The weights written out: alpha*(1-alpha)^k for the k-th newest, the rest on the first value."""
    alpha = 2 / (span + 1)
    newest_first = values[::-1]
    weights = [alpha * (1 - alpha) ** k for k in range(len(values) - 1)] + [(1 - alpha) ** (len(values) - 1)]
    return math.fsum(w * x for w, x in zip(weights, newest_first, strict=True))


def test_vwap_and_sigma_by_hand() -> None:
    """TP 10, 13, 16 with volumes 1, 2, 1: mean 13, variance (9 + 0 + 9) / 4 = 4.5."""
    vwap = Vwap(3)
    assert math.isnan(vwap.update(10, 1)[0])
    assert math.isnan(vwap.update(13, 2)[1])
    assert vwap.update(16, 1) == (13.0, math.sqrt(4.5))
    assert formulas.vwap_sigma([10, 13, 16], [1, 2, 1], 0, 3) == (13.0, math.sqrt(4.5))
    got = batch.vwap_sigma(np.array([10.0, 13.0, 16.0]), np.array([1.0, 2.0, 1.0]), 3)
    assert (got[0][2], got[1][2]) == (13.0, math.sqrt(4.5))
    assert np.isnan(got[0][:2]).all()


def test_a_window_without_volume_has_no_vwap() -> None:
    vwap, sigma = batch.vwap_sigma(np.array([5.0, 6.0, 7.0, 8.0]), np.array([0.0, 0.0, 0.0, 2.0]), 3)
    assert np.isnan(vwap[2])
    assert np.isnan(sigma[2])
    assert vwap[3] == 8.0
    one = Vwap(3)
    assert [math.isnan(one.update(p, v)[0]) for p, v in ((5, 0), (6, 0), (7, 0), (8, 2))] == [True, True, True, False]


def test_atr_starts_with_the_first_true_range() -> None:
    """Ranges: gap up 12-9=3 (close 9 before), then 11-10=1; alpha 0.5 for a span of 3: 3, then 2."""
    atr = Atr(3)
    assert math.isnan(atr.update(10, 8, 9))
    assert atr.update(12, 11, 11) == 3.0
    assert atr.update(11, 10, 10.5) == 2.0
    got = batch.atr(np.array([10.0, 12.0, 11.0]), np.array([8.0, 11.0, 10.0]), np.array([9.0, 11.0, 10.5]), 3)
    assert math.isnan(got[0])
    assert got[1:].tolist() == [3.0, 2.0]


def test_donchian_does_not_see_the_current_bar() -> None:
    donchian = Donchian(2)
    assert math.isnan(donchian.update(5, 4)[0])
    assert math.isnan(donchian.update(6, 3)[0])
    assert donchian.update(100, 1) == (6, 3)
    assert donchian.update(7, 6) == (100, 1)
    top, bottom = batch.donchian(np.array([5.0, 6.0, 100.0, 7.0]), np.array([4.0, 3.0, 1.0, 6.0]), 2)
    assert top[2:].tolist() == [6.0, 100.0]
    assert bottom[2:].tolist() == [3.0, 1.0]
    assert np.isnan(top[:2]).all()


def test_percentile_counts_the_current_value_and_ties() -> None:
    share = ShareAtOrBelow(4)
    assert [share.update(x) for x in (3, 1, 2)] == [pytest.approx(math.nan, nan_ok=True)] * 3
    assert share.update(2) == 0.75
    assert share.update(0) == 0.25
    got = batch.share_at_or_below(np.array([np.nan, 3.0, 1.0, 2.0, 2.0, 0.0]), 4)
    assert got[4:].tolist() == [0.75, 0.25]
    assert np.isnan(got[:4]).all()


def test_proxy_weighs_where_bars_closed() -> None:
    """Close at the top with volume 2, in the middle with 1, and a bar without range with 1: 2 / 4."""
    high, low, close, volume = [10, 10, 5], [8, 8, 5], [10, 9, 5], [2, 1, 1]
    assert formulas.imbalance_proxy(high, low, close, volume, 0, 3) == 0.5
    arrays = [np.array(x, dtype=float) for x in (high, low, close, volume)]
    assert batch.imbalance_proxy(*arrays, 3)[2] == 0.5
    assert math.isnan(formulas.imbalance_proxy(high, low, close, [0, 0, 0], 0, 3))


def test_trend_needs_both_the_cross_and_the_close() -> None:
    assert formulas.trend_of(2, 1, 3) == 1
    assert formulas.trend_of(1, 2, 0.5) == -1
    assert formulas.trend_of(2, 1, 0.5) == 0
    assert formulas.trend_of(math.nan, 1, 3) == 0
    trend = Trend(fast_bars=2, slow_bars=3, warmup_bars=3)
    assert [trend.update(x) for x in (1, 2, 3, 4)] == [0, 0, 1, 1]


@pytest.mark.parametrize("symbol", ["BTCUSDT", "SOLUSDT"])
def test_real_bars_agree_with_whole_window_formulas(data_dir: Path, symbol: str) -> None:
    rows = read_rows(data_dir / "klines_5m" / f"{symbol}_5m.csv.gz", 1_200)
    high, low, close, volume = (np.array(column) for column in zip(*rows, strict=True))
    vwap, sigma = batch.vwap_sigma(batch.typical_price(high, low, close), volume, 20)
    atr = batch.atr(high, low, close, 14)
    top, bottom = batch.donchian(high, low, 20)
    share = batch.share_at_or_below(atr / close, 288)
    proxy = batch.imbalance_proxy(high, low, close, volume, 3)
    ranges = [max(h, p) - min(low_, p) for (h, low_, _, _), (_, _, p, _) in zip(rows[1:], rows, strict=False)]
    atrs = [math.nan] + [closed_form_ema(ranges[: i + 1], 14) for i in range(len(ranges))]
    one = Incremental()
    for i, row in enumerate(rows):
        values = one.update(*row)
        batched = (vwap[i], sigma[i], atr[i], top[i], bottom[i], share[i], proxy[i])
        single = (
            values.vwap,
            values.sigma,
            values.atr,
            values.donchian_high,
            values.donchian_low,
            values.atr_percentile,
            values.proxy_imbalance,
        )
        assert single == pytest.approx(batched, rel=1e-9, abs=1e-12, nan_ok=True), i
        if i >= 300 and i % 7 == 0:
            assert (vwap[i], sigma[i]) == pytest.approx(exact_vwap_sigma(rows[i - 19 : i + 1]), rel=1e-9)
            assert atr[i] == pytest.approx(atrs[i], rel=1e-9)
            assert top[i] == max(r[0] for r in rows[i - 20 : i])
            assert bottom[i] == min(r[1] for r in rows[i - 20 : i])
            ratios = [atrs[j] / rows[j][2] for j in range(i - 287, i + 1)]
            assert share[i] == sum(x <= ratios[-1] for x in ratios) / 288
            flows = [(v * ((c - lo) - (h - c)) / (h - lo), v) for h, lo, c, v in rows[i - 2 : i + 1]]
            assert proxy[i] == pytest.approx(sum(f for f, _ in flows) / sum(v for _, v in flows), rel=1e-9)


def test_ema_matches_its_written_out_weights() -> None:
    values = [100 + math.sin(i) * 7 for i in range(400)]
    got = batch.ema(np.array(values), 50)
    one = Ema(50)
    single = [one.update(v) for v in values]
    for i in (0, 1, 49, 200, 399):
        assert got[i] == pytest.approx(closed_form_ema(values[: i + 1], 50), rel=1e-12)
        assert single[i] == pytest.approx(got[i], rel=1e-12)
