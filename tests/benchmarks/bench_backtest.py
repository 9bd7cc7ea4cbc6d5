"""Bars a second of one-symbol replays over 105,000 5m bars: the pure path, the compiled one, sweeps.

Run: python -m tests.benchmarks.bench_backtest [bars]. Bars come from AVIGRID_DATA_DIR (BTCUSDT, repeated onward where
the file is shorter) or, without it, from a seeded generator. CPU time, so that a busy machine disturbs less; the sweep
also by the clock. `bench_backtest_peers` sets other people's engines beside it.
Aims: pure >= 100,000 bars/s, compiled >= 20 million, 1,000 configs x one year <= 5 s on two cores, below 500 MB.
"""

import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from avigrid.kernel.instrument import Instrument
from tests.unit.trading.backtest.synthetic import bars as generated
from tests.unit.trading.backtest.synthetic import filters
from trading.avi5.config import StrategyConfig
from trading.avi5.window import BAR_5M_MS, Bars
from trading.backtest.compiled import arrays_for, run_compiled, sweep_compiled
from trading.backtest.data import MarketData, prepare
from trading.backtest.driver import run_backtest
from trading.backtest.files import read_bars
from trading.backtest.filters import instrument_from_bars

YEAR = 105_000


def market(count: int) -> tuple[MarketData, Instrument]:
    folder = os.environ.get("AVIGRID_DATA_DIR")
    if not folder:
        return prepare("TESTUSDT", generated(count, volatility=0.0012)), filters()
    recorded = read_bars(Path(folder) / "klines_5m" / "BTCUSDT_5m.csv.gz")
    repeats = -(-count // len(recorded))
    columns = [np.tile(getattr(recorded, name), repeats)[:count] for name in ("open", "high", "low", "close", "volume")]
    starts = int(recorded.start_ms[0]) + BAR_5M_MS * np.arange(count, dtype=np.int64)
    return prepare("BTCUSDT", Bars(starts, *columns)), instrument_from_bars("BTCUSDT", recorded)


def cpu_s(work: Callable[[], object], rounds: int = 3) -> float:
    work()
    taken = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def measure(count: int) -> dict[str, str]:
    data, instrument = market(count)
    rows: dict[str, str] = {}
    for profile in ("swing", "grid"):
        config = StrategyConfig.from_mapping({"profile": profile})
        pure = cpu_s(lambda config=config: run_backtest(data, config, instrument=instrument))  # type: ignore[misc]
        arrays = arrays_for(data, config, instrument)
        fast = cpu_s(lambda config=config, arrays=arrays: run_compiled(arrays, config, instrument=instrument))  # type: ignore[misc]
        rows[f"pure, {profile}"] = f"{count / pure:,.0f} bars/s"
        rows[f"compiled, {profile}"] = f"{count / fast:,.0f} bars/s"
    base = StrategyConfig.from_mapping({"profile": "grid"})
    configs = [
        replace(base, theta=0.2 + 0.03 * (i % 10), atr_mult_x=4.0 + i // 10 % 10, rungs=2 + i // 100)
        for i in range(1000)
    ]
    arrays = arrays_for(data, base, instrument)
    sweep_compiled(arrays, configs[:2], instrument=instrument)
    started, cpu = time.perf_counter(), time.process_time()
    sweep_compiled(arrays, configs, instrument=instrument, workers=2)
    wall, spent = time.perf_counter() - started, time.process_time() - cpu
    rows["1,000 configs, 2 threads"] = f"{wall:.2f} s by the clock, {spent:.2f} s CPU"
    rows["1,000 configs, a core"] = f"{count * 1000 / spent:,.0f} bar-steps/s"
    rows["most memory so far"] = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB"
    return rows


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else YEAR
    for name, text in measure(count).items():
        print(f"{name:26} {text}")


if __name__ == "__main__":
    main()
