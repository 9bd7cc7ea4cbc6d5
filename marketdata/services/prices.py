"""The newest prices, for screens and for plans that watch the market. They live in Redis only: losing them loses
nothing but a moment, and the order path asks the venue itself where they are missing or old."""

import time
from collections.abc import Iterable

from django.core.cache import cache

from avigrid.kernel.market import Ticker

KEEP_S = 30


def prices_publish(tickers: Iterable[Ticker]) -> None:
    """Write what the ticker stream last said; readers see nothing older than KEEP_S."""
    now_s = time.time()  # noqa: TID251
    cache.set_many(
        {
            f"price:{t.symbol}": {
                "mark": t.mark_price,
                "last": t.last_price,
                "bid": t.bid,
                "ask": t.ask,
                "funding_rate": t.funding_rate,
                "next_funding_ms": t.next_funding_ms,
                "time_ms": t.time_ms,
                "written_s": now_s,
            }
            for t in tickers
        },
        KEEP_S,
    )
