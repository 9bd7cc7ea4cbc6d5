"""Public trades: stream frames (many trades of one sweep) and REST rows."""

from collections.abc import Mapping

import msgspec

from avigrid.exchange.bybit.codec.fields import MalformedMessage, Number, real, result_of, rows, side, whole
from avigrid.kernel.market import PublicTrade
from avigrid.kernel.orders import Side


class TradeItem(
    msgspec.Struct, rename={"time_ms": "T", "symbol": "s", "side": "S", "size": "v", "price": "p", "id": "i"}
):
    time_ms: int
    symbol: str
    side: str
    size: str
    price: str
    id: str
    seq: int = 0


class TradeFrame(msgspec.Struct):
    topic: str
    data: list[TradeItem]


class TradeRow(msgspec.Struct, rename="camel"):
    exec_id: str
    symbol: str
    price: Number
    size: Number
    side: str
    time: Number
    seq: Number = None


_decoder = msgspec.json.Decoder(TradeFrame)


def trades_of_frame(raw: bytes) -> list[PublicTrade]:
    """In the order of the tape, oldest first."""
    try:
        frame = _decoder.decode(raw)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise MalformedMessage(f"publicTrade frame: {error}", reason="publicTrade") from error
    return [
        PublicTrade(
            symbol=item.symbol,
            trade_id=item.id,
            time_ms=item.time_ms,
            price=real(item.price),
            quantity=real(item.size),
            taker_is_buyer=side(item.side) is Side.BUY,
            seq=item.seq,
        )
        for item in frame.data
    ]


def trades_of_reply(reply: Mapping[str, object]) -> list[PublicTrade]:
    """Oldest first; the venue lists them newest first."""
    trades = [
        PublicTrade(
            symbol=row.symbol,
            trade_id=row.exec_id,
            time_ms=whole(row.time),
            price=real(row.price),
            quantity=real(row.size),
            taker_is_buyer=side(row.side) is Side.BUY,
            seq=whole(row.seq),
        )
        for row in reversed(rows(result_of(reply).get("list"), TradeRow))
    ]
    trades.sort(key=lambda trade: trade.time_ms)
    return trades
