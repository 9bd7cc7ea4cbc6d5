"""AVI-5's indicators: batch on 1,000,000 bars beside TA-Lib (where installed), and one new bar incrementally.

Run: python -m tests.benchmarks.bench_indicators [bars]. CPU time, best of five, so that a busy machine disturbs less.
Aims: the five batch indicators within twice TA-Lib's; one bar through all of them within 10 microseconds.
"""

import importlib.util
import sys
import time
from collections.abc import Callable

import numpy as np

from marketdata.indicators import batch
from marketdata.indicators.incremental import Incremental
from tests.benchmarks import NOT_INSTALLED


def best_ms(work: Callable[[], object], rounds: int = 5) -> float:
    work()
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken) * 1000


def measure(bars: int) -> dict[str, float]:
    """Milliseconds by row; `talib_*` only where TA-Lib is installed."""
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, bars)))
    high, low, volume = close * 1.001, close * 0.999, rng.uniform(1, 5, bars)
    tp = batch.typical_price(high, low, close)
    share = batch.atr(high, low, close, 14) / close
    rows = {
        "vwap_and_sigma_20": best_ms(lambda: batch.vwap_sigma(tp, volume, 20)),
        "atr_14": best_ms(lambda: batch.atr(high, low, close, 14)),
        "ema_20": best_ms(lambda: batch.ema(close, 20)),
        "ema_50": best_ms(lambda: batch.ema(close, 50)),
        "donchian_20": best_ms(lambda: batch.donchian(high, low, 20)),
    }
    rows["five_together"] = sum(rows.values())
    rows["atr_percentile_288"] = best_ms(lambda: batch.share_at_or_below(share, 288))
    rows["imbalance_proxy_3"] = best_ms(lambda: batch.imbalance_proxy(high, low, close, volume, 3))
    try:
        talib = importlib.import_module("talib")
    except ImportError:
        return rows
    # TA-Lib has no VWAP: its nearest are a moving sum of tp*volume, one of volume and a standard deviation.
    rival = {
        "talib_sums_and_stddev_20": best_ms(
            lambda: (talib.SUM(tp * volume, 20) / talib.SUM(volume, 20), talib.STDDEV(tp, 20))
        ),
        "talib_atr_14": best_ms(lambda: talib.ATR(high, low, close, 14)),
        "talib_ema_20": best_ms(lambda: talib.EMA(close, 20)),
        "talib_ema_50": best_ms(lambda: talib.EMA(close, 50)),
        "talib_max_min_20": best_ms(lambda: (talib.MAX(high, 20), talib.MIN(low, 20))),
    }
    return rows | rival | {"talib_five_together": sum(rival.values())}


def measure_incremental(bars: int = 50_000) -> float:
    """Microseconds a bar through all 5m indicators."""
    rng = np.random.default_rng(2)
    close = (100 * np.exp(np.cumsum(rng.normal(0, 0.001, bars)))).tolist()
    rows = [(c * 1.001, c * 0.999, c, 3.0) for c in close]

    def work() -> None:
        update = Incremental().update
        for row in rows:
            update(*row)

    return best_ms(work) * 1000 / bars


def main() -> None:
    bars = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    for name, taken in measure(bars).items():
        print(f"{name:28} {taken:9.2f} ms")
    if importlib.util.find_spec("talib") is None:
        print(f"{'talib':28} {NOT_INSTALLED}")
    print(f"{'one bar, all, incremental':28} {measure_incremental():9.2f} us")


if __name__ == "__main__":
    main()
