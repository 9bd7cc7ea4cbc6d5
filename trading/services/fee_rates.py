"""Keeping what the venue tells about an account's fees."""

from datetime import datetime
from decimal import Decimal

from django.db import transaction

from accounts.services.audit import audit
from avigrid.kernel.errors import Rejected
from avigrid.kernel.instrument import FeeRates
from avigrid.kernel.money import plain
from trading.models import AccountFeeRates

HIGHEST = Decimal("0.01")
"""One percent: no venue takes so much, so whoever says it has mixed up a unit."""


@transaction.atomic
def fee_rates_store(*, account_id: int, symbol: str, rates: FeeRates, now: datetime) -> bool:
    """True where they are new or others than before, which is audited; Rejected `bad_fee_rates` where impossible."""
    if not (0 <= rates.taker <= HIGHEST and abs(rates.maker) <= HIGHEST and rates.maker + rates.taker >= 0):
        raise Rejected(
            f"{symbol}: fees of {rates.taker} (taker) and {rates.maker} (maker) cannot be right.",
            code="bad_fee_rates",
            symbol=symbol,
        )
    known = AccountFeeRates.objects.select_for_update().filter(account_id=account_id, symbol=symbol).first()
    row = known or AccountFeeRates(account_id=account_id, symbol=symbol)
    before = None if known is None else FeeRates(known.taker, known.maker)
    row.taker, row.maker, row.read_at = rates.taker, rates.maker, now
    row.save()
    if before == rates:
        return False
    audit(
        actor="execution",
        action="fees.changed",
        obj=row,
        before=None if before is None else _told(before),
        after={"account_id": account_id, "symbol": symbol, **_told(rates)},
    )
    return True


def _told(rates: FeeRates) -> dict[str, str]:
    return {"taker": plain(rates.taker), "maker": plain(rates.maker)}
