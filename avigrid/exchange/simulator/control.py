"""`/sim/*` and `/metrics`: the truth for tests, and the levers. Not part of Bybit; unsigned, so bind it to a trusted
address.
"""

import math
import re
from decimal import Decimal, InvalidOperation
from urllib.parse import parse_qs

from avigrid.exchange.simulator.exchange import SimulatedExchange
from avigrid.exchange.simulator.faults import FAULTS, BadFault, Scalar
from avigrid.exchange.simulator.messages import Reply, Request, Row, encode, parse_object

_UNSAFE = re.compile(r"[^a-zA-Z0-9_]")
_FAULT_KEYS = frozenset(("name", "params", "count", "for_s", "match", "skip"))
MAX_STEP_MS = 366 * 86_400_000


class Control:
    def __init__(self, exchange: SimulatedExchange) -> None:
        self._exchange = exchange

    def handle(self, request: Request) -> Reply:
        """Everything but the answer to a clock change, which the caller gives once the market has moved (`clock`)."""
        try:
            return self._routed(request)
        except (BadFault, ValueError) as error:
            return _json(400, {"error": str(error)})

    def _routed(self, request: Request) -> Reply:
        path, method = request.path.rstrip("/"), request.method
        if path == "/sim/state" and method == "GET":
            return _json(200, self.state())
        if path == "/metrics" and method == "GET":
            return Reply(200, self.metrics().encode(), content_type="text/plain; version=0.0.4")
        if path == "/sim/clock" and method == "GET":
            return self.clock()
        if path == "/sim/clock" and method == "POST":
            self.change_clock(_body(request))
            return self.clock()
        if path == "/sim/market" and method == "POST":
            return _json(200, self._market(_body(request)))
        if path == "/sim/faults" and method == "GET":
            return _json(200, self._faults())
        if path == "/sim/faults" and method == "POST":
            return _json(200, self._add_fault(_body(request)))
        if path.startswith("/sim/faults") and method == "DELETE":
            return _json(200, {"removed": self._remove_faults(path, request.query)})
        known = "/sim/state, /sim/faults, /sim/clock, /sim/market, /metrics"
        return _json(404, {"error": f"{method} {request.path} does not exist; there are {known}"})

    # -- clock ------------------------------------------------------------------------------------------------

    def clock(self) -> Reply:
        house = self._exchange.house
        row = {
            "now_ms": house.now_ms,
            "speed": house.clock.speed,
            "stepped": house.clock.is_stepped,
            "start_ms": self._exchange.source.start_ms,
        }
        return _json(200, row)

    def change_clock(self, body: Row) -> None:
        """`step_ms` or `to_ms` or `speed`; the market has still to be pumped afterwards."""
        known = {"step_ms", "to_ms", "speed"} & set(body)
        if len(known) != 1 or len(body) != 1:
            raise ValueError(
                f"exactly one of step_ms, to_ms, speed is wanted, got {', '.join(sorted(body)) or 'nothing'}"
            )
        name = known.pop()
        value = _number(name, body[name])
        house = self._exchange.house
        if name == "speed":
            house.clock.set_speed(value)
            return
        step_ms = int(value) if name == "step_ms" else int(value) - house.clock.now_ms()
        if not 0 <= step_ms <= MAX_STEP_MS:
            raise ValueError(f"time goes forward, by at most {MAX_STEP_MS} ms; asked for {step_ms} ms")
        house.clock.step(step_ms)

    # -- faults -----------------------------------------------------------------------------------------------

    def _faults(self) -> Row:
        house = self._exchange.house
        return {
            "active": [fault.as_row() for fault in house.faults.active(house.now_ms)],
            "struck": dict(house.faults.struck),
            "known": {
                kind.name: {"acts_at": kind.acts_at, "params": dict(kind.params), "about": kind.about}
                for kind in FAULTS.values()
            },
        }

    def _add_fault(self, body: Row) -> Row:
        unknown = sorted(set(body) - _FAULT_KEYS)
        if unknown:
            raise BadFault(f"unknown key {', '.join(unknown)}; a fault has {', '.join(sorted(_FAULT_KEYS))}")
        name = body.get("name")
        if not isinstance(name, str):
            raise BadFault("a fault needs a name")
        count, for_s, skip = body.get("count"), body.get("for_s"), body.get("skip", 0)
        fault = self._exchange.add_fault(
            name,
            params=_scalars("params", body.get("params")),
            count=None if count is None else _whole("count", count),
            for_s=None if for_s is None else _number("for_s", for_s),
            match=_scalars("match", body.get("match")),
            skip=_whole("skip", skip),
        )
        return fault.as_row()

    def _remove_faults(self, path: str, query: str) -> int:
        asked = {key: values[-1] for key, values in parse_qs(query).items()}
        tail = path.removeprefix("/sim/faults").strip("/")
        identity = asked.get("id", tail if tail.isdigit() else "")
        name = asked.get("name", "" if tail.isdigit() else tail)
        if identity and not identity.isdigit():
            raise ValueError(f"id must be a number, got {identity!r}")
        board = self._exchange.house.faults
        removed = board.remove(fault_id=int(identity) if identity else None, name=name or None)
        self._exchange.private.release_if_over()
        return removed

    # -- market -----------------------------------------------------------------------------------------------

    def _market(self, body: Row) -> Row:
        """`action`: price_jump | foreign_order | foreign_position | transfer, with the fields of each."""
        mischief = self._exchange.mischief
        action = body.get("action")
        symbol = str(body.get("symbol", ""))
        answer: Row = {"action": action, "symbol": symbol}
        if action == "price_jump":
            over_ms = int(_number("over_ms", body.get("over_ms", 0)))
            mischief.jump(symbol, _ratio(body), over_ms=over_ms)
        elif action == "foreign_order":
            extra = {
                key: value
                for key, value in body.items()
                if key not in ("action", "symbol", "side", "qty", "price") and isinstance(value, str | int | bool)
            }
            answer |= mischief.foreign_order(
                symbol, str(body.get("side", "")), str(body.get("qty", "")), str(body.get("price", "")), **extra
            )
        elif action == "foreign_position":
            mischief.foreign_position(symbol, str(body.get("side", "")), str(body.get("qty", "")))
        elif action == "transfer":
            mischief.transfer(str(body.get("amount", "")))
        else:
            known = "price_jump, foreign_order, foreign_position or transfer"
            raise ValueError(f"action must be {known}, got {action!r}")
        self._exchange.publish()
        return answer

    # -- the truth --------------------------------------------------------------------------------------------

    def state(self) -> Row:
        exchange = self._exchange
        house = exchange.house
        state: Row = dict(house.venue.state())
        state["clock"] = {"now_ms": house.now_ms, "speed": house.clock.speed, "stepped": house.clock.is_stepped}
        state["symbols"] = list(exchange.symbols)
        state["faults"] = [fault.as_row() for fault in house.faults.active(house.now_ms)]
        state["faults_struck"] = dict(house.faults.struck)
        state["wire"] = dict(sorted(house.counters.items()))
        state["sockets"] = [
            {
                "conn_id": session.conn_id,
                "path": session.path,
                "topics": sorted(session.topics),
                "authenticated": session.is_authenticated,
                "half_open": session.is_deaf,
                "frames_sent": session.sent_frames,
            }
            for session in exchange.sessions
        ]
        return state

    def metrics(self) -> str:
        """Prometheus text: counters of the wire, of faults, and a few gauges."""
        house = self._exchange.house
        lines = ["# TYPE simulator_events_total counter"]
        lines += [f'simulator_events_total{{event="{_clean(k)}"}} {v}' for k, v in sorted(house.counters.items())]
        lines.append("# TYPE simulator_faults_struck_total counter")
        lines += [
            f'simulator_faults_struck_total{{fault="{_clean(k)}"}} {v}' for k, v in sorted(house.faults.struck.items())
        ]
        gauges = {
            "simulator_clock_ms": house.now_ms,
            "simulator_clock_speed": house.clock.speed,
            "simulator_sockets": len(self._exchange.sessions),
            "simulator_faults_active": len(house.faults.active(house.now_ms)),
        }
        for name, value in gauges.items():
            lines += [f"# TYPE {name} gauge", f"{name} {value}"]
        return "\n".join(lines) + "\n"


