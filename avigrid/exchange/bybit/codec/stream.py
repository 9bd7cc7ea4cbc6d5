"""Which frame is what: raw bytes of a public or a private stream to kernel events, or to a Control."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from avigrid.exchange.bybit.codec.book import book_update
from avigrid.exchange.bybit.codec.control import Control, control
from avigrid.exchange.bybit.codec.execution import ExecutionRow, execution
from avigrid.exchange.bybit.codec.fields import MalformedMessage
from avigrid.exchange.bybit.codec.kline import klines_of_frame
from avigrid.exchange.bybit.codec.order import OrderRow, venue_order
from avigrid.exchange.bybit.codec.position import PositionRow, venue_position
from avigrid.exchange.bybit.codec.ticker import TickerMerger
from avigrid.exchange.bybit.codec.trade import trades_of_frame
from avigrid.exchange.bybit.codec.wallet import WalletRow, wallet
from avigrid.kernel.market import BookUpdate, Kline, PublicTrade, Ticker
from avigrid.kernel.orders import Execution, VenueOrder
from avigrid.kernel.portfolio import VenuePosition, Wallet

PublicEvent = BookUpdate | Kline | PublicTrade | Ticker
PrivateEvent = VenueOrder | Execution | VenuePosition | Wallet


class _Head(msgspec.Struct):
    topic: str | None = None
    op: str | None = None


class _OrderFrame(msgspec.Struct):
    data: list[OrderRow]


class _ExecutionFrame(msgspec.Struct):
    data: list[ExecutionRow]


class _PositionFrame(msgspec.Struct):
    data: list[PositionRow]


class _WalletFrame(msgspec.Struct):
    data: list[WalletRow]


_head = msgspec.json.Decoder(_Head)
_orders = msgspec.json.Decoder(_OrderFrame)
_executions = msgspec.json.Decoder(_ExecutionFrame)
_positions = msgspec.json.Decoder(_PositionFrame)
_wallets = msgspec.json.Decoder(_WalletFrame)
_BOOK_PREFIX = b'{"topic":"orderbook.'


class PublicDecoder:
    """One per connection (tickers have state). Broken and unknown frames are counted by kind in `faults`."""

    def __init__(self) -> None:
        self.tickers = TickerMerger()
        self.faults: Counter[str] = Counter()

    def decode(self, raw: bytes) -> tuple[str, Sequence[PublicEvent]] | Control:
        """(topic, events). Raises MalformedMessage, after counting it."""
        try:
            return self._decode(raw)
        except MalformedMessage as error:
            self.faults[str(error.details.get("reason", "unknown"))] += 1
            raise

    def _decode(self, raw: bytes) -> tuple[str, Sequence[PublicEvent]] | Control:
        if raw.startswith(_BOOK_PREFIX):  # most of the traffic: skip looking for the topic
            update = book_update(raw)
            return f"orderbook.{update.depth}.{update.symbol}", (update,)
        head = _read_head(raw)
        topic = head.topic
        if topic is None:
            return control(raw)
        kind = topic.partition(".")[0]
        if kind == "orderbook":
            return topic, (book_update(raw),)
        if kind == "kline":
            return topic, klines_of_frame(raw)
        if kind == "publicTrade":
            return topic, trades_of_frame(raw)
        if kind == "tickers":
            ticker = self.tickers.merge(raw)
            return topic, () if ticker is None else (ticker,)
        self.faults["unknown_topic"] += 1
        return topic, ()


class PrivateDecoder:
    """Frames of the account: linear rows only, other categories are not ours to read."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()

    def decode(self, raw: bytes) -> tuple[str, Sequence[PrivateEvent]] | Control:
        """(topic, events). Raises MalformedMessage, after counting it."""
        try:
            return self._decode(raw)
        except MalformedMessage as error:
            self.faults[str(error.details.get("reason", "unknown"))] += 1
            raise
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            self.faults["private_frame"] += 1
            raise MalformedMessage(f"private frame: {error}", reason="private_frame") from error

    def _decode(self, raw: bytes) -> tuple[str, Sequence[PrivateEvent]] | Control:
        head = _read_head(raw)
        topic = head.topic
        if topic is None:
            return control(raw)
        kind = topic.removesuffix(".linear")
        if kind == "order":
            return topic, [venue_order(row) for row in _orders.decode(raw).data if _is_linear(row.category)]
        if kind == "execution":
            return topic, [execution(row) for row in _executions.decode(raw).data if _is_linear(row.category)]
        if kind == "position":
            return topic, [venue_position(row) for row in _positions.decode(raw).data if _is_linear(row.category)]
        if kind == "wallet":
            told = [wallet(row) for row in _wallets.decode(raw).data]
            return topic, [one for one in told if one is not None]
        self.faults["unknown_topic"] += 1
        return topic, ()


def _read_head(raw: bytes) -> _Head:
    try:
        return _head.decode(raw)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise MalformedMessage(f"not a frame: {error}", reason="frame") from error


def _is_linear(category: str | None) -> bool:
    return category in (None, "", "linear")
