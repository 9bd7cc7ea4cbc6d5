"""`/v5/private`: authentication, topics, frames of the account, and the faults of private messages. No I/O."""

from collections.abc import Iterable

from avigrid.exchange.simulator import auth
from avigrid.exchange.simulator.house import House
from avigrid.exchange.simulator.messages import Row, parse_object, text_of
from avigrid.exchange.simulator.sessions import Session
from avigrid.exchange.simulator.venue import PrivateEvent

ACK_S = 0.02
FRAME_S = 0.004
"""Private frames leave about 4 ms after the match, so an acknowledgement may come before or after them."""

_PLAIN = ("position", "execution", "execution.fast", "order", "wallet", "greeks", "strategy")
_CATEGORISED = ("position.linear", "execution.linear", "execution.fast.linear", "order.linear")
_DCP = ("dcp", "dcp.future", "dcp.linear")
KNOWN_TOPICS = frozenset((*_PLAIN, *_CATEGORISED, *_DCP))
_FAST_FIELDS = (
    "category", "symbol", "execId", "execPrice", "execQty", "orderId", "isMaker", "orderLinkId", "side",
    "execTime", "seq",
)  # fmt: skip
_LOST_CANCEL = {"cancelType": "CancelByUser", "rejectReason": "EC_OrigClOrdIDDoesNotExist"}


def authenticate(house: House, args: object) -> auth.AuthFailure | None:
    """A socket's `auth` arguments against every clock a client may know."""
    failure: auth.AuthFailure | None = None
    for stamp_ms in house.stamps_to_try(house.reported_ms({"channel": "socket"})):
        found = auth.check_socket(house.credentials, args, now_ms=stamp_ms, speed=house.clock.speed)
        if found is None:
            return None
        failure = failure or found
    return failure


