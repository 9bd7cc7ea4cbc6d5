"""Bars a second of one simple grid in other people's engines, beside AVI-5's whole grid profile in ours; one run.

Run: python -m tests.benchmarks.bench_backtest_peers [bars], where requirements/bench.txt is installed: a package that
is missing says so. The grid, equal in all of them: five limit buys one step (0.3 %) apart below an anchor, each sold a
step higher and offered again; the anchor follows when everything is flat and the close is a step above it. Ours does
more for each bar (eleven rules, ATR, stop, cycles, funding, fees in Decimal), vectorbt less: crossings of two means,
since it has no resting orders. The sales are printed with it: engines that model the same fills agree on them.
CPU time, so that a busy machine disturbs less; engines that are slow get fewer bars.
"""

import importlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.benchmarks.bench_backtest import YEAR, cpu_s, market
from trading.avi5.config import StrategyConfig
from trading.avi5.window import Bars
from trading.backtest.compiled import arrays_for, run_compiled
from trading.backtest.driver import run_backtest

STEP, RUNGS = 0.003, 5
SLOW = 20_000


@dataclass
class Grid:
    """Where the grid stands; the engines only carry its orders out. Levels count from 1, the highest."""

    anchor: float

    def level(self, rung: int) -> float:
        return round(self.anchor * (1 - rung * STEP), 1)

    def target(self, rung: int) -> float:
        return round(self.level(rung) * (1 + STEP), 1)

    def is_left(self, close: float, held: int) -> bool:
        return not held and close > self.anchor * (1 + STEP)


def plain_python(bars: Bars) -> int:
    """The same grid without any engine: levels are touched only when a bar reaches the first of them."""
    grid = Grid(float(bars.close[0]))
    held: set[int] = set()
    sales = 0
    rows = zip(bars.high.tolist(), bars.low.tolist(), bars.close.tolist(), strict=True)
    next(rows)
    for high, low, close in rows:
        before = set(held)
        if low <= grid.level(1):
            held |= {rung for rung in range(1, RUNGS + 1) if rung not in before and low <= grid.level(rung)}
        sold = {rung for rung in before if high >= grid.target(rung)}
        held -= sold
        sales += len(sold)
        if grid.is_left(close, len(held)):
            grid.anchor = close
    return sales


def with_backtesting(bars: Bars) -> int:
    pandas, library = importlib.import_module("pandas"), importlib.import_module("backtesting")
    frame = pandas.DataFrame(
        {"Open": bars.open, "High": bars.high, "Low": bars.low, "Close": bars.close, "Volume": bars.volume},
        index=pandas.to_datetime(bars.start_ms, unit="ms"),
    )

    class Ladder(library.Strategy):  # type: ignore[misc, name-defined]
        def init(self) -> None:
            self.grid = Grid(float(self.data.Close[0]))
            self.offered: dict[int, Any] = {}

        def next(self) -> None:
            close = float(self.data.Close[-1])
            if self.grid.is_left(close, len(self.trades)):
                self.grid.anchor = close
                for order in list(self.orders):
                    order.cancel()
            busy = {order.tag for order in self.orders} | {trade.tag for trade in self.trades}
            for rung in range(1, RUNGS + 1):
                if rung not in busy:
                    self.buy(size=1, limit=self.grid.level(rung), tp=self.grid.target(rung), tag=rung)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = library.Backtest(frame, Ladder, cash=100_000_000, commission=0.0002, hedging=True).run()
    return int(result["# Trades"])


def with_vectorbt(bars: Bars) -> int:
    vectorbt, pandas = importlib.import_module("vectorbt"), importlib.import_module("pandas")
    close = pandas.Series(bars.close)
    fast, slow = vectorbt.MA.run(close, 20), vectorbt.MA.run(close, 50)
    run = vectorbt.Portfolio.from_signals(
        close, fast.ma_crossed_above(slow), fast.ma_crossed_below(slow), fees=0.0002, freq="5min"
    )
    run.total_return()
    return int(run.trades.count())


