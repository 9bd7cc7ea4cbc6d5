"""One decision at a bar's close, its window read from the database or given, and one step of an open grid.

Run: python -m tests.benchmarks.bench_decide [rounds]. Works in a database of its own, with fifteen symbols of 4,000 5m
and 1,500 15m bars, that is dropped at the end. Aim: window and decision together p95 <= 2 ms;
the whole service adds the look for an earlier decision, storing it and telling the screens.
"""

import itertools
import logging
import os
import sys
import time
from collections.abc import Callable
from decimal import Decimal

import django

from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.market import BookFeatures, Kline
from tests.unit.trading.avi5.builders import view
from tests.unit.trading.avi5.test_decide import NOON, window
from tests.unit.trading.avi5.test_plan_grid import opened
from trading.avi5.config import StrategyConfig
from trading.avi5.decide import decide, decision_bytes
from trading.avi5.plan import next_actions
from trading.avi5.window import MarketWindow


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
    book = book_of("BTCUSDT", NOON, float(whole.bars_5m.close[-1]))

    def decide_once() -> bytes:
        decision = decide(whole, book, config, now_ms=NOON, next_funding_ms=NOON + 9_000_000, fees=fees)
        return decision_bytes(decision)

    bench = opened()
    bench.fill("t0-0-0")
    market = view("1010")
    return {
        "decide, with bytes": percentiles_ms(decide_once, rounds),
        "next_actions, open grid": percentiles_ms(lambda: next_actions(bench.plan, (), market, bench.config), rounds),
    }


def measure_with_database(rounds: int) -> dict[str, tuple[float, float, float]]:
    from django.db import connection

    from avigrid.common import push
    from marketdata.models import KlineSource
    from marketdata.selectors.times import to_datetime
    from marketdata.services.instruments import instruments_store
    from marketdata.services.klines import klines_bulk_store
    from tests.support.api_world import instrument_of
    from tests.support.bars import T0, saw_table
    from trading.services.decisions import bar_decide, market_window
    from trading.services.strategy_versions import strategy_version_create

    config, fees, far_ms = StrategyConfig(), FeeRates(), T0 + 10**13
    symbols = [f"S{number}USDT" for number in range(15)]
    instruments_store(listed=[instrument_of(symbol) for symbol in symbols], wanted=symbols, now_ms=T0)
    for symbol in symbols:
        for interval_min, count in ((5, 4_000), (15, 1_500)):
            table = saw_table(count, symbol=symbol, interval_min=interval_min)
            klines_bulk_store(table, source=KlineSource.STREAM, now_ms=far_ms)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE marketdata_kline")
    turn = iter(range(10**9))

    def read() -> MarketWindow:
        number = next(turn)
        close_ms = T0 + (2_500 + number % 1_000) * 300_000
        return market_window(symbols[number % 15], close_ms, config.history_5m_bars, config.history_15m_bars)

    def read_and_decide() -> bytes:
        whole = read()
        return decision_bytes(
            decide(
                whole,
                book_of(whole.symbol, whole.close_ms, float(whole.bars_5m.close[-1])),
                config,
                now_ms=whole.close_ms,
                next_funding_ms=whole.close_ms + 9_000_000,
                fees=fees,
                allow_proxy=False,
            )
        )

    version = strategy_version_create(config=config, actor=None, now=to_datetime(T0))
    decided = itertools.count()

    def whole_service() -> bool:
        """A bar of its own each time, so that every round stores a decision; with a signal where it passes."""
        number = next(decided)
        bar = bar_of(symbols[number % 15], T0 + (2_500 + number // 15) * 300_000)
        return bar_decide(
            version=version,
            config=config,
            bar=bar,
            features=book_of(bar.symbol, bar.end_ms, 100.0),
            decided_ms=bar.end_ms,
            next_funding_ms=bar.end_ms + 9_000_000,
            fees=fees,
            r_usd=Decimal(100),
            now=to_datetime(bar.end_ms),
        ).is_new

    push.start_background()  # as the market process does
    most = min(rounds, 15 * 1_000)
    return {
        "window from the database": percentiles_ms(read, rounds),
        "window and decide": percentiles_ms(read_and_decide, rounds),
        "whole service, stored": percentiles_ms(whole_service, most),
    }


def book_of(symbol: str, close_ms: int, price: float) -> BookFeatures:
    """As a recorder leaves it: a liquid symbol a few milliseconds after the bar confirmed."""
    return BookFeatures(symbol, close_ms + 40, price, 0.42, price * 1.00001, 1.2, 3_400_000.0)


def bar_of(symbol: str, start_ms: int) -> Kline:
    """Only its name counts: the service reads what is stored."""
    return Kline(symbol, 5, start_ms, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, confirmed=True)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.bench")
    django.setup()
    logging.disable(logging.ERROR)
    from django.conf import settings
    from django.test.utils import setup_databases, teardown_databases

    rows = measure(rounds)
    settings.DATABASES["default"]["TEST"]["NAME"] = f"bench_decide_{os.getpid()}"
    databases = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    try:
        rows |= measure_with_database(rounds)
    finally:
        teardown_databases(databases, verbosity=0)
    for name, (p50, p95, worst) in rows.items():
        print(f"{name:26} p50 {p50:.3f} ms  p95 {p95:.3f} ms  max {worst:.3f} ms")


if __name__ == "__main__":
    main()
