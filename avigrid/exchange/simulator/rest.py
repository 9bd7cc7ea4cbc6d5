"""The REST desk: one request in, one reply out, with Bybit's gate in front of the venue (routes, signature, budgets,
faults).

Nothing that a client sends may raise out of here: every refusal is one of Bybit's.
"""

import logging
import random
from collections.abc import Mapping
from typing import Any

from avigrid.exchange.simulator import auth
from avigrid.exchange.simulator.faults import Fault
from avigrid.exchange.simulator.house import House
from avigrid.exchange.simulator.masks import hide_rows, note_created, reshape
from avigrid.exchange.simulator.messages import (
    Drop,
    Reply,
    Request,
    Row,
    encode,
    envelope,
    parse_object,
    parse_query,
)
from avigrid.exchange.simulator.rate_limits import Verdict
from avigrid.exchange.simulator.refusals import Refusal
from avigrid.exchange.simulator.routes import OTHER_CATEGORIES, ROUTES, Route

log = logging.getLogger(__name__)

TOO_MANY = "Too many visits. Exceeded the API Rate Limit."
_FORBIDDEN = b"access too frequent"
_RESTARTING = "Server error. The service is restarting."


class Outcome:
    """What became of one call: the pieces of an envelope and of the limit headers; shared by REST and the trade
    socket.
    """

    __slots__ = ("code", "delay_s", "drop", "extra", "headers", "message", "result", "status")

    def __init__(self, code: int, message: str, result: object = None, extra: object = None) -> None:
        self.code = code
        self.message = message
        self.result: object = {} if result is None else result
        self.extra: object = {} if extra is None else extra
        self.headers: dict[str, str] = {}
        self.status = 200
        self.delay_s = 0.0
        self.drop = Drop.NO