def _json(status: int, row: object) -> Reply:
    return Reply(status, encode(row))


def _body(request: Request) -> Row:
    body = parse_object(request.body)
    if body is None:
        raise ValueError("the body must be a JSON object")
    return body


def _number(name: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ValueError(f"{name} must be a number, got {value!r}")


def _whole(name: str, value: object) -> int:
    number = _number(name, value)
    if not number.is_integer():
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    return int(number)


def _scalars(name: str, value: object) -> dict[str, Scalar]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadFault(f"{name} must be an object, got {value!r}")
    out: dict[str, Scalar] = {}
    for key, item in value.items():
        if not isinstance(item, str | int | float | bool):
            raise BadFault(f"{name}.{key} must be text, a number or a truth value, got {item!r}")
        out[str(key)] = item
    return out


def _ratio(body: Row) -> Decimal:
    """`ratio` (-0.05), `pct` (-5) or `bps` (-500)."""
    for name, unit in (("ratio", 1), ("pct", 100), ("bps", 10_000)):
        if name in body:
            try:
                value = Decimal(str(body[name]))
            except InvalidOperation:
                raise ValueError(f"{name} must be a number, got {body[name]!r}") from None
            if not value.is_finite():
                raise ValueError(f"{name} must be a number, got {body[name]!r}")
            return value / unit
    raise ValueError("a price jump needs ratio, pct or bps")


def _clean(name: str) -> str:
    return _UNSAFE.sub("_", name)
