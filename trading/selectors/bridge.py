"""From the first wallet reading over every booked change to what the venue showed last; the rest is unexplained."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from avigrid.kernel.money import ZERO
from trading.models import EquitySnapshot, LedgerEntry, LedgerKind

_BLUR = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class BridgeStep:
    kind: str
    change_usd: Decimal


@dataclass(frozen=True, slots=True)
class Bridge:
    since: datetime
    until: datetime
    start_usd: Decimal
    steps: Sequence[BridgeStep]
    expected_usd: Decimal
    venue_usd: Decimal

    @property
    def gap_usd(self) -> Decimal:
        return self.venue_usd - self.expected_usd


def bridge(account_id: int) -> Bridge | None:
    """None before the first wallet reading."""
    readings = EquitySnapshot.objects.filter(account_id=account_id)
    first, last = readings.order_by("at", "pk").first(), readings.order_by("-at", "-pk").first()
    if first is None or last is None:
        return None
    between = list(
        LedgerEntry.objects.filter(account_id=account_id, at__gt=first.at, at__lte=last.at + _BLUR)
        .order_by("at", "id")
        .values_list("at", "kind", "change_usd")
    )
    change_usd = last.wallet_balance_usd - first.wallet_balance_usd
    counted = _counted(between, last.at, change_usd)
    sums = dict.fromkeys(LedgerKind.values, ZERO)
    for _, kind, amount in between[:counted]:
        sums[kind] += amount
    steps = [BridgeStep(kind, sums[kind]) for kind in LedgerKind.values]
    expected = first.wallet_balance_usd + sum(sums.values(), ZERO)
    return Bridge(first.at, last.at, first.wallet_balance_usd, steps, expected, last.wallet_balance_usd)


def _counted(entries: Sequence[tuple[datetime, str, Decimal]], at: datetime, change_usd: Decimal) -> int:
    """How many of the entries the last reading knew: those before it, and of the ones around it what explains it best.

    A reading carries our estimate of the exchange's time, a booking the exchange's own.
    """
    total, best, gap = ZERO, 0, abs(change_usd)
    for number, (moment, _, amount) in enumerate(entries, start=1):
        total += amount
        if moment <= at - _BLUR or abs(change_usd - total) <= gap:
            best, gap = number, abs(change_usd - total)
    return best
