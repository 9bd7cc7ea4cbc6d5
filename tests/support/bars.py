"""Bars of a made-up market."""

import numpy as np

from avigrid.exchange.kline_table import KlineTable

T0 = 1_758_672_000_000
"""2025-09-24 00:00 UTC."""


def saw_table(count: int, *, symbol: str = "BTCUSDT", interval_min: int = 5, start_ms: int = T0) -> KlineTable:
    """A saw of prices around 100: bar i opens at 100 + i % 7 and closes at 100 + (i + 1) % 7."""
    index = np.arange(count)
    open_ = 100.0 + index % 7
    close = 100.0 + (index + 1) % 7
    return KlineTable(
        symbol,
        interval_min,
        start_ms + index * interval_min * 60_000,
        open_,
        np.maximum(open_, close) + 0.5,
        np.minimum(open_, close) - 0.25,
        close,
        1.0 + index % 5,
        (1.0 + index % 5) * 100.0,
    )
