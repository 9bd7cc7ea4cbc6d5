"""Batch replies: a list of items and, beside it in `retExtInfo`, one code for each."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from avigrid.exchange.bybit.codec.fields import MalformedMessage, read, result_of, rows
from avigrid.exchange.bybit.codec.order import AckRow


class CodeRow(msgspec.Struct):
    code: int
    msg: str = ""


class CodeList(msgspec.Struct):
    list: list[CodeRow]


@dataclass(frozen=True, slots=True)
class BatchItem:
    """`code` 0 means accepted; otherwise order_id is ""."""

    order_id: str
    order_link_id: str
    code: int
    message: str


def batch_items(reply: Mapping[str, object], *, expected: int) -> list[BatchItem]:
    """In the order of the request."""
    acks = rows(result_of(reply).get("list"), AckRow)
    codes = read(reply.get("retExtInfo"), CodeList).list
    if len(acks) != expected or len(codes) != expected:
        raise MalformedMessage(
            f"a batch reply of {len(acks)} items and {len(codes)} codes for {expected} orders", reason="batch"
        )
    return [
        BatchItem(order_id=ack.order_id, order_link_id=ack.order_link_id, code=code.code, message=code.msg)
        for ack, code in zip(acks, codes, strict=True)
    ]
