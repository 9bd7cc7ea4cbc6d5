"""What the venue says we hold."""

from dataclasses import dataclass
from decimal import Decimal

from avigrid.kernel.orders import Side


@dataclass(frozen=True, slots=True)
class VenuePosition:
    """A position row (Bybit V5, Get Position Info). `side` is None and `size` 0 when flat; size is never negative."""

    symbol: str
    position_idx: int
    side: Side | None
    size: Decimal
    avg_price: Decimal | None
    mark_price: Decimal | None
    liq_price: Decimal | None
    stop_loss: Decimal | None
    take_profit: Decimal | None
    unrealised_pnl_usd: Decimal
    realised_pnl_usd: Decimal
    """curRealisedPnl: of this holding, fees and funding included."""
    leverage: Decimal | None
    created_ms: int
    updated_ms: int

    @property
    def signed_size(self) -> Decimal:
        return self.size * (self.side.sign if self.side else 0)


@dataclass(frozen=True, slots=True)
class Wallet:
    """The USDT of the account, which is what ledger and risk count; other coins are not in it."""

    equity_usd: Decimal
    wallet_balance_usd: Decimal
    available_usd: Decimal
    initial_margin_usd: Decimal
    maintenance_margin_usd: Decimal
    unrealised_pnl_usd: Decimal


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One row of the venue's transaction log; change = cash_flow + funding - fee, all USDT."""

    row_id: str
    symbol: str
    kind: str
    time_ms: int
    quantity: Decimal
    price: Decimal | None
    fee_usd: Decimal
    funding_usd: Decimal
    cash_flow_usd: Decimal
    change_usd: Decimal
    balance_usd: Decimal
    order_id: str
    order_link_id: str
    trade_id: str


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What the venue says about an API key (Bybit V5, Get API Key Information)."""

    read_only: bool
    can_trade: bool
    can_withdraw: bool
    ip_bound: bool
    user_id: str
    expires: str
