"""The USDT of a unified wallet. The account-level figures count every coin, each at its index price: another coin's
rise is no gain of ours, and an index of 1.001 is no deposit.
"""

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

_DIGITS = 8
"""As the venue writes amounts of USDT."""


class CoinRow(
    msgspec.Struct,
    rename={
        "usd_value": "usdValue",
        "wallet_balance": "walletBalance",
        "unrealised_pnl": "unrealisedPnl",
        "position_im": "totalPositionIM",
        "order_im": "totalOrderIM",
        "position_mm": "totalPositionMM",
    },
):
    coin: str
    equity: Number = None
    usd_value: Number = None
    wallet_balance: Number = None
    unrealised_pnl: Number = None
    position_im: Number = None
    order_im: Number = None
    position_mm: Number = None
    locked: Number = None
    bonus: Number = None


class WalletRow(msgspec.Struct):
    coin: list[CoinRow]
    available: Number = msgspec.field(default=None, name="totalAvailableBalance")


def wallet_of_reply(reply: Mapping[str, object]) -> Wallet:
    """An answer leaves out coins of which there is none."""
    found = rows(result_of(reply).get("list"), WalletRow)
    if not found:
        raise MalformedMessage("a wallet reply without an account", reason="wallet")
    return wallet(found[0]) or Wallet(ZERO, ZERO, ZERO, ZERO, ZERO, ZERO)


def wallet(row: WalletRow) -> Wallet | None:
    """None for a frame about other coins: frames name those that changed."""
    usdt = next((coin for coin in row.coin if coin.coin == "USDT"), None)
    if usdt is None:
        return None
    return Wallet(
        equity_usd=decimal(usdt.equity),
        wallet_balance_usd=decimal(usdt.wallet_balance),
        available_usd=_available(row, usdt),
        initial_margin_usd=_sum(usdt.position_im, usdt.order_im),
        maintenance_margin_usd=decimal_or_zero(usdt.position_mm),
        unrealised_pnl_usd=decimal_or_zero(usdt.unrealised_pnl),
    )


def _available(row: WalletRow, usdt: CoinRow) -> Decimal:
    """Isolated: balance less everything that is bound. Cross: the venue's own figure, which knows its haircuts, as far
    as USDT itself covers it: what other coins would be lent for is not ours to spend.
    """
    bound = _sum(usdt.position_im, usdt.order_im, usdt.locked)
    told = decimal_or_none(row.available)
    if told is None:
        return decimal(usdt.wallet_balance) - bound - decimal_or_zero(usdt.bonus)
    return min(round(told / _index(usdt), _DIGITS), max(decimal(usdt.equity) - bound, ZERO))


def _index(usdt: CoinRow) -> Decimal:
    """Dollars of one USDT, as the account-level figures count it."""
    equity, value = decimal_or_zero(usdt.equity), decimal_or_zero(usdt.usd_value)
    return value / equity if equity > 0 and value > 0 else Decimal(1)


def _sum(*values: Number) -> Decimal:
    return sum((decimal_or_zero(value) for value in values), ZERO)
