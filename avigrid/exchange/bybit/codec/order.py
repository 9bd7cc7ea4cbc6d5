"""Orders: the intent as request parameters, the acknowledgement, and the row of REST and of the `order` topic."""

from collections.abc import Mapping

import msgspec

from avigrid.exchange.bybit.codec.fields import (
    MalformedMessage,
    Number,
    decimal,
    decimal_or_zero,
    positive_or_none,
    read,
    result_of,
    rows,
    side,
    whole,
)
from avigrid.kernel.errors import Bug
from avigrid.kernel.money import plain
from avigrid.kernel.orders import OrderAck, OrderIntent, OrderType, TimeInForce, VenueOrder

_NOTHING = frozenset({"", "UNKNOWN", "EC_NoError"})


class OrderRow(msgspec.Struct, rename="camel"):
    order_id: str
    symbol: str
    side: str
    order_type: str
    order_status: str
    qty: Number
    order_link_id: str | None  # "" where it is nobody's; missing, ours could not be told from a stranger's
    price: Number = None
    cum_exec_qty: Number = None
    avg_price: Number = None
    time_in_force: str | None = None
    reduce_only: bool = False
    position_idx: int = 0
    created_time: Number = None
    updated_time: Number = None
    cancel_type: str | None = None
    reject_reason: str | None = None
    stop_order_type: str | None = None
    trigger_price: Number = None
    category: str | None = None


class AckRow(msgspec.Struct, rename="camel"):
    order_id: str
    order_link_id: str = ""


def order_params(intent: OrderIntent) -> dict[str, object]:
    """Request parameters (Bybit V5, Place Order), without the category."""
    params: dict[str, object] = {
        "symbol": intent.symbol,
        "side": intent.side.value,
        "orderType": intent.order_type.value,
        "qty": plain(intent.quantity),
        "timeInForce": intent.time_in_force.value,
        "positionIdx": intent.position_idx,
        "orderLinkId": intent.order_link_id,
        "reduceOnly": intent.reduce_only,
    }
    if intent.order_type is OrderType.LIMIT:
        if intent.price is None:
            raise Bug("a limit order without a price", order_link_id=intent.order_link_id)
        params["price"] = plain(intent.price)
    else:
        params["timeInForce"] = TimeInForce.IOC.value
    if intent.stop_loss is not None and not intent.reduce_only:
        params |= {"stopLoss": plain(intent.stop_loss), "slTriggerBy": "MarkPrice", "tpslMode": "Full"}
    return params


def order_ack(reply: Mapping[str, object]) -> OrderAck:
    row = read(result_of(reply), AckRow)
    return OrderAck(order_id=row.order_id, order_link_id=row.order_link_id)


class BatchAnswer(msgspec.Struct):
    code: int
    msg: str = ""


def batch_answers(reply: Mapping[str, object], count: int) -> list[tuple[int, str]]:
    """Code (0: accepted) and words for each order of a batch, in its order."""
    told = reply.get("retExtInfo")
    answers = rows(told.get("list") if isinstance(told, Mapping) else None, BatchAnswer)
    if len(answers) != count:
        raise MalformedMessage(f"{len(answers)} answers to a batch of {count}", reason="batch")
    return [(answer.code, answer.msg) for answer in answers]


def orders_of_reply(reply: Mapping[str, object]) -> list[VenueOrder]:
    return [venue_order(row) for row in rows(result_of(reply).get("list"), OrderRow)]


def venue_order(row: OrderRow) -> VenueOrder:
    return VenueOrder(
        order_id=row.order_id,
        order_link_id=row.order_link_id or "",
        symbol=row.symbol,
        side=side(row.side),
        order_type=OrderType.MARKET if row.order_type == "Market" else OrderType.LIMIT,
        status=row.order_status,
        quantity=decimal(row.qty),
        price=positive_or_none(row.price),
        filled_qty=decimal_or_zero(row.cum_exec_qty),
        avg_price=positive_or_none(row.avg_price),
        time_in_force=row.time_in_force or "",
        reduce_only=row.reduce_only,
        position_idx=row.position_idx,
        created_ms=whole(row.created_time),
        updated_ms=whole(row.updated_time),
        cancel_type=_word(row.cancel_type),
        reject_reason=_word(row.reject_reason),
        stop_order_type=_word(row.stop_order_type),
        trigger_price=positive_or_none(row.trigger_price),
    )


def _word(text: str | None) -> str:
    """Bybit's ways of saying "none" in a word field are all ""."""
    return "" if text is None or text in _NOTHING else text
