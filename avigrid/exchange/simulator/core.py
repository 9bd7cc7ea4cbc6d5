"""What every part of the venue shares: clock, markets, accounts, ids, counters, and what waits to be told."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from avigrid.exchange.simulator.account import Account, Execution
from avigrid.exchange.simulator.market import Market, Print
from avigrid.exchange.simulator.orders import Order
from avigrid.exchange.simulator.specs import Fees
from avigrid.exchange.simulator.text import IdMaker

_ENDED = {name: f"orders_{name.lower()}" for name in ("Filled", "Cancelled", "Deactivated", "Rejected")}


@dataclass(frozen=True, slots=True)
class VenueConfig:
    """Everything about the account and the house that is not the market."""

    balance_usdt: Decimal = Decimal(10_000)
    hedge: bool = False
    isolated: bool = False
    leverage: Decimal = Decimal(10)
    fees: Fees = field(default_factory=Fees)
    uid: int = 100_000_001
    api_key: str = "key"
    lpa_perp: bool = False
    """True: a limit price outside the band is refused (110003) instead of silently moved to the band."""
    usdt_index: Decimal = Decimal(1)
    """USD price of one USDT: account totals are in USD, coin rows in USDT."""
    max_active_orders: int = 500
    max_conditional_orders: int = 10


@dataclass(slots=True, eq=False)
class Pending:
    """What one account has to be told at the end of the call."""

    orders: dict[str, Order] = field(default_factory=dict)
    executions: list[Execution] = field(default_factory=list)


class Core:
    def __init__(self, config: VenueConfig, start_ms: int, seed: int) -> None:
        self.config = config
        self.now_ms = start_ms
        self.start_ms = start_ms
        self.ids = IdMaker(seed)
        self.execution_ids = IdMaker(seed + (1 << 64))
        self.trade_ids = IdMaker(seed + (2 << 64))
        self.markets: dict[str, Market] = {}
        self.accounts: dict[str, Account] = {}
        self.pending: dict[str, Pending] = {}
        self.counters: Counter[str] = Counter()
        self.trades: list[tuple[Market, Print]] = []
        self.liquidations: list[dict[str, object]] = []
        self._orders = 0
        self._executions = 0
        self._prints = 0

    def account(self, name: str) -> Account:
        found = self.accounts.get(name)
        if found is None:
            config = self.config
            found = Account(
                name=name,
                uid=config.uid + len(self.accounts),
                balance=config.balance_usdt,
                fees=config.fees,
                default_leverage=config.leverage,
                default_hedge=config.hedge,
                isolated=config.isolated,
                opened_ms=self.start_ms,
                start_balance=config.balance_usdt,
            )
            self.accounts[name] = found
            self.pending[name] = Pending()
        return found

    def next_order_number(self) -> int:
        self._orders += 1
        return self._orders

    def next_execution_number(self) -> int:
        self._executions += 1
        return self._executions

    def tell(self, order: Order) -> None:
        """The order changed: one frame with its latest state goes out at the end of the call."""
        order.updated_ms = self.now_ms
        self.pending[order.account.name].orders[order.order_id] = order

    def print_trade(self, market: Market, price: int, qty: int, side: int) -> None:
        self._prints += 1
        item = market.print(self._prints, self.now_ms, price, qty, side)
        self.trades.append((market, item))

    def close(self, order: Order, status: str, cancel_type: str = "UNKNOWN", reason: str = "EC_NoError") -> None:
        """The order reaches its one terminal state and leaves every list of open things."""
        assert order.is_open or order.status == "Triggered", f"order {order.order_id} is already {order.status}"
        market = order.market
        if order.in_book:
            market.book.side(order.side).remove(order)
            market.book.touch(self.now_ms)
            order.in_book = False
        elif order.status == "Untriggered":
            market.untriggered.remove(order)
        order.status = status
        order.cancel_type = cancel_type
        order.reject_reason = reason
        order.leaves = 0
        account = order.account
        account.open_orders[market.symbol].pop(order.order_id, None)
        account.closed_cache.append(order)
        account.touch(market.symbol)
        self.counters[_ENDED[status]] += 1
        self.tell(order)
