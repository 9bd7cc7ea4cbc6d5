"""Orders: what we intend, what the venue says, what was filled. Decimal throughout."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    BUY = "Buy"
    SELL = "Sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY

    @classmethod
    def from_direction(cls, direction: int) -> "Side":
        """+1 buys, -1 sells."""
        return cls.BUY if direction > 0 else cls.SELL


class OrderType(StrEnum):
    LIMIT = "Limit"
    MARKET = "Market"


class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    POST_ONLY = "PostOnly"


class OrderStatus(StrEnum):
    """Our belief about an order. `unknown`: sent, outcome unproven; its exposure stays reserved."""

    INTENT = "intent"
    SUBMITTING = "submitting"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        return self in (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED)


class OrderRole(StrEnum):
    """Why an order exists inside its plan."""

    ENTRY = "entry"
    TAKE_PROFIT = "take_profit"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class OrderIntent:
    """What to send (Bybit V5, Place Order). `price` is None for market orders; position_idx 0 one-way, 1/2 hedge.

    `stop_loss` rides on an opening order and stands on the position from its first fill.
    """

    order_link_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce
    reduce_only: bool
    position_idx: int
    stop_loss: Decimal | None = None


@dataclass(frozen=True, slots=True)
class OrderAck:
    """The venue accepted the request; nothing about its fate yet."""

    order_id: str
    order_link_id: str


@dataclass(frozen=True, slots=True)
class VenueOrder:
    """An order as the venue shows it (order stream, order/realtime, order/history)."""

    order_id: str
    order_link_id: str
    symbol: str
    side: Side
    order_type: OrderType
    status: str
    """Bybit's own word: New, PartiallyFilled, Untriggered, Rejected, Filled, Cancelled, Deactivated, Triggered."""
    quantity: Decimal
    price: Decimal | None
    filled_qty: Decimal
    avg_price: Decimal | None
    time_in_force: str
    reduce_only: bool
    position_idx: int
    created_ms: int
    updated_ms: int
    cancel_type: str = ""
    reject_reason: str = ""
    stop_order_type: str = ""
    trigger_price: Decimal | None = None

    @property
    def is_open(self) -> bool:
        return self.status in ("New", "PartiallyFilled", "Untriggered", "Triggered")


def execution_reference(exec_id: str, order_id: str) -> str:
    """What tells executions apart: a trade between two orders of one account has the same id on both sides."""
    return f"{exec_id}/{order_id}" if order_id else exec_id


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution (Bybit V5, Get Trade History). `fee_usd` > 0 was paid. `kind` is execType: Trade, Funding, ..."""

    exec_id: str
    order_id: str
    order_link_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee_usd: Decimal
    is_maker: bool
    time_ms: int
    kind: str = "Trade"
    closed_size: Decimal = Decimal(0)
    mark_price: Decimal | None = None
    is_stop: bool = False
    """The venue's own stop order was filled."""
    seq: int = 0
    """Bybit's cross sequence of the symbol: the order of what shares a millisecond. 0 where it is not told."""

    @property
    def reference(self) -> str:
        return execution_reference(self.exec_id, self.order_id)

    @property
    def is_bookable(self) -> bool:
        """Something changed hands at a price; only funding may be paid on nothing."""
        return self.kind == "Funding" or (self.price > 0 and self.quantity > 0)
