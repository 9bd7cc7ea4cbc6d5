"""A scenario file as data: YAML in, checked dataclasses out, every mistake named with its place in the file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from avigrid.exchange.simulator.sources.path import Line

Row = dict[str, Any]
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$")
_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DEFAULT_START_MS = 1_767_571_200_000
ACTIONS = (
    "call", "order", "amend", "cancel", "cancel_all", "stop", "leverage", "fault", "clear", "market", "connect", "send",
    "check",
)  # fmt: skip
COMPARISONS = ("is", "is_not", "above", "below", "at_least", "at_most", "near", "contains", "exists")


class BadScenario(ValueError):
    """The file cannot be run; the message names file and place."""


@dataclass(frozen=True, slots=True)
class Check:
    """`that` is a dotted name (see views); `how` one of COMPARISONS. `within` belongs to `near`."""

    that: str
    how: str
    value: object
    within: Decimal | None = None
    says: str = ""

    def __str__(self) -> str:
        text = f"{self.that} {self.how.replace('_', ' ')} {self.value}"
        return f"{text} within {self.within}" if self.within is not None else text


@dataclass(frozen=True, slots=True)
class Step:
    at_ms: int
    action: str
    body: Any
    place: str


@dataclass(frozen=True, slots=True)
class Boot:
    """The market is `lines` (a drawn path), else `replay` (a path as --source has it), else synthetic `symbols`."""

    start_ms: int = DEFAULT_START_MS
    seed: int = 1
    balance_usdt: Decimal = Decimal(10_000)
    hedge: bool = False
    leverage: Decimal = Decimal(10)
    orders_per_s: int = 100
    lines: Mapping[str, Line] = field(default_factory=dict)
    symbols: tuple[str, ...] = ()
    replay: str = ""
    has_start: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    about: str
    boot: Boot
    steps: tuple[Step, ...]
    end_ms: int
    checks: tuple[Check, ...]
    path: Path


def load(path: Path) -> Scenario:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadScenario(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadScenario(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    return _Reader(path).scenario(document)


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path

    def bad(self, place: str, what: str) -> BadScenario:
        return BadScenario(f"{self._path}: {place}: {what}")

    def scenario(self, document: object) -> Scenario:
        row = self._row("the file", document, {"name", "about", "boot", "steps", "end", "checks"})
        steps: list[Step] = []
        now_ms = 0
        for number, item in enumerate(self._list("steps", row.get("steps", [])), start=1):
            step = self._step(f"step {number}", item, now_ms)
            now_ms = step.at_ms
            steps.append(step)
        end_ms = self._duration("end", row["end"]) if "end" in row else now_ms
        if end_ms < now_ms:
            raise self.bad("end", f"lies before the last step ({end_ms} ms < {now_ms} ms)")
        checks = self.checks("checks", row.get("checks", []))
        if not checks and not any(step.action == "check" for step in steps):
            raise self.bad("checks", "a scenario without a check proves nothing")
        return Scenario(
            name=str(row.get("name", self._path.stem)),
            about=str(row.get("about", "")),
            boot=self._boot(row.get("boot", {})),
            steps=tuple(steps),
            end_ms=end_ms,
            checks=checks,
            path=self._path,
        )

    def _boot(self, document: object) -> Boot:
        known = {
            "start",
            "seed",
            "balance",
            "hedge",
            "leverage",
            "orders_per_s",
            "path",
            "synthetic",
            "replay",
            "symbols",
        }
        row = self._row("boot", document, known)
        markets = [name for name in ("path", "synthetic", "replay") if name in row]
        if len(markets) != 1:
            raise self.bad("boot", f"exactly one of path, synthetic, replay is wanted, got {markets or 'none'}")
        lines = {}
        if "path" in row:
            for symbol, line in self._row("boot.path", row["path"], None).items():
                lines[symbol] = self._line(f"boot.path.{symbol}", line)
        symbols = row.get("synthetic") or row.get("symbols") or []
        if isinstance(symbols, str):
            symbols = [symbols]
        return Boot(
            start_ms=self._moment(row["start"]) if "start" in row else DEFAULT_START_MS,
            has_start="start" in row,
            seed=int(self._number("boot.seed", row.get("seed", 1))),
            balance_usdt=self._number("boot.balance", row.get("balance", 10_000)),
            hedge=row.get("hedge", False) is True,
            leverage=self._number("boot.leverage", row.get("leverage", 10)),
            orders_per_s=int(self._number("boot.orders_per_s", row.get("orders_per_s", 100))),
            lines=lines,
            symbols=tuple(map(str, symbols)),
            replay=str(row.get("replay", "")),
        )

    def _line(self, place: str, document: object) -> Line:
        if isinstance(document, int | float | str):
            return Line(points=((0.0, float(self._number(place, document))),))
        row = {"points": document} if isinstance(document, list) else document
        row = self._row(place, row, {"points", "noise_bps", "stress"})
        points = []
        for item in self._list(f"{place}.points", row.get("points", [])):
            if not isinstance(item, list) or len(item) != 2:
                raise self.bad(f"{place}.points", f"a point is [time, price], got {item!r}")
            points.append((self._duration(place, item[0]) / 1_000, float(self._number(place, item[1]))))
        if not points:
            raise self.bad(place, "a path needs at least one point")
        return Line(
            points=tuple(points),
            noise_bps=float(self._number(place, row.get("noise_bps", 0))),
            stress=float(self._number(place, row.get("stress", 1))),
        )

    def _step(self, place: str, document: object, now_ms: int) -> Step:
        row = self._row(place, document, {"at", "after", *ACTIONS})
        actions = [name for name in ACTIONS if name in row]
        if len(actions) != 1:
            raise self.bad(place, f"exactly one of {', '.join(ACTIONS)} is wanted, got {', '.join(actions) or 'none'}")
        if "at" in row:
            at_ms = self._duration(f"{place}.at", row["at"])
        else:
            at_ms = now_ms + self._duration(f"{place}.after", row.get("after", 0))
        if at_ms < now_ms:
            raise self.bad(place, f"lies before the step above it ({at_ms} ms < {now_ms} ms)")
        action, body = actions[0], row[actions[0]]
        if action == "check":
            body = self.checks(place, body if isinstance(body, list) else [body])
        elif action not in ("clear", "cancel_all"):
            body = self._row(f"{place}.{action}", body, None)
        return Step(at_ms, action, body, place)

    def checks(self, place: str, document: object) -> tuple[Check, ...]:
        return tuple(
            self._check(f"{place} check {number}", item)
            for number, item in enumerate(self._list(place, document), start=1)
        )

    def _check(self, place: str, document: object) -> Check:
        row = self._row(place, document, {"that", "within", "says", *COMPARISONS})
        how = [name for name in COMPARISONS if name in row]
        if "that" not in row or len(how) != 1:
            raise self.bad(place, f"wanted: that, and one of {', '.join(COMPARISONS)}; got {', '.join(row)}")
        if how[0] == "near" and "within" not in row:
            raise self.bad(place, "near needs within")
        within = self._number(place, row["within"]) if "within" in row else None
        return Check(str(row["that"]), how[0], row[how[0]], within, str(row.get("says", "")))

    # -- pieces -----------------------------------------------------------------------------------------------

    def _row(self, place: str, document: object, known: set[str] | None) -> Row:
        if document is None:
            document = {}
        if not isinstance(document, dict):
            raise self.bad(place, f"a mapping is wanted, got {document!r}")
        row = {str(key): value for key, value in document.items()}
        unknown = sorted(set(row) - known) if known is not None else []
        if unknown:
            raise self.bad(place, f"unknown {', '.join(unknown)}; known are {', '.join(sorted(known or ()))}")
        return row

    def _list(self, place: str, document: object) -> list[Any]:
        if not isinstance(document, list):
            raise self.bad(place, f"a list is wanted, got {document!r}")
        return document

    def _duration(self, place: str, value: object) -> int:
        """Milliseconds of 90, "90s", "1.5m", "2h", "250ms"; a bare number is seconds."""
        match = _DURATION.match(str(value))
        if match is None or isinstance(value, bool):
            raise self.bad(place, f"{value!r} is no duration (90, 90s, 1.5m, 2h, 250ms)")
        return round(float(match.group(1)) * _UNITS_MS[match.group(2) or "s"])

    def _number(self, place: str, value: object) -> Decimal:
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            raise self.bad(place, f"{value!r} is no number") from None
        if not number.is_finite() or isinstance(value, bool):
            raise self.bad(place, f"{value!r} is no number")
        return number

    def _moment(self, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            raise self.bad("boot.start", f"{value!r} is no time") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1_000)
