"""Asks the venue what the account pays, symbol by symbol: a few a look, each again after an hour.

Decisions, sizes and break-even count with the answer. No answer leaves what was known, or the assumption.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from avigrid.kernel.errors import AviGridError
from marketdata.selectors.instruments import whitelist
from trading.runtime.context import Context
from trading.selectors.fee_rates import all_fee_rates
from trading.services.fee_rates import fee_rates_store

log = structlog.get_logger(__name__)

ASK_AGAIN = timedelta(hours=1)
RETRY = timedelta(minutes=5)
AT_ONCE = 3
"""Calls a look: fills and stops must not wait behind a whole list."""


@dataclass(slots=True)
class FeeWatch:
    context: Context
    _due_at: dict[str, datetime] = field(default_factory=dict)

    def look(self) -> None:
        now = self.context.now()
        symbols = whitelist()
        self._remember(set(symbols) - set(self._due_at), now)
        due = [symbol for symbol in symbols if self._due_at[symbol] <= now]
        for symbol in sorted(due, key=lambda symbol: (self._due_at[symbol], symbol))[:AT_ONCE]:
            is_told = self._ask(symbol, now)
            self._due_at[symbol] = now + (ASK_AGAIN if is_told else RETRY)
            if not is_told:
                return  # a venue that does not answer now would hold up the next question as well

    def _remember(self, symbols: set[str], now: datetime) -> None:
        """What an earlier process was told need not be asked at once again; what nobody was told comes first."""
        if not symbols:
            return
        known = all_fee_rates(self.context.account_id, symbols)
        for symbol in symbols:
            read_at = known[symbol].read_at if symbol in known else None
            self._due_at[symbol] = now - ASK_AGAIN if read_at is None else read_at + ASK_AGAIN

    def _ask(self, symbol: str, now: datetime) -> bool:
        try:
            rates = self.context.gateway.fee_rates(symbol)
            is_new = fee_rates_store(account_id=self.context.account_id, symbol=symbol, rates=rates, now=now)
        except AviGridError as error:
            log.warning("fees_not_read", symbol=symbol, code=error.code)
            return False
        if is_new:
            log.info("fees_read", symbol=symbol, taker=str(rates.taker), maker=str(rates.maker))
        return True
