"""A venue's public REST, by hand: it knows some bars, counts what it is asked, and fails when told to."""

from collections.abc import Sequence
from decimal import Decimal

from avigrid.kernel.instrument import Instrument, RiskTier
from avigrid.kernel.market import Kline, PublicTrade, Ticker


class FakeMarketReader:
    def __init__(self, bars: Sequence[Kline] = (), *, now_ms: int = 0) -> None:
        self.bars = {(bar.symbol, bar.interval_min, bar.start_ms): bar for bar in bars}
        self.trades: list[PublicTrade] = []
        self.funding: list[tuple[int, Decimal]] = []
        self.listed: list[Instrument] = []
        self.asked: list[tuple[str, int, int, int]] = []
        self.failures: list[Exception] = []
        self.now_ms = now_ms

    def server_time_ms(self) -> int:
        return self.now_ms

    def instruments(self) -> list[Instrument]:
        return list(self.listed)

    def risk_tiers(self, symbol: str) -> list[RiskTier]:
        return []

    def klines(self, symbol: str, interval_min: int, *, start_ms: int, end_ms: int) -> list[Kline]:
        self.asked.append((symbol, interval_min, start_ms, end_ms))
        if self.failures:
            raise self.failures.pop(0)
        found = [
            bar
            for (name, interval, start), bar in self.bars.items()
            if name == symbol and interval == interval_min and start_ms <= start <= end_ms
        ]
        return sorted(found, key=lambda bar: bar.start_ms)

    def funding_history(self, symbol: str, *, start_ms: int, end_ms: int) -> list[tuple[int, Decimal]]:
        return [(time_ms, rate) for time_ms, rate in self.funding if start_ms <= time_ms < end_ms]

    def recent_trades(self, symbol: str, limit: int = 1000) -> list[PublicTrade]:
        return [trade for trade in self.trades if trade.symbol == symbol][-limit:]

    def tickers(self) -> list[Ticker]:
        return []
