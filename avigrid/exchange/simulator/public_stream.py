"""`/v5/public/linear`: subscriptions, first frames, cadence and the faults of the public feed. No I/O."""

from collections.abc import Iterable

from avigrid.exchange.simulator.house import House
from avigrid.exchange.simulator.messages import Row, parse_object, text_of
from avigrid.exchange.simulator.sessions import MAX_ARGS_CHARS, Session
from avigrid.exchange.simulator.topics import BOOK_DEPTHS, KLINE_INTERVALS, BookTopic, KlineTopic, TickerTopic

FIRST_FRAME_S = 0.025
ACK_AFTER_FRAME_S = 0.015
"""A snapshot leaves 25 ms after the request and the acknowledgement 15 ms later: snapshot first, as the real feed
does.
"""

FAST_FLOOR_S = 0.1
TRADES_PER_FRAME = 1_024
_LIQUIDATION_S = 0.5
_PRICE_LIMIT_S = 0.3
_TICKER_S = 0.1
_KLINE_S = 1.0


class PublicStream:
    def __init__(self, house: House, *, symbols: Iterable[str], seed: int) -> None:
        self._house = house
        self._symbols = frozenset(symbols)
        self._listeners: dict[str, list[Session]] = {}
        self._books: dict[str, BookTopic] = {}
        self._tickers: dict[str, TickerTopic] = {}
        self._klines: dict[str, KlineTopic] = {}
        self._limits: dict[str, float] = {}
        self._due: list[tuple[float, Session, list[str], Row]] = []
        self._liquidations: list[Row] = []
        self._liquidations_due_s = 0.0
        self._first_u = 10_000_000 + seed % 1_000_000

    # -- what a client sends ----------------------------------------------------------------------------------

    def receive(self, session: Session, text: str) -> None:
        message = parse_object(text)
        if message is None:
            session.send(_failure(session, "", "", "Params Error: message is not a JSON object"))
            return
        req_id = message.get("req_id", "")
        operation = message.get("op")
        if operation == "ping":
            session.send(
                {"success": True, "ret_msg": "pong", "conn_id": session.conn_id, "req_id": _id(req_id), "op": "ping"}
            )
        elif operation in ("subscribe", "unsubscribe"):
            args = message.get("args")
            if not isinstance(args, list) or not args or not all(isinstance(arg, str) for arg in args):
                session.send(_failure(session, req_id, str(operation), "Params Error: args must be a list of topics"))
            elif operation == "subscribe":
                self._subscribe(session, args, req_id)
            else:
                self._unsubscribe(session, args, req_id)
        else:
            session.send(_failure(session, req_id, str(operation)[:40], f"error:unknown op:{str(operation)[:40]}"))

    def _subscribe(self, session: Session, args: list[str], req_id: object) -> None:
        chars = sum(map(len, args))
        if session.args_chars + chars > MAX_ARGS_CHARS:
            reason = f"error:args too long:{session.args_chars + chars}, limit {MAX_ARGS_CHARS}"
            session.send(_failure(session, req_id, "subscribe", reason), FIRST_FRAME_S)
            return
        for topic in args:
            if topic in session.topics:
                reason = f"error:already subscribed,topic:{topic}"
                session.send(_failure(session, req_id, "subscribe", reason), FIRST_FRAME_S)
                return
            if not self._is_known(topic):
                reason = f"error:handler not found,topic:{topic[:80]}"
                session.send(_failure(session, req_id, "subscribe", reason), FIRST_FRAME_S)
                return
        session.topics.update(args)
        session.args_chars += chars
        ack = {"success": True, "ret_msg": "", "conn_id": session.conn_id, "req_id": _id(req_id), "op": "subscribe"}
        self._due.append((self._house.wire_s() + FIRST_FRAME_S, session, list(dict.fromkeys(args)), ack))

    def _unsubscribe(self, session: Session, args: list[str], req_id: object) -> None:
        for topic in args:
            if topic in session.topics:
                session.topics.discard(topic)
                session.args_chars -= len(topic)
                self._detach(session, topic)
        ack = {"success": True, "ret_msg": "", "conn_id": session.conn_id, "req_id": _id(req_id), "op": "unsubscribe"}
        session.send(ack, FIRST_FRAME_S)

    def leave(self, session: Session) -> None:
        for topic in session.topics:
            self._detach(session, topic)
        session.topics.clear()

    def _detach(self, session: Session, topic: str) -> None:
        listeners = self._listeners.get(topic)
        if listeners and session in listeners:
            listeners.remove(session)
            if not listeners:
                del self._listeners[topic]

    def _is_known(self, topic: str) -> bool:
        parts = topic.split(".")
        if parts[-1] not in self._symbols:
            return False
        if len(parts) == 2:
            return parts[0] in ("publicTrade", "tickers", "allLiquidation", "priceLimit")
        if len(parts) == 3 and parts[0] == "orderbook":
            return parts[1].isdigit() and int(parts[1]) in BOOK_DEPTHS and parts[1] == str(int(parts[1]))
        return len(parts) == 3 and parts[0] == "kline" and parts[1] in KLINE_INTERVALS

    # -- what the feed sends ----------------------------------------------------------------------------------

    def activate(self) -> None:
        """First frames and acknowledgements of subscriptions whose delay is over."""
        if not self._due:
            return
        wire_s = self._house.wire_s()
        ready = [entry for entry in self._due if entry[0] <= wire_s]
        self._due = [entry for entry in self._due if entry[0] > wire_s]
        for _, session, topics, ack in ready:
            for topic in topics:
                if topic not in session.topics:
                    continue
                first = self._first_frame(topic)
                if first is not None:
                    session.send_text(first)
                self._listeners.setdefault(topic, []).append(session)
            session.send(ack, ACK_AFTER_FRAME_S)

    def _first_frame(self, topic: str) -> str | None:
        house, venue = self._house, self._house.venue
        now_ms = house.reported_ms()
        kind, _, rest = topic.partition(".")
        if kind == "orderbook":
            depth, _, symbol = rest.partition(".")
            book = self._books.get(topic)
            if book is None:
                book = self._books[topic] = BookTopic(topic, symbol, int(depth), first_u=self._first_u)
            return book.snapshot(venue, now_ms, is_alone=topic not in self._listeners)
        if kind == "tickers":
            ticker = self._tickers.get(topic)
            if ticker is None:
                ticker = self._tickers[topic] = TickerTopic(topic, rest)
            return ticker.snapshot(venue, now_ms, is_alone=topic not in self._listeners)
        if kind == "kline":
            interval, _, symbol = rest.partition(".")
            if topic not in self._klines:
                self._klines[topic] = KlineTopic(topic, symbol, interval)
            return self._klines[topic].snapshot(venue, now_ms)
        if kind == "priceLimit":
            self._limits.setdefault(topic, 0.0)
        return None

    def round(self) -> None:
        """One look at the venue: everything new goes out, as far as its topic's cadence allows."""
        venue = self._house.venue
        trades = venue.drain_trades()
        rollovers = venue.drain_rollovers()
        self._liquidations.extend(venue.drain_liquidations())
        self.activate()
        if not self._listeners:
            self._liquidations.clear()
            return
        now_ms = self._house.reported_ms()
        wire_s = self._house.wire_s()
        if trades:
            self._send_trades(trades, now_ms)
        for rollover in rollovers:
            topic = f"kline.{rollover.interval}.{rollover.symbol}"
            if topic in self._listeners and topic in self._klines:
                self._send(topic, rollover.symbol, self._klines[topic].frame(list(rollover.items), now_ms))
        if self._liquidations and wire_s >= self._liquidations_due_s:
            self._liquidations_due_s = wire_s + _LIQUIDATION_S
            self._send_liquidations(now_ms)
        self._send_books(now_ms, wire_s)
        self._send_tickers_and_bars(now_ms, wire_s)

    def _pace(self, seconds: float) -> float:
        """Feed intervals are exchange time; a fast clock is held to what a client can read."""
        speed = self._house.clock.speed
        return seconds if speed <= 1 else max(seconds / speed, FAST_FLOOR_S)

    def _send_trades(self, trades: list[Row], now_ms: int) -> None:
        by_symbol: dict[str, list[Row]] = {}
        for item in trades:
            by_symbol.setdefault(item["s"], []).append(item)
        for symbol, items in by_symbol.items():
            topic = f"publicTrade.{symbol}"
            if topic in self._listeners:
                for start in range(0, len(items), TRADES_PER_FRAME):
                    part = items[start : start + TRADES_PER_FRAME]
                    frame = text_of({"topic": topic, "type": "snapshot", "ts": now_ms, "data": part})
                    self._send(topic, symbol, frame)

    def _send_liquidations(self, now_ms: int) -> None:
        by_symbol: dict[str, list[Row]] = {}
        for item in self._liquidations:
            by_symbol.setdefault(item["s"], []).append(item)
        self._liquidations.clear()
        for symbol, items in by_symbol.items():
            topic = f"allLiquidation.{symbol}"
            frame = text_of({"topic": topic, "type": "snapshot", "ts": now_ms, "data": items})
            self._send(topic, symbol, frame)

    def _send_books(self, now_ms: int, wire_s: float) -> None:
        house = self._house
        quiet = house.faults.is_quiet
        for topic, book in self._books.items():
            if topic not in self._listeners or wire_s < book.due_s:
                continue
            book.due_s = wire_s + self._pace(book.interval_ms / 1_000)
            if not quiet:
                facts = {"topic": topic, "symbol": book.symbol}
                if house.faults.take("service_restart", house.now_ms, facts) is not None:
                    book.restart = True
            frame = book.update(house.venue, now_ms, wire_s)
            if frame is None:
                continue
            if not quiet and book.depth > 1:
                fault = house.faults.take("book_gap", house.now_ms, {"topic": topic, "symbol": book.symbol})
                if fault is not None:
                    book.skip_frames = int(fault.number("frames")) - 1
                    continue
            self._send(topic, book.symbol, frame)

    def _send_tickers_and_bars(self, now_ms: int, wire_s: float) -> None:
        venue = self._house.venue
        for topic, ticker in self._tickers.items():
            if topic in self._listeners and wire_s >= ticker.due_s:
                ticker.due_s = wire_s + self._pace(_TICKER_S)
                frame = ticker.update(venue, now_ms)
                if frame is not None:
                    self._send(topic, ticker.symbol, frame)
        for topic, bar in self._klines.items():
            if topic in self._listeners and wire_s >= bar.due_s:
                bar.due_s = wire_s + self._pace(_KLINE_S)
                frame = bar.update(venue, now_ms)
                if frame is not None:
                    self._send(topic, bar.symbol, frame)
        for topic, due_s in self._limits.items():
            if topic in self._listeners and wire_s >= due_s:
                self._limits[topic] = wire_s + self._pace(_PRICE_LIMIT_S)
                row = venue.price_limit({"category": "linear", "symbol": topic.partition(".")[2]})
                data = {name: row[name] for name in ("symbol", "buyLmt", "sellLmt")}
                self._send(topic, str(row["symbol"]), text_of({"topic": topic, "ts": now_ms, "data": data}))

    def _send(self, topic: str, symbol: str, frame: str) -> None:
        faults = self._house.faults
        listeners = self._listeners.get(topic)
        if not listeners:
            return
        for session in list(listeners):
            if not faults.is_quiet:
                facts = session.facts(topic=topic, symbol=symbol)
                if faults.take("subscription_dropped", self._house.now_ms, facts) is not None:
                    # The client keeps believing in it: the session still counts the topic as subscribed.
                    self._detach(session, topic)
                    continue
            session.send_text(frame)

    def restart_books(self) -> None:
        for book in self._books.values():
            book.restart = True


def _id(req_id: object) -> object:
    return req_id if isinstance(req_id, str | int) and not isinstance(req_id, bool) else ""


def _failure(session: Session, req_id: object, operation: str, reason: str) -> Row:
    return {
        "success": False,
        "ret_msg": reason,
        "conn_id": session.conn_id,
        "req_id": _id(req_id),
        "op": operation,
    }
