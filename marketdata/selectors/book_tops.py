"""The newest view of a book that the market-data process published."""

import time
from dataclasses import dataclass

from django.core.cache import cache

KEY = "book:{}"

type Level = tuple[float, float]
"""Price, size in base coin."""


@dataclass(frozen=True, slots=True)
class FormingBar:
    """The 5m bar that has not closed yet."""

    start_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def start_s(self) -> int:
        return self.start_ms // 1000


@dataclass(frozen=True, slots=True)
class BookTop:
    """Levels best first. `age_s` is this machine's time since it was published."""

    symbol: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    mid: float
    microprice: float
    imbalance: float
    spread_bps: float
    depth_usd: float
    forming: FormingBar | None
    age_s: float = 0.0


def newest_book_top(symbol: str) -> BookTop | None:
    """None where no process publishes one, or Redis is away."""
    try:
        row = cache.get(KEY.format(symbol))
    except Exception:
        return None
    if row is None:
        return None
    forming = row["forming"]
    return BookTop(
        symbol=symbol,
        bids=tuple(tuple(level) for level in row["bids"]),
        asks=tuple(tuple(level) for level in row["asks"]),
        mid=row["mid"],
        microprice=row["microprice"],
        imbalance=row["imbalance"],
        spread_bps=row["spread_bps"],
        depth_usd=row["depth_usd"],
        forming=None if forming is None else FormingBar(**forming),
        age_s=time.time() - row["written_s"],  # noqa: TID251
    )
