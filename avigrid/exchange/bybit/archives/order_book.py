"""Bybit's downloadable order-book files: one JSON message a line, in the shape of the stream's frames."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from avigrid.exchange.bybit.archives.errors import BadArchive
from avigrid.exchange.bybit.archives.opening import open_archive
from avigrid.kernel.market import BookUpdate


class _Data(msgspec.Struct):
    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int
    seq: int = 0


class _Line(msgspec.Struct):
    topic: str
    type: str
    ts: int
    data: _Data
    cts: int = 0


def iter_book_updates(path: Path) -> Iterator[BookUpdate]:
    """Messages in file order, read as they are consumed; BadArchive names the line that does not read."""
    decoder = msgspec.json.Decoder(_Line)
    with open_archive(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                message = decoder.decode(line)
                yield BookUpdate(
                    symbol=message.data.s,
                    depth=int(message.topic.split(".")[1]),
                    is_snapshot=message.type == "snapshot",
                    bids=tuple((float(price), float(size)) for price, size in message.data.b),
                    asks=tuple((float(price), float(size)) for price, size in message.data.a),
                    update_id=message.data.u,
                    seq=message.data.seq,
                    matched_ms=message.cts or message.ts,
                    sent_ms=message.ts,
                )
            except (msgspec.DecodeError, ValueError, IndexError) as error:
                raise BadArchive(
                    f"{path.name} line {number}: not an order-book message: {error}", path=str(path), line=number
                ) from error
