"""Stored bars, book features and funding of a symbol, put together for a replay. Reads only."""

from collections.abc import Sequence

from marketdata.selectors import bars as bar_selectors
from marketdata.selectors.book_features import book_features
from marketdata.selectors.funding import funding_rates
from trading.avi5.config import StrategyConfig
from trading.avi5.window import BAR_5M_MS, Bars
from trading.backtest.data import EmptyRange, FundingHistory, MarketData, prepare
from trading.backtest.times import utc

_MINUTE_MS = 60_000
_FAR_BEHIND_MS = 3_600_000


def stored_market_data(
    symbol: str, config: StrategyConfig, *, from_ms: int | None = None, to_ms: int | None = None
) -> MarketData:
    """Bars that start in [from_ms, to_ms) and the history a decision needs before them, where it is stored.

    Raises EmptyRange for a symbol or range without bars, InvalidCandle for stored bars with a hole.
    """
    oldest, newest = bar_selectors.oldest_start_ms(symbol, 5), bar_selectors.newest_start_ms(symbol, 5)
    if oldest is None or newest is None:
        raise EmptyRange(f"{symbol}: no 5m bars are stored; run manage.py backfill first", symbol=symbol)
    first = oldest if from_ms is None else max(oldest, from_ms - config.history_5m_bars * BAR_5M_MS)
    last = newest + BAR_5M_MS if to_ms is None else min(newest + BAR_5M_MS, to_ms)
    if first >= last or (from_ms is not None and from_ms >= last):
        raise EmptyRange(
            f"{symbol}: stored 5m bars reach from {utc(oldest)} to {utc(newest)}, nothing lies from "
            f"{'their start' if from_ms is None else utc(from_ms)} to {'their end' if to_ms is None else utc(to_ms)}",
            symbol=symbol,
        )
    trend_first = first - config.history_15m_bars * 15 * _MINUTE_MS
    pairs = funding_rates(symbol, first, last)
    trend_bars = _bars(symbol, 15, trend_first, last)
    return prepare(
        symbol,
        _bars(symbol, 5, first, last),
        bars_15m=trend_bars if len(trend_bars) else None,
        bars_1m=_bars(symbol, 1, first, last),
        funding=FundingHistory.of([(time_ms, float(rate)) for time_ms, rate in pairs]),
        features=book_features(symbol, first, last),
    )


def common_end_ms(symbols: Sequence[str]) -> int | None:
    """Up to where every symbol is stored that is not far behind the others; None where nothing is."""
    newest = [start for symbol in symbols if (start := bar_selectors.newest_start_ms(symbol, 5)) is not None]
    near = [start for start in newest if start >= max(newest) - _FAR_BEHIND_MS]
    return min(near) + BAR_5M_MS if near else None


def _bars(symbol: str, interval_min: int, first_ms: int, last_ms: int) -> Bars:
    table = bar_selectors.range_table(symbol, interval_min, first_ms, last_ms)
    return Bars(table.start_ms, table.open, table.high, table.low, table.close, table.volume)
