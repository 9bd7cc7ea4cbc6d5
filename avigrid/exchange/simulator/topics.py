"""What a public topic says and when: books with their own `u`, ticker deltas, open candles. Pure state per topic."""

from avigrid.exchange.simulator.messages import Row, text_of
from avigrid.exchange.simulator.venue import BookView, Venue

BOOK_DEPTHS = {1: 10, 50: 20, 200: 100, 1000: 200}
"""Depth -> push interval in ms."""

KLINE_INTERVALS = ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720", "D", "W", "M")
RESEND_S = 3.0
TICKER_FIELDS = (
    "symbol", "tickDirection", "price24hPcnt", "lastPrice", "prevPrice24h", "highPrice24h", "lowPrice24h",
    "prevPrice1h", "markPrice", "indexPrice", "openInterest", "openInterestValue", "turnover24h", "volume24h",
    "fundingIntervalHour", "fundingCap", "singleOpenInterest", "singleOpenInterestValue", "nextFundingTime",
    "fundingRate", "bid1Price", "bid1Size", "ask1Price", "ask1Size", "preOpenPrice", "preQty", "curPreListingPhase",
)  # fmt: skip
_PAIRS = (("bid1Price", "bid1Size"), ("ask1Price", "ask1Size"))


class BookTopic:
    """One depth of one symbol, shared by all its subscribers, so that `u` counts what the feed sent, not who
    listens.
    """

    def __init__(self, topic: str, symbol: str, depth: int, *, first_u: int) -> None:
        self.topic = topic
        self.symbol = symbol
        self.depth = depth
        self.interval_ms = BOOK_DEPTHS[depth]
        self.due_s = 0.0
        self._u = first_u
        self._view: BookView | None = None
        self._bids: dict[str, str] = {}
        self._asks: dict[str, str] = {}
        self._sent_s = 0.0
        self._version = -1
        self.restart = False
        self.skip_frames = 0

    def snapshot(self, venue: Venue, now_ms: int, *, is_alone: bool) -> str:
        """The state that the next delta continues from: a fresh one where nobody else follows the topic."""
        view = self._view
        if view is None or is_alone:
            view = self._look(venue)
            self._u += 1
        return self._frame("snapshot", view, view.bids, view.asks, now_ms)

    def update(self, venue: Venue, now_ms: int, wire_s: float) -> str | None:
        """The next frame, or None where nothing changed. Level 1 sends snapshots only and repeats itself after 3 s."""
        if self.restart:
            self.restart = False
            view = self._look(venue)
            self._u = 1
            self._sent_s = wire_s
            return self._frame("snapshot", view, view.bids, view.asks, now_ms)
        version = venue.book_version(self.symbol)
        if version == self._version:
            if self.depth == 1 and self._view is not None and wire_s - self._sent_s >= RESEND_S:
                self._sent_s = wire_s
                return self._frame("snapshot", self._view, self._view.bids, self._view.asks, now_ms)
            return None
        self._version = version
        view = venue.book(self.symbol, self.depth)
        if self._view is not None and view.bids == self._view.bids and view.asks == self._view.asks:
            return None
        self._view = view
        self._sent_s = wire_s
        self._u += 1
        if self.depth == 1:
            return self._frame("snapshot", view, view.bids, view.asks, now_ms)
        bids, asks = dict(view.bids), dict(view.asks)
        bid_delta = _delta(self._bids, bids, descending=True)
        ask_delta = _delta(self._asks, asks, descending=False)
        self._bids, self._asks = bids, asks
        if self.skip_frames > 0:
            self.skip_frames -= 1
            return None
        return self._frame("delta", view, bid_delta, ask_delta, now_ms)

    def _look(self, venue: Venue) -> BookView:
        view = venue.book(self.symbol, self.depth)
        self._view = view
        self._version = view.version
        self._bids, self._asks = dict(view.bids), dict(view.asks)
        return view

    def _frame(self, kind: str, view: BookView, bids: object, asks: object, now_ms: int) -> str:
        data = {"s": self.symbol, "b": bids, "a": asks, "u": self._u, "seq": view.seq}
        return text_of({"topic": self.topic, "type": kind, "ts": now_ms, "data": data, "cts": view.cts or now_ms})


def _delta(old: dict[str, str], new: dict[str, str], *, descending: bool) -> list[tuple[str, str]]:
    """Changed and new levels with their size, gone levels with "0", in book order."""
    changed = [(price, size) for price, size in new.items() if old.get(price) != size]
    changed.extend((price, "0") for price in old.keys() - new.keys())
    changed.sort(key=_price_of, reverse=descending)
    return changed


def _price_of(level: tuple[str, str]) -> float:
    return float(level[0])


class TickerTopic:
    def __init__(self, topic: str, symbol: str) -> None:
        self.topic = topic
        self.symbol = symbol
        self.due_s = 0.0
        self._last: Row = {}
        self._cs = 0

    def snapshot(self, venue: Venue, now_ms: int, *, is_alone: bool) -> str:
        """What the others have been told so far, or the present where there are no others."""
        if is_alone or not self._last:
            row = venue.ticker(self.symbol)
            self._last = {name: row.get(name, "") for name in TICKER_FIELDS}
        return self._frame("snapshot", self._last, now_ms)

    def update(self, venue: Venue, now_ms: int) -> str | None:
        """Changed fields over the last frame; price and size of a side always come together."""
        row = venue.ticker(self.symbol)
        last = self._last
        delta = {name: row[name] for name in TICKER_FIELDS if row.get(name, "") != last.get(name)}
        if not delta:
            return None
        for price, size in _PAIRS:
            if price in delta or size in delta:
                delta[price], delta[size] = row[price], row[size]
        last.update(delta)
        return self._frame("delta", {"symbol": self.symbol, **delta}, now_ms)

    def _frame(self, kind: str, data: Row, now_ms: int) -> str:
        self._cs += 1
        return text_of({"topic": self.topic, "type": kind, "data": data, "cs": self._cs, "ts": now_ms})


class KlineTopic:
    def __init__(self, topic: str, symbol: str, interval: str) -> None:
        self.topic = topic
        self.symbol = symbol
        self.interval = interval
        self.due_s = 0.0
        self._last: tuple[object, ...] = ()

    def snapshot(self, venue: Venue, now_ms: int) -> str | None:
        item = venue.kline_item(self.symbol, self.interval)
        return None if item is None else self.frame([item], now_ms)

    def update(self, venue: Venue, now_ms: int) -> str | None:
        item = venue.kline_item(self.symbol, self.interval)
        if item is None:
            return None
        mark = (item["start"], item["volume"], item["close"])
        if mark == self._last:
            return None
        self._last = mark
        return self.frame([item], now_ms)

    def frame(self, items: list[Row], now_ms: int) -> str:
        return text_of({"topic": self.topic, "data": items, "ts": now_ms, "type": "snapshot"})
