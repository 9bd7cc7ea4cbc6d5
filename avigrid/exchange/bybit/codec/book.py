"""Order-book frames (topic orderbook.{depth}.{symbol}). The hottest decoder: numbers become floats in C."""

from typing import Annotated

import msgspec
from msgspec import Meta

from avigrid.exchange.bybit.codec.fields import MalformedMessage
from avigrid.kernel.market import BookUpdate

# The bounds keep NaN and infinity out, which text may spell, and cost nothing: they are checked in C.
Price = Annotated[float, Meta(gt=0, lt=1e18)]
Size = Annotated[float, Meta(ge=0, lt=1e18)]
Levels = tuple[tuple[Price, Size], ...]


class BookData(msgspec.Struct, gc=False):
    s: str
    b: Levels
    a: Levels
    u: int
    seq: int = 0


class BookFrame(msgspec.Struct, gc=False):
    topic: str
    type: str
    ts: int
    data: BookData
    cts: int = 0


_decoder = msgspec.json.Decoder(BookFrame, strict=False)
_depths: dict[str, int] = {}


def book_update(raw: bytes) -> BookUpdate:
    try:
        frame = _decoder.decode(raw)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise MalformedMessage(f"orderbook frame: {error}", reason="orderbook") from error
    data = frame.data
    topic = frame.topic
    depth = _depths.get(topic)
    if depth is None:
        depth = _depth_of(topic)
    return BookUpdate(
        data.s, depth, frame.type == "snapshot", data.b, data.a, data.u, data.seq, frame.cts or frame.ts, frame.ts
    )


def _depth_of(topic: str) -> int:
    try:
        depth = int(topic.split(".")[1])
    except (IndexError, ValueError) as error:
        raise MalformedMessage(f"not an orderbook topic: {topic!r}", reason="topic") from error
    _depths[topic] = depth
    return depth
