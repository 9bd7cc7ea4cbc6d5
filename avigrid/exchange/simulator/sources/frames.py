"""Bybit's own public frames as source events; used by recordings and by the live feed."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

from avigrid.exchange.simulator.feed import BookTarget, Level, MarkTick, SourceEvent, TapeTrade
from avigrid.exchange.simulator.messages import Row
from avigrid.exchange.simulator.specs import InstrumentSpec
from avigrid.kernel.orders import Side

_DEFAULT_RATE = Decimal("0.0001")


class FrameDecoder:
    """Keeps each symbol's book and ticker; a frame in, the events it means out. Raises ValueError on a broken frame."""

    def __init__(self, specs: dict[str, InstrumentSpec], *, levels: int = 200) -> None:
        self._specs = specs
        self._levels = levels
        self._books: dict[str, tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]]] = {}
        self._tickers: dict[str, Row] = {}
        self._last: dict[str, Decimal] = {}

    def events(self, frame: Row) -> Iterator[SourceEvent]:
        topic = frame.get("topic")
        if not isinstance(topic, str):
            return
        kind, _, rest = topic.partition(".")
        symbol = rest.rsplit(".", 1)[-1]
        if symbol not in self._specs:
            return
        try:
            if kind == "orderbook":
                yield from self._book(symbol, frame)
            elif kind == "publicTrade":
                yield from self._trades(symbol, frame)
            elif kind == "tickers":
                yield from self._ticker(symbol, frame)
        except (KeyError, TypeError, InvalidOperation) as error:
            raise ValueError(f"a {topic} frame is broken: {type(error).__name__} {error}") from error

    def _book(self, symbol: str, frame: Row) -> Iterator[SourceEvent]:
        data = frame["data"]
        bids, asks = self._books.setdefault(symbol, ({}, {}))
        if frame["type"] == "snapshot":
            bids.clear()
            asks.clear()
        _merge(bids, data["b"])
        _merge(asks, data["a"])
        if not bids or not asks:
            return
        best_bids = tuple(sorted(bids.items(), reverse=True)[: self._levels])
        best_asks = tuple(sorted(asks.items())[: self._levels])
        time_ms = int(frame.get("cts") or frame["ts"])
        yield BookTarget(symbol, time_ms, best_bids, best_asks)
        if symbol not in self._last or symbol not in self._tickers:
            yield from self._without_tape(symbol, time_ms, best_bids[0], best_asks[0])

    def _without_tape(self, symbol: str, time_ms: int, bid: Level, ask: Level) -> Iterator[SourceEvent]:
        """A recording of the book alone: the smallest trade whenever the touch passes the last price, mark at the
        mid.
        """
        spec = self._specs[symbol]
        last = self._last.get(symbol)
        if last is None or not bid[0] <= last <= ask[0]:
            price, side = (ask[0], Side.BUY) if last is None or last < bid[0] else (bid[0], Side.SELL)
            self._last[symbol] = price
            yield TapeTrade(symbol, time_ms, price, spec.qty_step, side)
        if symbol not in self._tickers:
            mid = ((bid[0] + ask[0]) / 2).quantize(Decimal(1).scaleb(-spec.price_scale))
            yield MarkTick(symbol, time_ms, mid, mid, _DEFAULT_RATE)

    def _trades(self, symbol: str, frame: Row) -> Iterator[SourceEvent]:
        for item in frame["data"]:
            price = Decimal(item["p"])
            self._last[symbol] = price
            yield TapeTrade(symbol, int(item["T"]), price, Decimal(item["v"]), Side(item["S"]))

    def _ticker(self, symbol: str, frame: Row) -> Iterator[SourceEvent]:
        row = self._tickers.setdefault(symbol, {})
        row.update(frame["data"])
        if "markPrice" in row and "indexPrice" in row:
            rate = Decimal(row["fundingRate"]) if row.get("fundingRate") else _DEFAULT_RATE
            yield MarkTick(symbol, int(frame["ts"]), Decimal(row["markPrice"]), Decimal(row["indexPrice"]), rate)


def _merge(side: dict[Decimal, Decimal], levels: list[list[str]]) -> None:
    for price_text, size_text in levels:
        price, size = Decimal(price_text), Decimal(size_text)
        if size == 0:
            side.pop(price, None)
        else:
            side[price] = size
