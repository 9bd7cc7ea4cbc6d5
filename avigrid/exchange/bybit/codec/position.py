"""Positions: REST calls the average `avgPrice`, the `position` topic `entryPrice`; "0" and "" both mean none."""

from collections.abc import Mapping

import msgspec

from avigrid.exchange.bybit.codec.fields import (
    Number,
    decimal_or_zero,
    positive_or_none,
    result_of,
    rows,
    side,
    whole,
)
from avigrid.kernel.portfolio import VenuePosition


class PositionRow(msgspec.Struct, rename="camel"):
    symbol: str
    size: Number
    side: str | None = None
    position_idx: int = 0
    avg_price: Number = None
    entry_price: Number = None
    mark_price: Number = None
    liq_price: Number = None
    stop_loss: Number = None
    take_profit: Number = None
    unrealised_pnl: Number = None
    cur_realised_pnl: Number = None
    leverage: Number = None
    created_time: Number = None
    updated_time: Number = None
    category: str | None = None


def positions_of_reply(reply: Mapping[str, object]) -> list[VenuePosition]:
    return [venue_position(row) for row in rows(result_of(reply).get("list"), PositionRow)]


def venue_position(row: PositionRow) -> VenuePosition:
    size = decimal_or_zero(row.size)
    return VenuePosition(
        symbol=row.symbol,
        position_idx=row.position_idx,
        side=side(row.side or "") if size else None,
        size=size,
        avg_price=positive_or_none(row.entry_price) or positive_or_none(row.avg_price),
        mark_price=positive_or_none(row.mark_price),
        liq_price=positive_or_none(row.liq_price),
        stop_loss=positive_or_none(row.stop_loss),
        take_profit=positive_or_none(row.take_profit),
        unrealised_pnl_usd=decimal_or_zero(row.unrealised_pnl),
        realised_pnl_usd=decimal_or_zero(row.cur_realised_pnl),
        leverage=positive_or_none(row.leverage),
        created_ms=whole(row.created_time),
        updated_ms=whole(row.updated_time),
    )
