"""Write stretches of the order-book stream (research mode)."""

import zlib
from collections.abc import Sequence

import orjson

from avigrid.kernel.market import BookUpdate
from marketdata.models import OrderBookLog
from marketdata.selectors.times import to_datetime


def order_book_log_store(updates: Sequence[BookUpdate]) -> bool:
    """One stretch of one symbol, in stream order, beginning with a snapshot. False where it was stored before."""
    first, last = updates[0], updates[-1]
    if not first.is_snapshot:
        raise ValueError("a stretch of the order-book log begins with a snapshot")
    _, created = OrderBookLog.objects.get_or_create(
        symbol=first.symbol,
        start=to_datetime(first.matched_ms),
        first_update_id=first.update_id,
        defaults={
            "depth": first.depth,
            "end": to_datetime(last.matched_ms),
            "last_update_id": last.update_id,
            "messages": len(updates),
            "payload": pack(updates),
        },
    )
    return created


def pack(updates: Sequence[BookUpdate]) -> bytes:
    lines = (
        orjson.dumps([u.is_snapshot, u.update_id, u.seq, u.matched_ms, u.sent_ms, u.bids, u.asks]) for u in updates
    )
    return zlib.compress(b"\n".join(lines), 6)
