"""Replay the logged order book."""

import zlib
from collections.abc import Iterator

import orjson

from avigrid.kernel.market import BookUpdate
from marketdata.models import OrderBookLog
from marketdata.selectors.times import to_datetime


def order_book_updates(symbol: str, start_ms: int, end_ms: int) -> Iterator[BookUpdate]:
    """Whole logged stretches that touch [start_ms, end_ms), oldest first; each begins with a snapshot."""
    rows = (
        OrderBookLog.objects.filter(symbol=symbol, end__gte=to_datetime(start_ms), start__lt=to_datetime(end_ms))
        .order_by("start", "first_update_id")
        .values_list("depth", "payload")
    )
    for depth, payload in rows.iterator(chunk_size=50):
        yield from unpack(symbol, depth, bytes(payload))


def unpack(symbol: str, depth: int, payload: bytes) -> Iterator[BookUpdate]:
    for line in zlib.decompress(payload).splitlines():
        is_snapshot, update_id, seq, matched_ms, sent_ms, bids, asks = orjson.loads(line)
        yield BookUpdate(
            symbol,
            depth,
            is_snapshot,
            tuple((price, size) for price, size in bids),
            tuple((price, size) for price, size in asks),
            update_id,
            seq,
            matched_ms,
            sent_ms,
        )