def with_nautilus(bars: Bars) -> int:
    def part(path: str, *names: str) -> list[Any]:
        module = importlib.import_module(f"nautilus_trader.{path}")
        return [getattr(module, name) for name in names]

    engine_class, engine_config = part("backtest.engine", "BacktestEngine", "BacktestEngineConfig")
    (logging_config,) = part("config", "LoggingConfig")
    bar_class, bar_type_class = part("model.data", "Bar", "BarType")
    account_type, oms_type, side, time_in_force = part(
        "model.enums", "AccountType", "OmsType", "OrderSide", "TimeInForce"
    )
    money, price, quantity = part("model.objects", "Money", "Price", "Quantity")
    (usdt,) = part("model.currencies", "USDT")
    (instruments,) = part("test_kit.providers", "TestInstrumentProvider")
    (strategy_class,) = part("trading.strategy", "Strategy")
    instrument = instruments.btcusdt_perp_binance()
    bar_type = bar_type_class.from_str(f"{instrument.id}-5-MINUTE-LAST-EXTERNAL")

    class Ladder(strategy_class):  # type: ignore[misc, valid-type]
        def on_start(self) -> None:
            self.grid: Grid | None = None
            self.buys: dict[Any, int] = {}
            self.sells: dict[Any, int] = {}
            self.sales = 0
            self.subscribe_bars(bar_type)

        def on_bar(self, bar: Any) -> None:
            close = float(bar.close)
            if self.grid is None:
                self.grid = Grid(close)
            elif self.grid.is_left(close, len(self.sells)):
                self.grid.anchor = close
                self.buys.clear()
                self.cancel_all_orders(instrument.id)
            busy = {*self.buys.values(), *self.sells.values()}
            for rung in range(1, RUNGS + 1):
                if rung not in busy:
                    self._offer(rung, side.BUY, self.grid.level(rung), self.buys)

        def on_order_filled(self, event: Any) -> None:
            assert self.grid is not None
            if event.client_order_id in self.buys:
                rung = self.buys.pop(event.client_order_id)
                self._offer(rung, side.SELL, self.grid.target(rung), self.sells)
            elif self.sells.pop(event.client_order_id, None) is not None:
                self.sales += 1

        def _offer(self, rung: int, way: Any, at: float, book: dict[Any, int]) -> None:
            order = self.order_factory.limit(
                instrument.id, way, instrument.make_qty(Decimal(1)), instrument.make_price(at), time_in_force.GTC
            )
            book[order.client_order_id] = rung
            self.submit_order(order)

    engine = engine_class(engine_config(logging=logging_config(bypass_logging=True)))
    engine.add_venue(
        venue=instrument.id.venue,
        oms_type=oms_type.NETTING,
        account_type=account_type.MARGIN,
        base_currency=None,
        starting_balances=[money(100_000_000, usdt)],
        bar_execution=True,
    )
    engine.add_instrument(instrument)
    rows = zip(*(getattr(bars, name).tolist() for name in ("start_ms", "open", "high", "low", "close")), strict=True)
    engine.add_data(
        [
            bar_class(
                bar_type,
                *(price(value, instrument.price_precision) for value in prices),
                quantity(1_000, instrument.size_precision),
                (start_ms + 300_000) * 1_000_000,
                (start_ms + 300_000) * 1_000_000,
            )
            for start_ms, *prices in rows
        ]
    )
    ladder = Ladder()
    engine.add_strategy(ladder)
    engine.run()
    engine.dispose()
    return int(ladder.sales)


PEERS: tuple[tuple[str, str, Callable[[Bars], int], int], ...] = (
    ("plain Python, simple grid", "", plain_python, YEAR),
    ("backtesting.py, simple grid", "backtesting", with_backtesting, SLOW),
    ("nautilus_trader, simple grid", "nautilus_trader", with_nautilus, SLOW),
    ("vectorbt, crossings", "vectorbt", with_vectorbt, YEAR),
)


def measure(count: int) -> Iterator[tuple[str, str]]:
    data, instrument = market(count)
    config = StrategyConfig.from_mapping({"profile": "grid"})
    pure = cpu_s(lambda: run_backtest(data, config, instrument=instrument))
    yield "AviGrid pure, AVI-5 grid", f"{count / pure:>12,.0f} bars/s"
    arrays = arrays_for(data, config, instrument)
    fast = cpu_s(lambda: run_compiled(arrays, config, instrument=instrument))
    yield "AviGrid compiled, AVI-5 grid", f"{count / fast:>12,.0f} bars/s"
    for name, package, run, most in PEERS:
        try:
            importlib.import_module(package or "sys")
        except ImportError:
            yield name, "not installed (requirements/bench.txt)"
            continue
        bars = data.bars_5m.part(0, min(count, most))
        done: list[int] = []

        def work(run: Callable[[Bars], int] = run, bars: Bars = bars, done: list[int] = done) -> None:
            done.append(run(bars))

        taken = cpu_s(work, rounds=1 if most == SLOW else 3)
        yield name, f"{len(bars) / taken:>12,.0f} bars/s over {len(bars):,} bars, {done[-1]} sales"


def main() -> None:
    os.environ["TQDM_DISABLE"] = "1"  # progress bars of the others
    count = int(sys.argv[1]) if len(sys.argv) > 1 else YEAR
    for name, text in measure(count):
        print(f"{name:32} {text}", flush=True)


if __name__ == "__main__":
    main()
