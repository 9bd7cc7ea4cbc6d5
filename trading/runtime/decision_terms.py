"""What a decision rests on besides the market: version, limits, fees. Read once for all symbols whose bars close
together, and anew for the next close, so that a changed limit counts from the next bar on."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from accounts.selectors.trading_accounts import primary_account
from risk.core.limits import RiskLimits
from risk.selectors.limits import limits_of
from trading.avi5.config import StrategyConfig
from trading.models import StrategyVersion
from trading.selectors.fee_rates import UNKNOWN, KnownFees, all_fee_rates
from trading.selectors.strategy import active_version, config_of

SHARED_FOR_S = 1.0


@dataclass(frozen=True, slots=True)
class DecisionTerms:
    version: StrategyVersion
    config: StrategyConfig
    r_usd: Decimal
    _fees: Mapping[str, KnownFees]

    def fees_of(self, symbol: str) -> KnownFees:
        return self._fees.get(symbol, UNKNOWN)


class SharedTerms:
    """For several threads: the first to ask for a close reads, the others wait for what it finds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._close_ms: int | None = None
        self._read_s = 0.0
        self._terms: DecisionTerms | None = None

    def at(self, close_ms: int) -> DecisionTerms | None:
        """None: no version decides."""
        with self._lock:
            if self._close_ms != close_ms or time.monotonic() - self._read_s > SHARED_FOR_S:
                self._terms = _read()
                self._close_ms, self._read_s = close_ms, time.monotonic()
            return self._terms


def _read() -> DecisionTerms | None:
    version = active_version()
    if version is None:
        return None
    account = primary_account()
    limits = limits_of(account.pk) if account else RiskLimits()
    fees = all_fee_rates(account.pk) if account else {}
    return DecisionTerms(version, config_of(version), limits.r_usd, fees)
