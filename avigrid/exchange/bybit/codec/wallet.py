"""The unified wallet. In isolated margin the account-level figures are empty: then the USDT coin row speaks."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from avigrid.exchange.bybit.codec.fields import (
    MalformedMessage,
    Number,
    decimal,
    decimal_or_none,
    decimal_or_zero,
    result_of,
    rows,
)
from avigrid.kernel.money import ZERO
from avigrid.kernel.portfolio import Wallet


class CoinRow(
    msgspec.Struct,
    rename={
        "wallet_balance": "walletBalance",
        "unrealised_pnl": "unrealisedPnl",
        "position_im": "totalPositionIM",
        "order_im": "totalOrderIM",
        "position_mm": "totalPositionMM",
    },
):
    coin: str
    equity: Number = None
    wallet_balance: Number = None
    unrealised_pnl: Number = None
    position_im: Number = None
    order_im: Number = None
    position_mm: Number = None
    locked: Number = None
    bonus: Number = None


class WalletRow(
    msgspec.Struct,
    rename={
        "unrealised_pnl": "totalPerpUPL",
        **{
            name: "total" + "".join(part.title() for part in name.split("_"))
            for name in ("equity", "wallet_balance", "available_balance", "initial_margin", "maintenance_margin")
        },
    },
):
    coin: list[CoinRow]
    equity: Number = None
    wallet_balance: Number = None
    available_balance: Number = None
    initial_margin: Number = None
    maintenance_margin: Number = None
    unrealised_pnl: Number = None


def wallet_of_reply(reply: Mapping[str, object]) -> Wallet:
    found = rows(result_of(reply).get("list"), WalletRow)
    if not found:
        raise MalformedMessage("a wallet reply without an account", reason="wallet")
    return wallet(found[0])


def wallet(row: WalletRow) -> Wallet:
    usdt = next((coin for coin in row.coin if coin.coin == "USDT"), CoinRow(coin="USDT"))
    return Wallet(
        equity_usd=_first(row.equity, usdt.equity),
        wallet_balance_usd=_first(row.wallet_balance, usdt.wallet_balance),
        available_usd=_available(row, usdt),
        initial_margin_usd=_either(row.initial_margin, _sum(usdt.position_im, usdt.order_im)),
        maintenance_margin_usd=_first(row.maintenance_margin, usdt.position_mm),
        unrealised_pnl_usd=_first(row.unrealised_pnl, usdt.unrealised_pnl),
    )


def _available(row: WalletRow, usdt: CoinRow) -> Decimal:
    """Cross: the venue's own figure. Isolated: balance less everything that is bound."""
    free = decimal_or_zero(usdt.wallet_balance) - _sum(usdt.position_im, usdt.order_im, usdt.locked, usdt.bonus)
    return _either(row.available_balance, free)


def _first(account: Number, coin: Number) -> Decimal:
    return _either(account, decimal_or_zero(coin))


def _either(account: Number, otherwise: Decimal) -> Decimal:
    return otherwise if decimal_or_none(account) is None else decimal(account)


def _sum(*values: Number) -> Decimal:
    return sum((decimal_or_zero(value) for value in values), ZERO)
