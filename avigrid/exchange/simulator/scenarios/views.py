"""What a check may ask about: dotted names -> values, read through the same calls a client has, plus the truth of
/sim/state.
"""

from decimal import Decimal
from typing import Any

from avigrid.exchange.simulator.inprocess import LocalExchange, LocalSocket
from avigrid.exchange.simulator.messages import Row


class UnknownView(LookupError):
    """The name means nothing; the message says which names there are."""


_VIEWS = "position, orders, order, executions, wallet, price, faults, wire, socket, saved, clock, holds"


class Views:
    """`saved` are values that steps kept by name; `sockets` the connections that steps opened."""

    def __init__(self, exchange: LocalExchange, *, start_ms: int) -> None:
        self._exchange = exchange
        self._start_ms = start_ms
        self.saved: dict[str, object] = {}
        self.sockets: dict[str, LocalSocket] = {}

    def value(self, name: str) -> object:
        head, *rest = name.split(".")
        reader = getattr(self, f"_{head}", None)
        if head not in _VIEWS.split(", ") or reader is None:
            raise UnknownView(f"{head!r} is no view; there are {_VIEWS}")
        answer: object = reader(rest)
        return answer

    @property
    def _truth(self) -> Row:
        return dict(self._exchange.exchange.venue.state())

    def _position(self, rest: list[str]) -> object:
        """position.SYMBOL[.1|.2].FIELD, as position/list shows it."""
        symbol = rest[0]
        index = int(rest[1]) if len(rest) > 1 and rest[1].isdigit() else None
        tail = rest[2:] if index is not None else rest[1:]
        rows = self._exchange.exchange.venue.position_list({"category": "linear", "symbol": symbol})["list"]
        row = next((row for row in rows if index is None or row["positionIdx"] == index), None)
        return dig(row, tail)

    def _orders(self, rest: list[str]) -> object:
        """orders.open[.SYMBOL] and orders.closed[.SYMBOL]: how many."""
        rows = self._truth["orders"][rest[0]]
        return len([row for row in rows if len(rest) < 2 or row["symbol"] == rest[1]])

    def _order(self, rest: list[str]) -> object:
        """order.LINK_ID.FIELD: the newest order of that link id."""
        truth = self._truth["orders"]
        rows = [row for row in (*truth["open"], *truth["closed"]) if row["orderLinkId"] == rest[0]]
        return dig(rows[-1] if rows else None, rest[1:])

    def _executions(self, rest: list[str]) -> object:
        """executions.count, or executions.LINK_ID.count | qty | fee."""
        rows = self._truth["executions"]
        if len(rest) > 1:
            rows = [row for row in rows if row["orderLinkId"] == rest[0]]
        if rest[-1] == "count":
            return len(rows)
        fields = {"qty": "execQty", "fee": "execFee"}
        return sum((Decimal(row[fields[rest[-1]]]) for row in rows), Decimal(0))

    def _wallet(self, rest: list[str]) -> object:
        """wallet.FIELD of the account row."""
        return dig(self._truth["wallet"], rest)

    def _price(self, rest: list[str]) -> object:
        """price.SYMBOL.FIELD of the ticker."""
        return dig(self._exchange.exchange.venue.ticker(rest[0]), rest[1:])

    def _faults(self, rest: list[str]) -> object:
        """faults.NAME: how often it struck."""
        return self._exchange.exchange.house.faults.struck.get(rest[0], 0)

    def _wire(self, rest: list[str]) -> object:
        """wire.COUNTER of /sim/state."""
        return self._exchange.exchange.house.counters.get(".".join(rest), 0)

    def _socket(self, rest: list[str]) -> object:
        """socket.NAME.closed, socket.NAME.frames.TOPIC, socket.NAME.rows.TOPIC or socket.NAME.last.TOPIC.FIELD.

        Dots inside a topic are written as slashes: orderbook/50/BTCUSDT.
        """
        socket = self.sockets.get(rest[0])
        if socket is None:
            raise UnknownView(f"no step connected a socket called {rest[0]!r}")
        if rest[1] == "closed":
            return socket.closed
        topic = rest[2].replace("/", ".")
        if rest[1] == "frames":
            return len(socket.of_topic(topic))
        if rest[1] == "rows":
            return len(socket.rows(topic))
        rows = socket.rows(topic)
        return dig(rows[-1] if rows else None, rest[3:])

    def _saved(self, rest: list[str]) -> object:
        return dig(self.saved.get(rest[0]), rest[1:])

    def _clock(self, rest: list[str]) -> object:
        """clock.elapsed_s."""
        return Decimal(self._exchange.now_ms - self._start_ms) / 1_000

    def _holds(self, rest: list[str]) -> object:
        """holds.positions_match_fills, holds.no_crossed_book: true or false."""
        if rest[0] == "no_crossed_book":
            return all(self._is_uncrossed(symbol) for symbol in self._exchange.exchange.symbols)
        if rest[0] == "positions_match_fills":
            return all(self._matches_fills(symbol) for symbol in self._exchange.exchange.symbols)
        raise UnknownView(f"holds.{rest[0]} is unknown; there are positions_match_fills, no_crossed_book")

    def _is_uncrossed(self, symbol: str) -> bool:
        view = self._exchange.exchange.venue.book(symbol, 1)
        return not view.bids or not view.asks or Decimal(view.bids[0][0]) < Decimal(view.asks[0][0])

    def _matches_fills(self, symbol: str) -> bool:
        """Sum of all trades that moved size, signed, equals what the position rows say."""
        filled = sum(
            (Decimal(row["execQty"]) * (1 if row["side"] == "Buy" else -1))
            for row in self._truth["executions"]
            if row["symbol"] == symbol and row["execType"] != "Funding"
        )
        rows = self._exchange.exchange.venue.position_list({"category": "linear", "symbol": symbol})["list"]
        held = sum(Decimal(row["size"]) * (-1 if row["side"] == "Sell" else 1) for row in rows)
        return filled == held


def dig(value: Any, path: list[str]) -> object:
    """None where the way ends early."""
    for name in path:
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.lstrip("-").isdigit():
            index = int(name)
            value = value[index] if -len(value) <= index < len(value) else None
        else:
            return None
    return value
