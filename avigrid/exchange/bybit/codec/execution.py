"""Executions: the row of REST and of the `execution` topic. The only truth about what was filled and paid."""

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from avigrid.exchange.bybit.codec.fields import (
    Number,
    decimal,
    decimal_or_none,
    decimal_or_zero,
    positive_or_none,
    result_of,
    rows,
    side,
    whole,
)
from avigrid.kernel.orders import Execution

_DOLLARS = frozenset({"", "USDT", "USDC"})


class ExtraFee(msgspec.Struct, rename="camel"):
    fee_coin: str = ""
    fee: Number = None


_STOPS = frozenset({"StopLoss", "PartialStopLoss", "TrailingStop"})
_STOPS_CREATED = frozenset({"CreateByStopLoss", "CreateByPartialStopLoss", "CreateByTrailingStop"})


class ExecutionRow(msgspec.Struct, rename="camel"):
    exec_id: str
    order_id: str
    symbol: str
    side: str
    exec_price: Number
    exec_qty: Number
    exec_time: Number
    order_link_id: str | None
    exec_fee: Number = None
    exec_type: str = "Trade"
    exec_value: Number = None
    fee_rate: Number = None
    fee_currency: str | None = None
    is_maker: bool = False
    closed_size: Number = None
    mark_price: Number = None
    stop_order_type: str | None = None
    create_type: str | None = None
    extra_fees: list[ExtraFee] | str | None = None
    category: str | None = None
    seq: Number = None


def executions_of_reply(reply: Mapping[str, object]) -> list[Execution]:
    """As listed: newest first."""
    return [execution(row) for row in rows(result_of(reply).get("list"), ExecutionRow)]


def execution(row: ExecutionRow) -> Execution:
    price, quantity = decimal(row.exec_price), decimal(row.exec_qty)
    return Execution(
        exec_id=row.exec_id,
        order_id=row.order_id,
        order_link_id=row.order_link_id or "",
        symbol=row.symbol,
        side=side(row.side),
        price=price,
        quantity=quantity,
        fee_usd=_fee_usd(row, price * quantity),
        is_maker=row.is_maker,
        time_ms=whole(row.exec_time),
        kind=row.exec_type,
        closed_size=decimal_or_zero(row.closed_size),
        mark_price=positive_or_none(row.mark_price),
        is_stop=row.stop_order_type in _STOPS or row.create_type in _STOPS_CREATED,
        seq=whole(row.seq),
    )


def _fee_usd(row: ExecutionRow, notional_usd: Decimal) -> Decimal:
    """Fee and taxes on it (Indian GST comes as an extra fee). A fee paid in another coin is priced by its rate."""
    fee = decimal_or_zero(row.exec_fee)
    if (row.fee_currency or "") not in _DOLLARS:
        rate = decimal_or_none(row.fee_rate)
        fee = fee if rate is None else rate * (decimal_or_none(row.exec_value) or notional_usd)
    if isinstance(row.extra_fees, list):
        fee += sum((decimal_or_zero(extra.fee) for extra in row.extra_fees if extra.fee_coin in _DOLLARS), Decimal(0))
    return fee
