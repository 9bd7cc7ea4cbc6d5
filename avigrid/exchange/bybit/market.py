"""Public REST: the MarketReader of `avigrid.exchange.ports`."""

from decimal import Decimal

from avigrid.exchange.bybit import calls
from avigrid.exchange.bybit.calls import Lane
from avigrid.exchange.bybit.codec.fields import MalformedMessage, Number, decimal, result_of
from avigrid.exchange.bybit.codec.instrument import instruments_of_reply, risk_tiers_of_reply
from avigrid.exchange.bybit.codec.kline import interval_name, klines_of_reply
from avigrid.exchange.bybit.codec.ledger import funding_of_reply
from avigrid.exchange.bybit.codec.ticker import tickers_of_reply
from avigrid.exchange.bybit.codec.trade import trades_of_reply
from avigrid.exchange.bybit.paging import MAX_KLINES, kline_windows, pages
from avigrid.exchange.bybit.rest import RestClient
from avigrid.kernel.instrument import Instrument, RiskTier
from avigrid.kernel.market import Kline, PublicTrade, Ticker

_LINEAR = {"category": "linear"}
_MAX_FUNDING = 200


class BybitMarket:
    def __init__(self, rest: RestClient, *, patience_s: float = 30.0) -> None:
        """`patience_s` bounds the wait for a request budget, per request."""
        self._rest = rest
        self._patience_s = patience_s

    def server_time_ms(self) -> int:
        """Measures clocks, so it may not stand in a queue: a wait of more than a second fails instead."""
        reply = self._rest.call(calls.TIME, {}, lane=Lane.PROTECT, patience_s=1.0)
        nanos: Number = result_of(reply).get("timeNano")  # type: ignore[assignment]
        time_ms = int(decimal(nanos)) // 1_000_000
        if time_ms <= 0:
            raise MalformedMessage(f"server time {nanos!r}", reason="time")
        return time_ms

    def instruments(self) -> list[Instrument]:
        """USDT perpetuals that are listed, by symbol."""
        found = [
            instrument
            for reply in pages(lambda cursor: self._page(calls.INSTRUMENTS, {"limit": 1000}, cursor))
            for instrument in instruments_of_reply(reply)
        ]
        return sorted(found, key=lambda instrument: instrument.symbol)

    def risk_tiers(self, symbol: str) -> list[RiskTier]:
        return [
            tier
            for reply in pages(lambda cursor: self._page(calls.RISK_LIMIT, {"symbol": symbol}, cursor))
            for tier in risk_tiers_of_reply(reply)
            if tier.symbol == symbol
        ]

    def klines(self, symbol: str, interval_min: int, *, start_ms: int, end_ms: int) -> list[Kline]:
        found: dict[int, Kline] = {}
        for first_ms, last_ms in kline_windows(start_ms, end_ms, interval_min):
            params = {
                **_LINEAR,
                "symbol": symbol,
                "interval": interval_name(interval_min),
                "start": first_ms,
                "end": last_ms,
                "limit": MAX_KLINES,
            }
            for bar in klines_of_reply(self._call(calls.KLINE, params), symbol=symbol, interval_min=interval_min):
                if start_ms <= bar.start_ms <= end_ms:
                    found[bar.start_ms] = bar
        return [found[start] for start in sorted(found)]

    def funding_history(self, symbol: str, *, start_ms: int, end_ms: int) -> list[tuple[int, Decimal]]:
        found: dict[int, Decimal] = {}
        last_ms = end_ms
        while start_ms <= last_ms:
            params = {**_LINEAR, "symbol": symbol, "startTime": start_ms, "endTime": last_ms, "limit": _MAX_FUNDING}
            rows = funding_of_reply(self._call(calls.FUNDING, params))
            found.update((time_ms, rate) for time_ms, rate in rows if start_ms <= time_ms <= end_ms)
            if len(rows) < _MAX_FUNDING:
                break
            last_ms = rows[0][0] - 1
        return sorted(found.items())

    def recent_trades(self, symbol: str, limit: int = 1000) -> list[PublicTrade]:
        params = {**_LINEAR, "symbol": symbol, "limit": min(limit, 1000)}
        return trades_of_reply(self._call(calls.RECENT_TRADES, params))

    def tickers(self) -> list[Ticker]:
        return tickers_of_reply(self._call(calls.TICKERS, dict(_LINEAR)))

    def _page(self, call: calls.Call, params: dict[str, object], cursor: str) -> dict[str, object]:
        return self._call(call, {**_LINEAR, **params, **({"cursor": cursor} if cursor else {})})

    def _call(self, call: calls.Call, params: dict[str, object]) -> dict[str, object]:
        return self._rest.call(call, params, patience_s=self._patience_s)
