"""The past of a market: bars that ended before the venue's first event."""

from collections.abc import Sequence
from decimal import Decimal

from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.feed import HistoryBar
from avigrid.exchange.simulator.klines import INTERVALS, MINUTE_MS, Bar
from avigrid.exchange.simulator.market import FINE, Market


def _scaled(bar: HistoryBar, price_unit: Decimal, volume: int, turnover: int) -> Bar:
    first, high, low, last = (int(price / price_unit) for price in (bar.open, bar.high, bar.low, bar.close))
    return bar.start_ms, first, high, low, last, volume, turnover


def load(core: Core, market: Market, interval_min: int, bars: Sequence[HistoryBar]) -> None:
    """Trade bars as given; mark and index series take the same prices; open interest stands still."""
    if str(interval_min) not in INTERVALS:
        raise ValueError(f"no kline interval of {interval_min} minutes")
    if not bars:
        return
    trades = [_scaled(bar, market.tick, market.steps(bar.volume), int(bar.turnover / market.unit)) for bar in bars]
    market.bars.load(interval_min, trades)
    reference = [_scaled(bar, FINE, 0, 0) for bar in bars]
    for series in (market.mark_bars, market.index_bars):
        series.load(interval_min, reference)
    market.last = market.ticks(bars[-1].close)
    market.day_past = None
    five = 5 * MINUTE_MS
    ends = sorted({bar.start_ms - bar.start_ms % five + five for bar in bars})
    market.interest_rows = [(end, market.open_interest) for end in ends if end <= core.start_ms]
