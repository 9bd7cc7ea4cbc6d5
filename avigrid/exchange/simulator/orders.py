"""One order inside the venue. Prices in ticks, quantities in steps (integers); the instrument gives them their size."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from avigrid.exchange.simulator.account import Account
    from avigrid.exchange.simulator.market import Market

BUY, SELL = 1, -1
SIDE_TEXT = {BUY: "Buy", SELL: "Sell"}
OPEN_STATUSES = frozenset({"New", "PartiallyFilled", "Untriggered"})
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class ExitTerms:
    """TP/SL parameters that ride on an order; None = not asked for."""

    take_profit: Decimal | None = None
    stop_loss: Decimal | None = None
    tp_trigger_by: str = ""
    sl_trigger_by: str = ""
    mode: str = ""
    tp_limit: Decimal | None = None
    sl_limit: Decimal | None = None

    @property
    def is_empty(self) -> bool:
        return self.take_profit is None and self.stop_loss is None


NO_EXITS = ExitTerms()


@dataclass(slots=True, eq=False)
class Order:
    account: "Account"
    market: "Market"
    order_id: str
    link_id: str
    side: int
    order_type: str
    price: int
    """Ticks; for a market order the protected price; 0 before a conditional market order triggers."""
    qty: int
    tif: str
    position_idx: int = 0
    reduce_only: bool = False
    close_on_trigger: bool = False
    closes_only: bool = False
    """May never open or grow a position: reduce-only, close-on-trigger, or the closing side of hedge mode."""
    created_ms: int = 0
    updated_ms: int = 0
    number: int = 0
    """Creation order over the whole venue."""
    leaves: int = 0
    cum_qty: int = 0
    cum_units: int = 0
    """Sum of ticks x steps over all fills."""
    cum_fee: Decimal = ZERO
    closed_pnl: Decimal = ZERO
    status: str = "New"
    create_type: str = "CreateByUser"
    cancel_type: str = "UNKNOWN"
    reject_reason: str = "EC_NoError"
    stop_order_type: str = ""
    trigger_price: Decimal | None = None
    trigger_direction: int = 0
    trigger_by: str = ""
    was_triggered: bool = False
    exits: ExitTerms = NO_EXITS
    smp: str = "None"
    slippage: str = "0"
    slippage_type: str = "UNKNOWN"
    parent_link_id: str = ""
    last_on_created: Decimal = ZERO
    in_book: bool = False
    ahead: int = 0
    """Outside quantity that stands before this order at its price."""
    partner: "Order | None" = None
    """The other leg of a partial TP/SL pair: one triggers, the other goes."""
    exit_children: "dict[str, Order] | None" = None
    """Partial TP/SL orders this order's fills have created."""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def is_resting(self) -> bool:
        return self.status in ("New", "PartiallyFilled")
