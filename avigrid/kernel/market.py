"""What the market says: bars, trades, book changes, tickers. float64, because they feed indicators, not money."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kline:
    """One bar, named by its open time; volume in base coin, turnover in quote coin."""

    symbol: str
    interval_min: int
    start_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    turnover: float
    confirmed: bool

    @property
    def end_ms(self) -> int:
        """The first millisecond after the bar: the moment it closes."""
        return self.start_ms + self.interval_min * 60_000


@dataclass(frozen=True, slots=True)
class PublicTrade:
    """One trade on the tape; `taker_is_buyer` names the aggressor."""

    symbol: str
    trade_id: str
    time_ms: int
    price: float
    quantity: float
    taker_is_buyer: bool
    seq: int = 0


@dataclass(frozen=True, slots=True)
class BookUpdate:
    """A snapshot (replace everything) or delta (size 0 deletes); levels are (price, size)."""

    symbol: str
    depth: int
    is_snapshot: bool
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    update_id: int
    seq: int
    matched_ms: int
    sent_ms: int


@dataclass(frozen=True, slots=True)
class Ticker:
    """The merged state of a symbol's ticker topic; NaN where the venue gave nothing yet."""

    symbol: str
    last_price: float
    mark_price: float
    index_price: float
    bid: float
    ask: float
    funding_rate: float
    next_funding_ms: int
    time_ms: int


BOOK_LEVELS = 10
"""Levels a side in a recorded imbalance. What was recorded with one number cannot be decided on with another."""


@dataclass(frozen=True, slots=True)
class BookFeatures:
    """Order-book features at one moment (AVI-5 section 1). Imbalance in [-1, 1] over the best `BOOK_LEVELS` levels of
    each side; depth in USD within 10 bps of mid."""

    symbol: str
    time_ms: int
    mid: float
    imbalance: float
    microprice: float
    spread_bps: float
    depth_usd: float
