"""One decision at a bar's close, from a window of arrays to the canonical bytes, and one step of an open grid.

Run: python -m tests.benchmarks.bench_decide [rounds]. Aim: decide p95 <= 2 ms (reading the window from the database
comes on top and is measured with the market-data path).
"""

import sys
import time
from collections.abc import Callable

from avigrid.kernel.instrument import FeeRates
from tests.unit.trading.avi5.builders import view
from tests.unit.trading.avi5.test_decide import NOON, window
from tests.unit.trading.avi5.test_plan_grid import opened
from trading.avi5.config import StrategyConfig
from trading.avi5.decide import decide, decision_bytes
from trading.avi5.plan import next_actions


def percentiles_ms(work: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """(p50, p95, max) after a tenth of the rounds as warm-up."""
    for _ in range(rounds // 10):
        work()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    return taken[rounds // 2], taken[int(rounds * 0.95)], taken[-1]


def measure(rounds: int) -> dict[str, tuple[float, float, float]]:
    config, fees, whole = StrategyConfig(), FeeRates(), window(700, 1100)

    def decide_once() -> bytes:
        decision = decide(whole, None, config, now_ms=NOON, next_funding_ms=NOON + 9_000_000, fees=fees)
        return decision_bytes(decision)

    bench = opened()
    bench.fill("t0-0-0")
    market = view("1010")
    return {
        "decide, with bytes": percentiles_ms(decide_once, rounds),
        "next_actions, open grid": percentiles_ms(lambda: next_actions(bench.plan, (), market, bench.config), rounds),
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    for name, (p50, p95, worst) in measure(rounds).items():
        print(f"{name:26} p50 {p50:.3f} ms  p95 {p95:.3f} ms  max {worst:.3f} ms")


if __name__ == "__main__":
    main()
