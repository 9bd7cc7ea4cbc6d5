"""Getting flat for certain: ask the venue what is held, close it by reduce-only market orders, ask again.

Works on the venue alone, for positions without a plan and for the day when the execution process does not answer.
Reduce-only makes a second close harmless: it ends at size 0, never beyond.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from avigrid.exchange.ports import OrderGateway
from avigrid.kernel.errors import AviGridError, OrderNotFound
from avigrid.kernel.ids import is_ours
from avigrid.kernel.orders import OrderIntent, OrderType, TimeInForce, VenueOrder
from avigrid.kernel.portfolio import VenuePosition
from marketdata.selectors.instruments import UnknownInstrument, instrument
from trading.engine.differences import is_position_stop
from trading.services.intents import installation

log = structlog.get_logger(__name__)
ESCALATE_AFTER = timedelta(seconds=30)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(slots=True)
class Flattener:
    """`symbol` None is the whole account."""

    gateway: OrderGateway
    symbol: str | None = None
    only_ours: bool = False
    """Leave other people's resting orders alone (a halt does, flattening does not)."""
    attempts: int = 0
    errors: list[str] = field(default_factory=list)

    def held(self) -> list[VenuePosition]:
        rows = self.gateway.positions() if self.symbol is None else self.gateway.position(self.symbol)
        return [row for row in rows if row.size > 0]

    def entries(self) -> list[VenueOrder]:
        """Resting orders that could open or add: everything that is not reduce-only."""
        rows = self.gateway.open_orders()
        return [
            row
            for row in rows
            if not row.reduce_only
            and not is_position_stop(row)
            and self.symbol in (None, row.symbol)
            and (not self.only_ours or is_ours(row.order_link_id, installation()))
        ]

    def cancel_entries(self) -> int:
        """Returns how many were asked to go; one that is gone already is as good."""
        asked = 0
        for row in self.entries():
            try:
                self.gateway.cancel(symbol=row.symbol, order_id=row.order_id)
            except OrderNotFound:
                continue
            except AviGridError as error:
                self.errors.append(f"{row.symbol}: cancel {error.code}")
                continue
            asked += 1
        return asked

    def close(self, rows: list[VenuePosition], *, now: datetime) -> None:
        self.attempts += 1
        for row in rows:
            if row.side is None:
                continue
            intent = OrderIntent(
                order_link_id=_link_id(row, now, self.attempts),
                symbol=row.symbol,
                side=row.side.opposite,
                order_type=OrderType.MARKET,
                quantity=_at_once(row),
                price=None,
                time_in_force=TimeInForce.IOC,
                reduce_only=True,
                position_idx=row.position_idx,
            )
            try:
                self.gateway.place(intent)
            except AviGridError as error:
                self.errors.append(f"{row.symbol}: close {error.code}")
                log.warning("close_refused", symbol=row.symbol, code=error.code)


def _at_once(row: VenuePosition) -> Decimal:
    try:
        return min(row.size, instrument(row.symbol).max_market_qty)
    except UnknownInstrument:
        return row.size


def _link_id(row: VenuePosition, now: datetime, attempt: int) -> str:
    """Names the kill switch, the second, the attempt and the position; fits 36 characters."""
    stamp, text = int(now.timestamp()), ""
    while stamp:
        stamp, digit = divmod(stamp, 36)
        text = _DIGITS[digit] + text
    return f"{installation()}-k{text}{attempt}-{row.position_idx}{row.symbol}"[:36]
