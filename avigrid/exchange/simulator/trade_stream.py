"""`/v5/trade`: orders over a socket, through the same gate as REST. No I/O."""

from collections import deque

from avigrid.exchange.simulator import auth
from avigrid.exchange.simulator.house import House
from avigrid.exchange.simulator.messages import Drop, Row, parse_object
from avigrid.exchange.simulator.private_stream import authenticate
from avigrid.exchange.simulator.rest import Outcome, RestDesk
from avigrid.exchange.simulator.routes import ROUTES, TRADE_OPS
from avigrid.exchange.simulator.sessions import Session

ACK_S = 0.02
_REMEMBERED_IDS = 5_000


class TradeStream:
    def __init__(self, house: House, desk: RestDesk) -> None:
        self._house = house
        self._desk = desk
        self._seen: dict[str, deque[str]] = {}

    def receive(self, session: Session, text: str) -> None:
        message = parse_object(text)
        if message is None:
            session.send(self._reply(session, "", "", Outcome(10001, "Request parameter error.")), ACK_S)
            return
        operation = message.get("op")
        if operation == "ping":
            session.send(
                {
                    "retCode": 0,
                    "retMsg": "OK",
                    "op": "pong",
                    "data": [str(self._house.reported_ms())],
                    "connId": session.conn_id,
                }
                | _req_id(message)
            )
        elif operation == "auth":
            self._auth(session, message)
        else:
            self._order(session, message, str(operation))

    def leave(self, session: Session) -> None:
        self._seen.pop(session.conn_id, None)

    def _auth(self, session: Session, message: Row) -> None:
        code, reason = 0, "OK"
        if session.is_authenticated:
            code, reason = 20001, "Repeat auth"
        else:
            failure = authenticate(self._house, message.get("args"))
            if failure is None:
                session.is_authenticated = True
            else:
                self._house.count("auth_failures")
                code, reason = failure.code, failure.message
        row = {"retCode": code, "retMsg": reason, "op": "auth", "connId": session.conn_id}
        session.send(row | _req_id(message), ACK_S)

    def _order(self, session: Session, message: Row, operation: str) -> None:
        identity = message.get("reqId", "")
        req_id = str(identity) if isinstance(identity, str | int) and not isinstance(identity, bool) else ""
        outcome = self._outcome(session, message, operation, req_id)
        if outcome.drop is Drop.CLOSE:
            session.cut(1006)
        elif outcome.drop is Drop.NO and outcome.status == 200:
            session.send(self._reply(session, req_id, operation, outcome), ACK_S + outcome.delay_s)

    def _outcome(self, session: Session, message: Row, operation: str, req_id: str) -> Outcome:
        house = self._house
        if not session.is_authenticated:
            return Outcome(10003, "Request not authorized")
        path = TRADE_OPS.get(operation)
        if path is None:
            return Outcome(10404, f"Op or category not found: {operation[:40]}")
        if len(req_id) > 36:
            return Outcome(10001, "params error: reqId is longer than 36")
        if req_id:
            seen = self._seen.setdefault(session.conn_id, deque(maxlen=_REMEMBERED_IDS))
            if req_id in seen:
                return Outcome(20006, "Duplicate reqId")
            seen.append(req_id)
        if house.is_down:
            session.cut(1001)
            return Outcome(10019, "ws trade service is restarting, please reconnect")
        args = message.get("args")
        if not isinstance(args, list) or len(args) != 1 or not isinstance(args[0], dict):
            return Outcome(10001, "params error: args must hold one object")
        params: Row = args[0]
        facts: dict[str, object] = {"path": path, "method": "WS", "channel": "trade", "op": operation}
        facts.update({key: value for key, value in params.items() if isinstance(value, str | int | bool)})
        late = self._check_window(message.get("header"), facts)
        if late is not None:
            return Outcome(late.code, late.message)
        return self._desk.call(path, ROUTES[path], params, facts)

    def _check_window(self, header: object, facts: dict[str, object]) -> auth.AuthFailure | None:
        house = self._house
        header = header if isinstance(header, dict) else {}
        stamp, window = header.get("X-BAPI-TIMESTAMP", ""), header.get("X-BAPI-RECV-WINDOW", "")
        failure: auth.AuthFailure | None = None
        for now_ms in house.stamps_to_try(house.reported_ms(facts)):
            found = auth.check_window(str(stamp), str(window or ""), now_ms=now_ms, speed=house.clock.speed)
            if found is None:
                return None
            failure = failure or found
        return failure

    def _reply(self, session: Session, req_id: str, operation: str, outcome: Outcome) -> Row:
        house = self._house
        now_ms = house.reported_ms()
        house.count(f"ret_code_{outcome.code}")
        headers = {name: value for name, value in outcome.headers.items() if value}
        return {
            "reqId": req_id,
            "retCode": outcome.code,
            "retMsg": outcome.message,
            "op": operation,
            "data": outcome.result if outcome.code == 0 else {},
            "retExtInfo": outcome.extra,
            "header": headers | {"Traceid": f"{now_ms:032x}", "Timenow": str(now_ms)},
            "connId": session.conn_id,
        }


def _req_id(message: Row) -> Row:
    """The id an auth or ping carried, under either of the names clients use."""
    for name in ("reqId", "req_id"):
        value = message.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return {"reqId": value, "req_id": value} if name == "req_id" else {"reqId": value}
    return {}
