"""What may go wrong on demand: a registry of faults, switched on and off at run time, counted, and matched against
what happens.

Pure: no clock, no chance. The wire asks `take` at each place where something can go wrong and does what the fault
says; this module only decides whether it is due. Names and parameters are listed in FAULTS and documented in
docs/simulated_exchange.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Scalar = str | int | float | bool


class BadFault(ValueError):
    """A fault that cannot be switched on as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class FaultKind:
    """`acts_at` is where it strikes: request, private, public, socket, history, market, exchange."""

    name: str
    acts_at: str
    params: Mapping[str, Scalar]
    about: str


def _kinds(*kinds: FaultKind) -> dict[str, FaultKind]:
    return {kind.name: kind for kind in kinds}


FAULTS: dict[str, FaultKind] = _kinds(
    FaultKind("latency", "request", {"ms": 0, "min_ms": 0, "max_ms": 0, "seed": 1}, "the answer comes later"),
    FaultKind("lost_ack", "request", {"mode": "close"}, "executed, then no answer: mode close | hang"),
    FaultKind("http_error", "request", {"status": 502, "executed": False}, "an HTTP status instead of an answer"),
    FaultKind("rate_limit", "request", {"reset_ms": 1000, "headers": True}, "10006, whatever the budget says"),
    FaultKind("ret_code", "request", {"code": 10016, "msg": "", "executed": False}, "any retCode instead of an answer"),
    FaultKind("reply_fields", "request", {"remove": "", "add": ""}, "fields taken out of or added to result rows"),
    FaultKind("clock_skew", "request", {"skew_ms": 0}, "the exchange's clock is off by this much"),
    FaultKind(
        "order_invisible", "history", {"seconds": 30, "executions": False}, "new orders are not found for a while"
    ),
    FaultKind("history_truncated", "history", {"days": 7}, "older orders, fills and closed PnL are not listed"),
    FaultKind("drop_message", "private", {"nth": 0}, "a private message never arrives (all matching, or every n-th)"),
    FaultKind("duplicate_message", "private", {"copies": 1}, "a private message arrives again"),
    FaultKind("delay_message", "private", {"ms": 1000}, "a private message arrives late"),
    FaultKind("reorder_messages", "private", {"window": 2}, "this many private messages arrive last to first"),
    FaultKind("double_filled", "private", {}, "a Filled order is told twice, the second time as a lost cancel"),
    FaultKind("book_gap", "public", {"frames": 1}, "book deltas go missing: u jumps"),
    FaultKind("service_restart", "public", {}, "the next book frame is a snapshot with u = 1"),
    FaultKind("subscription_dropped", "public", {}, "a topic silently stops on the sockets that have it"),
    FaultKind("half_open", "socket", {}, "a socket stays open and says nothing any more, not even pong"),
    FaultKind("disconnect", "socket", {"code": 1006, "refuse_s": 0}, "sockets are cut, and refused for a while"),
    FaultKind("price_jump", "market", {"bps": 0, "over_ms": 0}, "the market moves at once"),
    FaultKind(
        "foreign_order", "market", {"side": "Buy", "qty": "", "price": ""}, "an order that the client never sent"
    ),
    FaultKind("foreign_position", "market", {"side": "Buy", "qty": "", "price": ""}, "a position out of nowhere"),
    FaultKind("exchange_restart", "exchange", {"down_s": 5}, "sockets cut, calls refused, caches cleared, orders kept"),
)

IMMEDIATE = frozenset(name for name, kind in FAULTS.items() if kind.acts_at in ("socket", "market", "exchange"))


@dataclass(slots=True)
class Fault:
    """One switched-on fault. `left` None: until cleared; `until_ms` None: no end in time."""

    fault_id: int
    name: str
    params: dict[str, Scalar]
    match: dict[str, Scalar]
    left: int | None
    until_ms: int | None
    since_ms: int
    skip: int = 0
    seen: int = 0
    hits: int = 0
    note: dict[str, Scalar] = field(default_factory=dict)

    def number(self, name: str) -> float:
        value = self.params[name]
        return float(value)

    def text(self, name: str) -> str:
        return str(self.params[name])

    def flag(self, name: str) -> bool:
        return self.params[name] in (True, "true", 1)

    def as_row(self) -> dict[str, object]:
        return {
            "id": self.fault_id,
            "name": self.name,
            "params": self.params,
            "match": self.match,
            "count_left": self.left,
            "until_ms": self.until_ms,
            "since_ms": self.since_ms,
            "hits": self.hits,
        }


