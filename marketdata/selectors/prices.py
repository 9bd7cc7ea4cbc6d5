"""The newest prices the market-data process published."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from django.core.cache import cache


@dataclass(frozen=True, slots=True)
class Quote:
    """Prices in quote coin; `time_ms` is exchange time, `age_s` this machine's since it was published."""

    symbol: str
    mark: float
    last: float
    bid: float
    ask: float
    funding_rate: float
    next_funding_ms: int
    time_ms: int
    age_s: float


def quotes(symbols: Iterable[str]) -> dict[str, Quote]:
    """Those that are known; empty where Redis is away."""
    names = {f"price:{symbol}": symbol for symbol in symbols}
    if not names:
        return {}
    try:
        found = cache.get_many(names)
    except Exception:
        return {}
    now_s = time.time()  # noqa: TID251
    return {
        names[key]: Quote(
            symbol=names[key],
            mark=row["mark"],
            last=row["last"],
            bid=row["bid"],
            ask=row["ask"],
            funding_rate=row["funding_rate"],
            next_funding_ms=row["next_funding_ms"],
            time_ms=row["time_ms"],
            age_s=now_s - row["written_s"],
        )
        for key, row in found.items()
    }
