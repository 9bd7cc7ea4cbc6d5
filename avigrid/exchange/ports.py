"""What AviGrid needs of a venue. Backtest, paper and live replace these and the clock, nothing else.

The gateway is synchronous (pybit is); async runtimes call it in a worker thread. Every method raises the classes of
`avigrid.kernel.errors`: Retryable, OutcomeUnknown, Rejected (NotModified, OrderNotFound, DuplicateOrder) and
OperatorNeeded.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from avigrid.kernel.errors import AviGridError
from avigrid.kernel.instrument import FeeRates, Instrument, RiskTier
from avigrid.kernel.market import BookUpdate, Kline, PublicTrade, Ticker
from avigrid.kernel.orders import Execution, OrderAck, OrderIntent, VenueOrder
from avigrid.kernel.portfolio import KeyInfo, LedgerRow, VenuePosition, Wallet


@dataclass(frozen=True, slots=True)
class StreamState:
    """The connection itself speaks: `up` (subscribed), `down`, `stale` (a topic fell silent), `gap` (book resync)."""

    kind: str
    topic: str
    reason: str
    time_ms: int


MarketEvent = Kline | PublicTrade | BookUpdate | Ticker | StreamState
AccountEvent = VenueOrder | Execution | VenuePosition | Wallet | StreamState


class MarketFeed(Protocol):
    def events(self) -> AsyncIterator[MarketEvent]:
        """Public stream events in arrival order, for as long as the iterator is consumed; reconnects by itself."""
        ...


class AccountFeed(Protocol):
    def events(self) -> AsyncIterator[AccountEvent]:
        """Private stream events; a StreamState("up") after each (re)connect tells the consumer to reconcile."""
        ...


class MarketReader(Protocol):
    """Public REST."""

    def server_time_ms(self) -> int: ...
    def instruments(self) -> list[Instrument]: ...
    def risk_tiers(self, symbol: str) -> list[RiskTier]: ...
    def klines(self, symbol: str, interval_min: int, *, start_ms: int, end_ms: int) -> list[Kline]:
        """Bars with start in [start_ms, end_ms], oldest first, paged until complete; `confirmed` = already closed."""
        ...

    def funding_history(self, symbol: str, *, start_ms: int, end_ms: int) -> list[tuple[int, Decimal]]: ...
    def recent_trades(self, symbol: str, limit: int = 1000) -> list[PublicTrade]: ...
    def tickers(self) -> list[Ticker]: ...


class OrderGateway(Protocol):
    """Private REST of one account."""

    def place(self, intent: OrderIntent) -> OrderAck: ...
    def cancel(self, *, symbol: str, order_link_id: str = "", order_id: str = "") -> None: ...
    def cancel_batch(self, orders: Sequence[tuple[str, str]]) -> list[AviGridError | None]:
        """(symbol, order link id) of up to ten, in one call with a budget of its own; what the venue says of each."""
        ...

    def set_stop(self, *, symbol: str, position_idx: int, stop_loss: Decimal) -> None:
        """The position-level stop, market on trigger by mark price; NotModified where it already stands."""
        ...

    def amend_stop(self, *, symbol: str, order_link_id: str, stop_loss: Decimal) -> None:
        """The stop that a resting entry brings with its fill; a Rejected where it carries that one already."""
        ...

    def set_leverage(self, *, symbol: str, leverage: Decimal) -> None: ...
    def set_hedge_mode(self, *, enabled: bool) -> None: ...
    def order(self, *, symbol: str, order_link_id: str) -> VenueOrder | None:
        """Realtime, then history; None where neither knows it (which proves nothing while it could still appear)."""
        ...

    def open_orders(self) -> list[VenueOrder]:
        """Every open order, conditional ones included, all pages."""
        ...

    def executions(self, *, start_ms: int, end_ms: int, symbol: str | None = None) -> list[Execution]:
        """Oldest first, all pages, windows of 7 days joined."""
        ...

    def executions_of(self, *, symbol: str, order_link_id: str) -> list[Execution]: ...
    def positions(self) -> list[VenuePosition]:
        """Every position with size > 0."""
        ...

    def position(self, symbol: str) -> list[VenuePosition]:
        """The rows of one symbol, flat ones too (one in one-way mode, two in hedge mode)."""
        ...

    def wallet(self) -> Wallet: ...
    def fee_rates(self, symbol: str) -> FeeRates: ...
    def ledger(self, *, start_ms: int, end_ms: int) -> list[LedgerRow]: ...
    def key_info(self) -> KeyInfo: ...
