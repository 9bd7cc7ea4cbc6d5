"""What trading costs this account: as the venue told last, or assumed where it has not been asked yet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from avigrid.kernel.instrument import FeeRates
from trading.models import AccountFeeRates

OLD_AFTER = timedelta(days=2)
"""Asked for every hour: this old, the venue has refused to tell for long."""


@dataclass(frozen=True, slots=True)
class KnownFees:
    """`read_at` None: nobody has told, and `rates` are Bybit's for an account without any rebate."""

    rates: FeeRates
    read_at: datetime | None = None

    def note(self, now: datetime) -> str:
        """What a decision made with them should tell; empty where all is well."""
        if self.read_at is None:
            return "fees assumed: the account's own are not known"
        if now - self.read_at > OLD_AFTER:
            return f"fees as told on {self.read_at:%Y-%m-%d %H:%M}"
        return ""


UNKNOWN = KnownFees(FeeRates())


def fee_rates_of(account_id: int, symbol: str) -> KnownFees:
    return all_fee_rates(account_id, (symbol,)).get(symbol, UNKNOWN)


def all_fee_rates(account_id: int, symbols: Iterable[str] | None = None) -> Mapping[str, KnownFees]:
    """By symbol; what is missing is unknown."""
    rows = AccountFeeRates.objects.filter(account_id=account_id)
    if symbols is not None:
        rows = rows.filter(symbol__in=tuple(symbols))
    return {
        symbol: KnownFees(FeeRates(taker.normalize(), maker.normalize()), read_at)
        for symbol, taker, maker, read_at in rows.values_list("symbol", "taker", "maker", "read_at")
    }
