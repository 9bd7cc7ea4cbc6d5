"""Incremental, batch and plain-loop indicators agree on any bars, flat ones, empty ones and ties included."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.indicators import batch, formulas
from marketdata.indicators.incremental import Incremental

bars = st.lists(
    st.tuples(
        st.floats(-0.03, 0.03), st.floats(0, 0.01), st.floats(0, 0.01), st.one_of(st.just(0.0), st.floats(1e-6, 1e6))
    ),
    min_size=1,
    max_size=90,
)
periods = st.tuples(st.integers(2, 20), st.integers(2, 20), st.integers(1, 20), st.integers(2, 30), st.integers(1, 5))


@given(bars, st.floats(0.001, 1e5), periods)
def test_the_three_forms_agree(
    moves: list[tuple[float, float, float, float]], start: float, spans: tuple[int, int, int, int, int]
) -> None:
    vwap_n, atr_n, donchian_n, share_n, proxy_n = spans
    rows = []
    price = start
    for change, up, down, volume in moves:
        close = price * (1 + change)
        rows.append((max(price, close) * (1 + up), min(price, close) * (1 - down), close, volume))
        price = close
    high, low, close_, volume_ = (np.array(column) for column in zip(*rows, strict=True))
    tp = batch.typical_price(high, low, close_)
    vwap, sigma = batch.vwap_sigma(tp, volume_, vwap_n)
    atr = batch.atr(high, low, close_, atr_n)
    top, bottom = batch.donchian(high, low, donchian_n)
    share = batch.share_at_or_below(atr / close_, share_n)
    proxy = batch.imbalance_proxy(high, low, close_, volume_, proxy_n)
    one = Incremental(
        vwap_bars=vwap_n,
        atr_bars=atr_n,
        donchian_bars=donchian_n,
        atr_percentile_bars=share_n,
        proxy_bars=proxy_n,
    )
    for i, row in enumerate(rows):
        got = one.update(*row)
        scale = start * 1e-9
        assert got.vwap == pytest.approx(vwap[i], rel=1e-9, nan_ok=True)
        assert got.sigma == pytest.approx(sigma[i], rel=1e-9, abs=scale, nan_ok=True)
        assert got.atr == pytest.approx(atr[i], rel=1e-9, abs=scale, nan_ok=True)
        assert (got.donchian_high, got.donchian_low) == pytest.approx((top[i], bottom[i]), rel=0, abs=0, nan_ok=True)
        assert got.atr_percentile == pytest.approx(share[i], abs=1e-12, nan_ok=True)
        assert got.proxy_imbalance == pytest.approx(proxy[i], rel=1e-9, abs=1e-9, nan_ok=True)
        if i >= vwap_n - 1:
            plain = formulas.vwap_sigma(tp.tolist(), volume_.tolist(), i - vwap_n + 1, i + 1)
            assert [_bits(x) for x in plain] == [_bits(float(vwap[i])), _bits(float(sigma[i]))]


def _bits(value: float) -> str:
    return "nan" if math.isnan(value) else value.hex()
