"""Market prices for the order path: from the cache where it is fresh, else from the venue itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import structlog

from avigrid.exchange.ports import MarketReader
from avigrid.kernel.errors import AviGridError
from avigrid.kernel.money import decimal_from_float
from marketdata.selectors import prices

log = structlog.get_logger(__name__)
_FRESH_S = 5.0
_ASK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Price:
    mark: Decimal
    next_funding_ms: int | None


class PriceReader(Protocol):
    def read(self, symbols: set[str]) -> dict[str, Price]:
        """What is known and fresh; a symbol without a price is missing."""
        ...


class MarketPrices:
    """Losing Redis costs one REST call a second, not the plans' eyes."""

    def __init__(self, market: MarketReader, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._market = market
        self._monotonic = monotonic
        self._asked_s = float("-inf")
        self._answer: dict[str, Price] = {}

    def read(self, symbols: set[str]) -> dict[str, Price]:
        if not symbols:
            return {}
        found = {
            symbol: Price(decimal_from_float(quote.mark), quote.next_funding_ms or None)
            for symbol, quote in prices.quotes(symbols).items()
            if quote.age_s < _FRESH_S and quote.mark > 0
        }
        if symbols - found.keys():
            asked = self._ask()
            found |= {symbol: asked[symbol] for symbol in symbols - found.keys() if symbol in asked}
        return found

    def _ask(self) -> dict[str, Price]:
        now_s = self._monotonic()
        if now_s - self._asked_s < _ASK_EVERY_S:
            return self._answer
        self._asked_s = now_s
        try:
            self._answer = {
                row.symbol: Price(decimal_from_float(row.mark_price), row.next_funding_ms or None)
                for row in self._market.tickers()
                if row.mark_price > 0
            }
        except AviGridError as error:
            log.warning("tickers_unavailable", code=error.code)
            self._answer = {}
        return self._answer