class PrivateStream:
    def __init__(self, house: House) -> None:
        self._house = house
        self._sessions: list[Session] = []
        self._held: list[tuple[Session, str]] = []
        self._hold_size = 0
        self.dcp_lost_ms: int | None = None

    # -- what a client sends ----------------------------------------------------------------------------------

    def receive(self, session: Session, text: str) -> None:
        message = parse_object(text)
        if message is None:
            session.send(_answer(session, "", "", ok=False, reason="Params Error: message is not a JSON object"))
            return
        req_id, operation = message.get("req_id", ""), message.get("op")
        if operation == "ping":
            session.send(
                {
                    "req_id": _id(req_id),
                    "op": "pong",
                    "args": [str(self._house.reported_ms())],
                    "conn_id": session.conn_id,
                }
            )
        elif operation == "auth":
            self._auth(session, message)
        elif operation in ("subscribe", "unsubscribe"):
            self._topics(session, str(operation), message)
        else:
            name = str(operation)[:40]
            session.send(_answer(session, req_id, name, ok=False, reason=f"error:unknown op:{name}"), ACK_S)

    def _auth(self, session: Session, message: Row) -> None:
        req_id = message.get("req_id", "")
        failure = authenticate(self._house, message.get("args"))
        if failure is not None:
            self._house.count("auth_failures")
            answer = _answer(session, req_id, "auth", ok=False, reason=failure.message)
            session.send(answer | {"retCode": failure.code, "retMsg": failure.message}, ACK_S)
            return
        session.is_authenticated = True
        if session not in self._sessions:
            self._sessions.append(session)
        session.send(_answer(session, req_id, "auth", ok=True), ACK_S)

    def _topics(self, session: Session, operation: str, message: Row) -> None:
        req_id, args = message.get("req_id", ""), message.get("args")
        reason = ""
        if not session.is_authenticated:
            reason = "Request not authorized"
        elif not isinstance(args, list) or not args or not all(isinstance(arg, str) for arg in args):
            reason = "Params Error: args must be a list of topics"
        elif operation == "subscribe":
            reason = _refusal_of_topics(session, args)
        if reason:
            session.send(_answer(session, req_id, operation, ok=False, reason=reason), ACK_S)
            return
        if operation == "subscribe":
            session.topics.update(args or ())
        else:
            session.topics.difference_update(args or ())
        self._watch_dcp()
        session.send(_answer(session, req_id, operation, ok=True), ACK_S)

    def leave(self, session: Session) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
        session.topics.clear()
        self._watch_dcp()

    def _watch_dcp(self) -> None:
        """Remembers since when nobody has been holding the disconnect-protection topic."""
        held = any(topic.startswith("dcp") for session in self._sessions for topic in session.topics)
        if held:
            self.dcp_lost_ms = 0
        elif self.dcp_lost_ms == 0:
            self.dcp_lost_ms = self._house.now_ms

    # -- what the account sends -------------------------------------------------------------------------------

    def publish(self, events: Iterable[PrivateEvent]) -> None:
        sessions = self._sessions
        for event in events:
            self._house.count(f"private_{event.topic}")
            if not sessions:
                continue
            frames = self._frames(event)
            for topic, rows, frame in frames:
                for session in sessions:
                    if topic in session.topics:
                        self._deliver(session, topic, event, rows, frame)

    def _frames(self, event: PrivateEvent) -> list[tuple[str, tuple[Row, ...], str]]:
        uid = self._house.credentials.user_id
        if event.topic in ("order", "execution"):
            frame_id = f"{uid}_{event.symbol}_{event.seq}"
        else:
            frame_id = f"{uid}_{event.topic}_{event.time_ms}"
        out = []
        if event.topic == "execution":
            fast = tuple(_fast(row) for row in event.rows if row.get("execType") == "Trade")
            if fast:
                for topic in ("execution.fast", "execution.fast.linear"):
                    row = {"topic": topic, "creationTime": event.time_ms, "data": fast}
                    out.append((topic, fast, text_of(row)))
        for topic in (event.topic, f"{event.topic}.linear"):
            row = {"topic": topic, "id": frame_id, "creationTime": event.time_ms, "data": event.rows}
            out.append((topic, event.rows, text_of(row)))
        return out

    def _deliver(self, session: Session, topic: str, event: PrivateEvent, rows: tuple[Row, ...], frame: str) -> None:
        faults = self._house.faults
        if faults.is_quiet:
            session.send_text(frame, FRAME_S)
            return
        now_ms = self._house.now_ms
        facts = session.facts(topic=topic, type=event.topic, symbol=event.symbol, **_row_facts(rows))
        if faults.take("subscription_dropped", now_ms, facts) is not None:
            session.topics.discard(topic)
            return
        if faults.take("drop_message", now_ms, facts) is not None:
            return
        delay_s = FRAME_S
        fault = faults.take("delay_message", now_ms, facts)
        if fault is not None:
            delay_s += fault.number("ms") / 1_000
        fault = faults.take("reorder_messages", now_ms, facts)
        if fault is not None:
            self._hold_size = int(fault.number("window"))
            self._held.append((session, frame))
            if len(self._held) >= self._hold_size:
                self.release_held()
            return
        session.send_text(frame, delay_s)
        fault = faults.take("duplicate_message", now_ms, facts)
        if fault is not None:
            for _ in range(int(fault.number("copies"))):
                session.send_text(frame, delay_s)
        if event.topic == "order" and any(row.get("orderStatus") == "Filled" for row in rows):
            fault = faults.take("double_filled", now_ms, facts)
            if fault is not None:
                again = [row | _LOST_CANCEL if row.get("orderStatus") == "Filled" else row for row in rows]
                row = {
                    "topic": topic,
                    "id": f"{self._house.credentials.user_id}_{event.symbol}_{event.seq + 1}",
                    "creationTime": event.time_ms + 1,
                    "data": again,
                }
                session.send_text(text_of(row), delay_s)

    def release_held(self) -> None:
        """Sends what `reorder_messages` holds back, last first."""
        for session, frame in reversed(self._held):
            session.send_text(frame, FRAME_S)
        self._held.clear()

    def release_if_over(self) -> None:
        if self._held and not self._house.faults.has("reorder_messages"):
            self.release_held()


def _row_facts(rows: tuple[Row, ...]) -> dict[str, object]:
    """What `match` may ask about: each of these fields, as the values of all rows of the frame."""
    names = ("orderStatus", "orderLinkId", "orderId", "side", "execType", "stopOrderType")
    return {name: [row[name] for row in rows if name in row] for name in names}


def _fast(row: Row) -> Row:
    fast = {name: row[name] for name in _FAST_FIELDS if name in row}
    if fast.get("isMaker"):
        fast["orderLinkId"] = ""
    return fast


def _refusal_of_topics(session: Session, args: list[str]) -> str:
    unknown = [topic for topic in args if topic not in KNOWN_TOPICS]
    if unknown:
        return f"error:handler not found,topic:{unknown[0][:80]}"
    for topic in args:
        other = topic.removesuffix(".linear") if topic.endswith(".linear") else f"{topic}.linear"
        if other in session.topics or other in args:
            return f"error:all-in-one and categorised topics cannot be mixed,topic:{topic}"
        if topic in session.topics:
            return f"error:already subscribed,topic:{topic}"
    return ""


def _answer(session: Session, req_id: object, operation: str, *, ok: bool, reason: str = "") -> Row:
    row: Row = {"success": ok, "ret_msg": reason, "op": operation, "conn_id": session.conn_id}
    identity = _id(req_id)
    if identity != "":
        row["req_id"] = identity
    return row


def _id(req_id: object) -> object:
    return req_id if isinstance(req_id, str | int) and not isinstance(req_id, bool) else ""
