"""What the operator chooses per symbol: traded, tape, order-book log."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from accounts.services.audit import audit
from avigrid.kernel.errors import Rejected
from marketdata.models import Instrument
from marketdata.services.instruments import UNLISTED

if TYPE_CHECKING:
    from accounts.models import User


@dataclass(frozen=True, slots=True)
class Watch:
    in_whitelist: bool
    stores_trades: bool
    logs_order_book: bool


class NotListed(Rejected):
    """A symbol the venue does not list cannot be put on the whitelist."""

    code = "instrument_not_listed"


def instrument_watch_change(*, symbol: str, watch: Watch, actor: "User | str", reason: str = "") -> bool:
    """Takes effect at the next tick of the market-data processes. False, and no audit, where nothing changes."""
    with transaction.atomic():
        row = Instrument.objects.select_for_update().get(symbol=symbol)
        before = Watch(row.in_whitelist, row.stores_trades, row.logs_order_book)
        if before == watch:
            return False
        if watch.in_whitelist and not before.in_whitelist and row.status == UNLISTED:
            raise NotListed(f"The exchange does not list {symbol} any more", symbol=symbol)
        row.in_whitelist, row.stores_trades, row.logs_order_book = (
            watch.in_whitelist,
            watch.stores_trades,
            watch.logs_order_book,
        )
        row.save(update_fields=["in_whitelist", "stores_trades", "logs_order_book"])
        audit(
            actor=actor,
            action="instrument.watch_changed",
            obj=row,
            before=_changed(before, watch),
            after=_changed(watch, before),
            reason=reason,
        )
    return True


def _changed(of: Watch, other: Watch) -> dict[str, object]:
    names = ("in_whitelist", "stores_trades", "logs_order_book")
    return {name: getattr(of, name) for name in names if getattr(of, name) != getattr(other, name)}
