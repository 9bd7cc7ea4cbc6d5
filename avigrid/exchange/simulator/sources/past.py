"""The weeks before a synthetic market began, as 5m bars: something to replay and calibrate on.

The same made-up market as the live one, run from a seed of its own and bent so that it ends at the price where the
live one begins. Nobody traded in it: there are no books, no tape and no minutes.
"""

import numpy as np
import numpy.typing as npt

from avigrid.exchange.kline_table import KlineTable
from avigrid.exchange.simulator.sources.catalogue import CHARACTERS, SPECS
from avigrid.exchange.simulator.sources.process import MarketProcess

type Floats = npt.NDArray[np.float64]

BAR_MIN = 5
BAR_MS = BAR_MIN * 60_000
_DAY_MIN = 1_440


def past_bars(end_prices: dict[str, float], *, seed: int, end_ms: int, days: int) -> list[KlineTable]:
    """`days` of 5m bars before `end_ms` (a bar's start) for the symbols the catalogue knows; each ends at its price."""
    symbols = [symbol for symbol in end_prices if symbol in CHARACTERS]
    if not symbols:
        return []
    process = MarketProcess([CHARACTERS[symbol] for symbol in symbols], seed=seed)
    count = days * _DAY_MIN
    high, low, close, activity = (np.empty((count, len(symbols))) for _ in range(4))
    for index in range(count):
        minute = process.minute()
        high[index], low[index] = minute.mids.max(axis=0), minute.mids.min(axis=0)
        close[index], activity[index] = minute.mids[-1], minute.activity
    bars = count // BAR_MIN
    start_ms = end_ms + (np.arange(bars, dtype=np.int64) - bars) * BAR_MS
    return [
        _table(symbol, start_ms, end_prices[symbol], high[:, at], low[:, at], close[:, at], activity[:, at])
        for at, symbol in enumerate(symbols)
    ]


def _table(
    symbol: str,
    start_ms: npt.NDArray[np.int64],
    end_price: float,
    high: Floats,
    low: Floats,
    close: Floats,
    activity: Floats,
) -> KlineTable:
    bars = len(start_ms)
    bend = (end_price / close[-1]) ** np.linspace(0.0, 1.0, bars)
    tick = float(SPECS[symbol].tick_size)

    def on_grid(values: Floats) -> Floats:
        return np.round(np.maximum(np.round(values * bend / tick), 1.0) * tick, 10)

    closes = on_grid(close.reshape(bars, BAR_MIN)[:, -1])
    opens = np.concatenate([closes[:1], closes[:-1]])
    highs = np.maximum(on_grid(high.reshape(bars, BAR_MIN).max(axis=1)), np.maximum(opens, closes))
    lows = np.minimum(on_grid(low.reshape(bars, BAR_MIN).min(axis=1)), np.minimum(opens, closes))
    character = CHARACTERS[symbol]
    usd = character.trade_usd * character.trades_per_s * 60 * activity.reshape(bars, BAR_MIN).sum(axis=1)
    step = float(SPECS[symbol].qty_step)
    volume = np.round(np.maximum(np.floor(usd / closes / step), 1.0) * step, 10)
    turnover = np.round(volume * (highs + lows + closes) / 3, 4)
    return KlineTable(symbol, BAR_MIN, start_ms, opens, highs, lows, closes, volume, turnover)


def folded(table: KlineTable, interval_min: int) -> KlineTable:
    """Longer bars of whole groups; what is cut off at either end is left out."""
    size = interval_min // table.interval_min
    first = int(-(table.start_ms[0] // table.interval_ms) % size)
    groups = (len(table) - first) // size
    cut = slice(first, first + groups * size)

    def grouped(values: Floats) -> Floats:
        return values[cut].reshape(groups, size)

    return KlineTable(
        table.symbol,
        interval_min,
        table.start_ms[cut][::size],
        grouped(table.open)[:, 0],
        grouped(table.high).max(axis=1),
        grouped(table.low).min(axis=1),
        grouped(table.close)[:, -1],
        np.round(grouped(table.volume).sum(axis=1), 10),
        np.round(grouped(table.turnover).sum(axis=1), 4),
    )
