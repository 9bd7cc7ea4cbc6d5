"""Transaction-log rows and funding history."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from avigrid.exchange.bybit.codec.fields import (
    Number,
    decimal,
    decimal_or_zero,
    positive_or_none,
    result_of,
    rows,
    whole,
)
from avigrid.kernel.portfolio import LedgerRow


class LogRow(msgspec.Struct, rename="camel"):
    type: str
    transaction_time: Number
    id: str = ""
    symbol: str | None = None
    qty: Number = None
    trade_price: Number = None
    fee: Number = None
    funding: Number = None
    cash_flow: Number = None
    change: Number = None
    cash_balance: Number = None
    order_id: str | None = None
    order_link_id: str | None = None
    trade_id: str | None = None


class FundingRow(msgspec.Struct, rename="camel"):
    funding_rate: Number
    funding_rate_timestamp: Number


def ledger_of_reply(reply: Mapping[str, object]) -> list[LedgerRow]:
    """As listed: newest first."""
    return [
        LedgerRow(
            row_id=row.id,
            symbol=row.symbol or "",
            kind=row.type,
            time_ms=whole(row.transaction_time),
            quantity=decimal_or_zero(row.qty),
            price=positive_or_none(row.trade_price),
            fee_usd=decimal_or_zero(row.fee),
            funding_usd=decimal_or_zero(row.funding),
            cash_flow_usd=decimal_or_zero(row.cash_flow),
            change_usd=decimal_or_zero(row.change),
            balance_usd=decimal_or_zero(row.cash_balance),
            order_id=row.order_id or "",
            order_link_id=row.order_link_id or "",
            trade_id=row.trade_id or "",
        )
        for row in rows(result_of(reply).get("list"), LogRow)
    ]


def funding_of_reply(reply: Mapping[str, object]) -> list[tuple[int, Decimal]]:
    """(settlement time in ms, rate), oldest first."""
    found = rows(result_of(reply).get("list"), FundingRow)
    return sorted((whole(row.funding_rate_timestamp), decimal(row.funding_rate)) for row in found)
