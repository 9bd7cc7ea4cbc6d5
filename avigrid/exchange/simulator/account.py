"""One trading account: settings, orders, positions, money, and what it has to tell its owner."""

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from avigrid.exchange.simulator.market import Market
from avigrid.exchange.simulator.orders import Order
from avigrid.exchange.simulator.positions import Position
from avigrid.exchange.simulator.specs import Fees
from avigrid.exchange.simulator.text import IdMaker

ZERO = Decimal(0)


@dataclass(slots=True, eq=False)
class Execution:
    """One booked execution, never changed (not frozen, because freezing costs more than the match); `fee` > 0 was paid.

    It is also the row of the transaction log: change = pnl - fee, `balance` and `size` (signed) are those after it.
    `number` is its place in the venue's history.
    """

    number: int
    order: Order | None
    market: Market
    ids: IdMaker
    order_id: str
    side: int
    price: Decimal
    qty: Decimal
    value: Decimal
    fee: Decimal
    fee_rate: Decimal
    kind: str
    is_maker: bool
    time_ms: int
    leaves: Decimal
    closed: Decimal
    pnl: Decimal
    mark: Decimal
    index: Decimal
    seq: int
    balance: Decimal
    size: Decimal

    @property
    def exec_id(self) -> str:
        return self.ids.at(self.number)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money moved into the account (> 0) or out of it; `balance` is that after it."""

    number: int
    time_ms: int
    amount: Decimal
    balance: Decimal


@dataclass(slots=True, eq=False)
class ClosedPnl:
    """Everything one closing order closed."""

    number: int
    order: Order
    leverage: Decimal
    created_ms: int
    closed: int = 0
    entry_value: Decimal = ZERO
    exit_value: Decimal = ZERO
    pnl: Decimal = ZERO
    open_fee: Decimal = ZERO
    close_fee: Decimal = ZERO
    fills: int = 0
    updated_ms: int = 0
    kind: str = "Trade"


@dataclass(frozen=True, slots=True)
class PrivateEvent:
    """One frame of a private topic. topic: order | execution | position | wallet; rows are Bybit's WS rows."""

    topic: str
    symbol: str
    time_ms: int
    seq: int
    rows: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Margin of a symbol's resting orders that could open a position, and how far they reach (ticks)."""

    cost: Decimal
    units: int
    """Notional in ticks x steps."""
    highest_buy: int
    lowest_sell: int


@dataclass(slots=True, eq=False)
class Account:
    name: str
    uid: int
    balance: Decimal
    fees: Fees
    default_leverage: Decimal
    default_hedge: bool
    isolated: bool
    opened_ms: int
    start_balance: Decimal = ZERO
    realised: Decimal = ZERO
    hedge: dict[str, bool] = field(default_factory=dict)
    leverage: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    """(buy, sell) per symbol; equal except for isolated hedge mode."""
    positions: dict[tuple[str, int], Position] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    by_link: dict[str, Order] = field(default_factory=dict)
    open_orders: dict[str, dict[str, Order]] = field(default_factory=dict)
    """symbol -> order id -> order, in order of creation; resting and untriggered."""
    history: list[Order] = field(default_factory=list)
    """Every order ever, by creation."""
    closed_cache: deque[Order] = field(default_factory=lambda: deque(maxlen=500))
    executions: list[Execution] = field(default_factory=list)
    transfers: list[Transfer] = field(default_factory=list)
    executions_of: dict[str, list[Execution]] = field(default_factory=dict)
    """By order id."""
    closed_pnl: dict[str, ClosedPnl] = field(default_factory=dict)
    outbox: list[PrivateEvent] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)
    """Per symbol: what resting orders hold; absent = work it out again."""
    dcp_window_s: int = 0
    is_wallet_dirty: bool = False
    told_order_im: Decimal = ZERO
    """Order margin in the last wallet frame."""
    dirty_symbols: dict[str, None] = field(default_factory=dict)
    """Symbols whose position frame is due, in order."""

    def is_hedge(self, symbol: str) -> bool:
        return self.hedge.get(symbol, self.default_hedge)

    def leverages(self, market: Market) -> tuple[Decimal, Decimal]:
        found = self.leverage.get(market.symbol)
        if found is None:
            leverage = min(self.default_leverage, market.spec.max_leverage)
            found = self.leverage[market.symbol] = (leverage, leverage)
        return found

    def leverage_of(self, market: Market, direction: int) -> Decimal:
        buy, sell = self.leverages(market)
        return buy if direction > 0 else sell

    def position(self, market: Market, idx: int) -> Position:
        key = (market.symbol, idx)
        found = self.positions.get(key)
        if found is None:
            found = self.positions[key] = Position(market, idx)
        return found

    def positions_of(self, market: Market) -> list[Position]:
        indexes = (1, 2) if self.is_hedge(market.symbol) else (0,)
        return [self.position(market, idx) for idx in indexes]

    def live_positions(self) -> list[Position]:
        return [position for position in self.positions.values() if position.size]

    def opens(self, symbol: str) -> dict[str, Order]:
        found = self.open_orders.get(symbol)
        if found is None:
            found = self.open_orders[symbol] = {}
        return found

    def touch(self, symbol: str) -> None:
        """Orders, leverage or position of the symbol changed: margin is stale, a position frame is due."""
        self.held.pop(symbol, None)
        self.dirty_symbols[symbol] = None
