"""Weeks of stored bars for a fresh demo: what its exchange still knows, and before that a past made up to fit."""

from collections.abc import Sequence

from avigrid.exchange.kline_table import table_from_klines
from avigrid.exchange.ports import MarketReader
from avigrid.exchange.simulator.sources.past import BAR_MIN, folded, past_bars
from avigrid.kernel.market import Kline
from marketdata.models import KlineSource
from marketdata.services.klines import klines_bulk_store

TREND_MIN = 15
DAY_MS = 86_400_000


def demo_history_store(
    *, reader: MarketReader, symbols: Sequence[str], now_ms: int, days: int, seed: int, is_synthetic: bool
) -> int:
    """Returns how many bars are new. A recorded or live market has a past of its own: nothing is made up for it."""
    known = {symbol: _known(reader, symbol, BAR_MIN, now_ms, days) for symbol in symbols}
    stored = 0
    for symbol, bars in known.items():
        trend = _known(reader, symbol, TREND_MIN, now_ms, days)
        for rows in (bars, trend):
            if rows:
                table = table_from_klines(rows)
                stored += klines_bulk_store(table, source=KlineSource.REST, now_ms=now_ms).new
    if not is_synthetic or not any(known.values()):
        return stored
    trend_ms = TREND_MIN * 60_000
    first_ms = max(bars[0].start_ms for bars in known.values() if bars)
    begin_ms = -(-first_ms // trend_ms) * trend_ms  # whole quarters of an hour on both sides of the seam
    prices = {bar.symbol: bar.open for bars in known.values() for bar in bars if bar.start_ms == begin_ms}
    missing_days = days - (now_ms - begin_ms) // DAY_MS
    for table in past_bars(prices, seed=seed, end_ms=begin_ms, days=missing_days) if missing_days > 0 else []:
        for part in (table, folded(table, TREND_MIN)):
            stored += klines_bulk_store(part, source=KlineSource.FILE, now_ms=now_ms).new
    return stored


def _known(reader: MarketReader, symbol: str, interval_min: int, now_ms: int, days: int) -> list[Kline]:
    """What the exchange has of bars that were over at `now_ms`; its clock runs on while it is asked."""
    interval_ms = interval_min * 60_000
    last_ms = now_ms - now_ms % interval_ms - interval_ms
    return reader.klines(symbol, interval_min, start_ms=last_ms - days * DAY_MS, end_ms=last_ms)