class RestDesk:
    def __init__(self, house: House, *, seed: int = 1) -> None:
        self._house = house
        self._rng = random.Random(seed)

    def handle(self, request: Request) -> Reply:
        house = self._house
        house.count("http_requests")
        if not house.limiter.admits_address(request.remote, house.wire_s()):
            house.count("http_refused_address")
            return Reply(403, _FORBIDDEN, content_type="text/plain")
        route = ROUTES.get(request.path)
        if route is None:
            return self._plain(404, 10017, "Route not found.")
        if request.method != route.method:
            return self._plain(404, 10017, f"Route not found: {request.method} {request.path}.")
        if route.method == "GET" and request.body:
            return Reply(403, b"403 Forbidden", content_type="text/plain")
        if house.is_down:
            return self._reply(Outcome(10016, _RESTARTING), house.reported_ms())
        facts: dict[str, object] = {"path": request.path, "method": request.method, "channel": "rest"}
        params = parse_query(request.query) if route.method == "GET" else parse_object(request.body)
        if params is not None:
            facts.update({key: value for key, value in params.items() if isinstance(value, str | int | bool)})
        reported_ms = house.reported_ms(facts)
        if route.is_private:
            failure = self._authenticate(request, route, reported_ms)
            if failure is not None:
                house.count("auth_failures")
                if failure.http_status != 200:
                    return self._plain(failure.http_status, failure.code, failure.message)
                return self._reply(Outcome(failure.code, failure.message), reported_ms)
        if params is None:
            return self._reply(Outcome(10001, "Request parameter error."), reported_ms)
        outcome = self.call(request.path, route, params, facts)
        return self._reply(outcome, reported_ms)

    def call(self, path: str, route: Route, params: Row, facts: Mapping[str, object]) -> Outcome:
        """The part after the signature: budget, faults, venue. The trade socket enters here too."""
        house = self._house
        now_ms = house.now_ms
        verdict: Verdict | None = None
        if route.is_private:
            units = self._units(route, params)
            verdict = house.limiter.take(path, house.wire_s(), units)
            if verdict.granted == 0:
                house.count("rate_limited")
                return self._with_headers(Outcome(10006, TOO_MANY), verdict)
        outcome = self._sabotaged_before(facts, verdict) if not house.faults.is_quiet else None
        if outcome is None:
            outcome = self._execute(path, route, params, verdict)
            if not house.faults.is_quiet or house.hidden_orders:
                outcome = self._sabotaged_after(outcome, route, params, facts)
        if verdict is not None:
            self._with_headers(outcome, verdict)
        latency = house.faults.take("latency", now_ms, facts)
        if latency is not None:
            outcome.delay_s = self._latency_s(latency)
        return outcome

    def _authenticate(self, request: Request, route: Route, reported_ms: int) -> auth.AuthFailure | None:
        house = self._house
        payload = request.query if route.method == "GET" else request.body
        failure: auth.AuthFailure | None = None
        for stamp_ms in house.stamps_to_try(reported_ms):
            found = auth.check_request(
                house.credentials, request.headers, payload=payload, now_ms=stamp_ms, speed=house.clock.speed
            )
            if found is None:
                return None
            failure = failure or found
            if found.code != 10002:
                return found
        return failure

    @staticmethod
    def _units(route: Route, params: Row) -> int:
        items = params.get("request")
        return max(1, len(items)) if route.is_batch and isinstance(items, list) else 1

    def _execute(self, path: str, route: Route, params: Row, verdict: Verdict | None) -> Outcome:
        house = self._house
        try:
            early = _category(route, path, params)
            if early is not None:
                return Outcome(0, "OK", early)
            if route.is_private and route.method == "POST" and house.credentials.read_only:
                raise Refusal(10005, "Permission denied, please check your API key permissions.")
            method = getattr(house.venue, route.venue)
            if route.is_batch:
                return self._batch(method, params, verdict)
            result = method(params)
            if route.venue == "query_api":
                result = {**result, "readOnly": int(house.credentials.read_only)}
            return Outcome(0, "OK", result)
        except Refusal as refusal:
            return Outcome(refusal.code, refusal.message)
        except Exception:
            # The venue must answer or refuse; anything else is a fault of this program and is counted, never shown.
            log.exception("venue failed on %s", path)
            house.count("internal_errors")
            return Outcome(10016, "Server error.")

    def _batch(self, method: Any, params: Row, verdict: Verdict | None) -> Outcome:
        items = params.get("request")
        granted = verdict.granted if verdict is not None else None
        if isinstance(items, list) and granted is not None and granted < len(items):
            head = dict(params, request=items[:granted])
            result, extra = method(head)
            for item in items[granted:]:
                row = {key: str(item.get(key, "")) for key in ("category", "symbol")} if isinstance(item, dict) else {}
                link = str(item.get("orderLinkId", "")) if isinstance(item, dict) else ""
                row |= {"orderId": "", "orderLinkId": link}
                if "createAt" in (result["list"][0] if result["list"] else {}):
                    row["createAt"] = ""
                result["list"].append(row)
                extra["list"].append({"code": 10006, "msg": TOO_MANY})
            self._house.count("rate_limited")
            return Outcome(0, "OK", result, extra)
        result, extra = method(params)
        return Outcome(0, "OK", result, extra)

    def _sabotaged_before(self, facts: Mapping[str, object], verdict: Verdict | None) -> Outcome | None:
        faults, now_ms = self._house.faults, self._house.now_ms
        fault = faults.peek("http_error", now_ms, facts)
        if fault is not None and not fault.flag("executed"):
            taken = faults.take("http_error", now_ms, facts)
            if taken is not None:
                return _http_error(taken)
        fault = faults.take("rate_limit", now_ms, facts)
        if fault is not None:
            outcome = Outcome(10006, TOO_MANY)
            if fault.flag("headers"):
                limit = verdict.limit if verdict else self._house.limiter.limit_of(str(facts.get("path", "")))
                outcome.headers = self._headers(limit, 0, now_ms + int(fault.number("reset_ms")))
            else:
                outcome.headers = {"x-no-limit-headers": ""}
            return outcome
        fault = faults.peek("ret_code", now_ms, facts)
        if fault is not None and not fault.flag("executed"):
            taken = faults.take("ret_code", now_ms, facts)
            if taken is not None:
                return Outcome(int(taken.number("code")), taken.text("msg"))
        return None

    def _sabotaged_after(self, outcome: Outcome, route: Route, params: Row, facts: Mapping[str, object]) -> Outcome:
        house = self._house
        faults, now_ms = house.faults, house.now_ms
        if outcome.code == 0:
            note_created(house, route, outcome, params, facts)
            hide_rows(house, route, outcome, facts)
        fault = faults.take("http_error", now_ms, facts)
        if fault is not None:
            return _http_error(fault)
        fault = faults.take("ret_code", now_ms, facts)
        if fault is not None:
            return Outcome(int(fault.number("code")), fault.text("msg"))
        if outcome.code == 0:
            fault = faults.take("reply_fields", now_ms, facts)
            if fault is not None:
                outcome.result = reshape(outcome.result, remove=fault.text("remove"), add=fault.text("add"))
        fault = faults.take("lost_ack", now_ms, facts)
        if fault is not None:
            outcome.drop = Drop.HANG if fault.text("mode") == "hang" else Drop.CLOSE
        return outcome

    def _latency_s(self, fault: Fault) -> float:
        fixed, least, most = fault.number("ms"), fault.number("min_ms"), fault.number("max_ms")
        spread = self._rng.uniform(least, most) if most > least else least
        return max(0.0, (fixed + spread) / 1_000)

    def _with_headers(self, outcome: Outcome, verdict: Verdict) -> Outcome:
        if not outcome.headers:
            house = self._house
            wait_ms = round(verdict.wait_s * 1_000 * max(1.0, house.clock.speed))
            outcome.headers = self._headers(verdict.limit, verdict.remaining, house.reported_ms() + wait_ms)
        return outcome

    @staticmethod
    def _headers(limit: int, remaining: int, reset_ms: int) -> dict[str, str]:
        return {
            "X-Bapi-Limit": str(limit),
            "X-Bapi-Limit-Status": str(remaining),
            "X-Bapi-Limit-Reset-Timestamp": str(reset_ms),
        }

    def _reply(self, outcome: Outcome, reported_ms: int) -> Reply:
        headers = {name: value for name, value in outcome.headers.items() if value}
        if outcome.status != 200:
            body = f"<html><body><h1>{outcome.status}</h1></body></html>".encode()
            return Reply(outcome.status, body, headers, outcome.delay_s, outcome.drop, content_type="text/html")
        self._house.count(f"ret_code_{outcome.code}")
        result = outcome.result
        if isinstance(result, dict) and "timeNano" in result:
            result = {"timeSecond": str(reported_ms // 1_000), "timeNano": f"{reported_ms}000000"}
        body = encode(envelope(outcome.code, outcome.message, result, outcome.extra, reported_ms))
        return Reply(200, body, headers, outcome.delay_s, outcome.drop)

    def _plain(self, status: int, code: int, message: str) -> Reply:
        self._house.count(f"http_{status}")
        return Reply(status, encode(envelope(code, message, {}, {}, self._house.reported_ms())))


def _http_error(fault: Fault) -> Outcome:
    outcome = Outcome(0, "")
    outcome.status = int(fault.number("status"))
    outcome.headers = {"x-no-limit-headers": ""}
    return outcome


def _category(route: Route, path: str, params: Row) -> Row | None:
    """Only linear is traded here. Lists of the other categories are empty, so that a client that loads them all can."""
    category = params.get("category", "")
    if not category:
        if route.needs_category:
            raise Refusal(10001, "params error: Category is invalid")
        return None
    if category == "linear":
        return None
    if category in OTHER_CATEGORIES:
        if path == "/v5/account/transaction-log" or (route.method == "GET" and not params.get("symbol")):
            return {"category": category, "list": [], "nextPageCursor": ""}
        raise Refusal(10001, "Not supported symbols")
    raise Refusal(10001, "params error: Category is invalid")