class FaultBoard:
    """All faults that are on, and how often each kind ever struck."""

    def __init__(self) -> None:
        self._active: list[Fault] = []
        self._next_id = 1
        self.struck: dict[str, int] = {}

    def add(
        self,
        name: str,
        *,
        now_ms: int,
        params: Mapping[str, Scalar] | None = None,
        count: int | None = None,
        for_s: float | None = None,
        match: Mapping[str, Scalar] | None = None,
        skip: int = 0,
    ) -> Fault:
        """`count` strikes or `for_s` seconds of exchange time, whichever ends first; neither: until cleared.

        `match` narrows it: each named fact of the moment (path, symbol, topic, orderStatus, orderLinkId ...) must equal
        the given text, or start with it where it ends in `*`. `skip` lets that many matches pass before the first
        strike.
        """
        kind = FAULTS.get(name)
        if kind is None:
            raise BadFault(f"no fault is called {name!r}; known are {', '.join(sorted(FAULTS))}")
        given = dict(params or {})
        unknown = sorted(set(given) - set(kind.params))
        if unknown:
            raise BadFault(f"{name} has no parameter {', '.join(unknown)}; it takes {', '.join(kind.params) or 'none'}")
        merged: dict[str, Scalar] = dict(kind.params)
        for key, value in given.items():
            merged[key] = _converted(name, key, value, kind.params[key])
        if count is not None and count < 1:
            raise BadFault(f"count must be at least 1, got {count}")
        if for_s is not None and not 0 < for_s < 1e9:
            raise BadFault(f"for_s must be above 0, got {for_s}")
        if skip < 0:
            raise BadFault(f"skip must not be negative, got {skip}")
        fault = Fault(
            fault_id=self._next_id,
            name=name,
            params=merged,
            match=dict(match or {}),
            left=count,
            until_ms=None if for_s is None else now_ms + round(for_s * 1_000),
            since_ms=now_ms,
            skip=skip,
        )
        self._next_id += 1
        self._active.append(fault)
        return fault

    def remove(self, fault_id: int | None = None, name: str | None = None) -> int:
        """Switches off by id, by name, or (neither given) everything; returns how many."""
        keep = [
            fault
            for fault in self._active
            if (fault_id is not None and fault.fault_id != fault_id) or (name is not None and fault.name != name)
        ]
        gone = len(self._active) - len(keep)
        self._active = keep
        return gone

    def active(self, now_ms: int) -> list[Fault]:
        self._active = [f for f in self._active if f.left != 0 and (f.until_ms is None or now_ms < f.until_ms)]
        return list(self._active)

    def has(self, name: str) -> bool:
        return any(fault.name == name for fault in self._active)

    @property
    def is_quiet(self) -> bool:
        return not self._active

    def peek(self, name: str, now_ms: int, facts: Mapping[str, object]) -> Fault | None:
        """The oldest fault of that name that fits, without spending it."""
        for fault in self._active:
            is_due = fault.left != 0 and (fault.until_ms is None or now_ms < fault.until_ms)
            if fault.name == name and is_due and _fits(fault.match, facts):
                return fault
        return None

    def take(self, name: str, now_ms: int, facts: Mapping[str, object]) -> Fault | None:
        """As `peek`, and counts the strike."""
        if not self._active:
            return None
        fault = self.peek(name, now_ms, facts)
        if fault is None:
            return None
        fault.seen += 1
        if fault.seen <= fault.skip:
            return None
        nth = int(fault.number("nth")) if "nth" in fault.params else 0
        if nth > 1 and (fault.seen - fault.skip) % nth:
            return None
        self.strike(fault)
        return fault

    def strike(self, fault: Fault) -> None:
        fault.hits += 1
        self.struck[fault.name] = self.struck.get(fault.name, 0) + 1
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                self._active = [other for other in self._active if other is not fault]


def _converted(name: str, key: str, value: Scalar, default: Scalar) -> Scalar:
    """Numbers may come as text and the other way round; anything else is refused by name."""
    if isinstance(default, bool):
        if value in (True, False, "true", "false"):
            return value in (True, "true")
    elif isinstance(default, str):
        if isinstance(value, str | int | float):
            return str(value)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if abs(number) < 1e15:
            return int(number) if number.is_integer() else number
    raise BadFault(f"{name}: parameter {key} cannot be {value!r}; its default is {default!r}")


def _fits(match: Mapping[str, Scalar], facts: Mapping[str, object]) -> bool:
    return all(_equal(wanted, facts.get(key)) for key, wanted in match.items())


def _equal(wanted: Scalar, actual: object) -> bool:
    if actual is None:
        return False
    if isinstance(actual, str) or not isinstance(actual, Iterable):
        values: list[object] = [actual]
    else:
        values = list(actual)
    text = _text(wanted)
    if text.endswith("*"):
        return any(_text(value).startswith(text[:-1]) for value in values)
    return any(_text(value) == text for value in values)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
