"""A scenario file as data: YAML in, checked dataclasses out, every mistake named with its place in the file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from avigrid.exchange.simulator.scenarios.reading import BadScenario, Reader, document_of
from avigrid.exchange.simulator.sources.path import Line

__all__ = ["BadScenario", "Boot", "Check", "Scenario", "Step", "load"]
DEFAULT_START_MS = 1_767_571_200_000
ACTIONS = (
    "call", "order", "amend", "cancel", "cancel_all", "stop", "leverage", "fault", "clear", "market", "connect", "send",
    "check",
)  # fmt: skip
COMPARISONS = ("is", "is_not", "above", "below", "at_least", "at_most", "near", "contains", "exists")


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
    return _Reader(path).scenario(document_of(path))


class _Reader(Reader):
    def scenario(self, document: object) -> Scenario:
        row = self.row("the file", document, {"name", "about", "boot", "steps", "end", "checks"})
        steps: list[Step] = []
        now_ms = 0
        for number, item in enumerate(self.rows("steps", row.get("steps", [])), start=1):
            step = self._step(f"step {number}", item, now_ms)
            now_ms = step.at_ms
            steps.append(step)
        end_ms = self.duration("end", row["end"]) if "end" in row else now_ms
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
        row = self.row("boot", document, known)
        markets = [name for name in ("path", "synthetic", "replay") if name in row]
        if len(markets) != 1:
            raise self.bad("boot", f"exactly one of path, synthetic, replay is wanted, got {markets or 'none'}")
        lines = {}
        if "path" in row:
            for symbol, line in self.row("boot.path", row["path"], None).items():
                lines[symbol] = self._line(f"boot.path.{symbol}", line)
        symbols = row.get("synthetic") or row.get("symbols") or []
        if isinstance(symbols, str):
            symbols = [symbols]
        return Boot(
            start_ms=self.moment("boot.start", row["start"]) if "start" in row else DEFAULT_START_MS,
            has_start="start" in row,
            seed=int(self.number("boot.seed", row.get("seed", 1))),
            balance_usdt=self.number("boot.balance", row.get("balance", 10_000)),
            hedge=row.get("hedge", False) is True,
            leverage=self.number("boot.leverage", row.get("leverage", 10)),
            orders_per_s=int(self.number("boot.orders_per_s", row.get("orders_per_s", 100))),
            lines=lines,
            symbols=tuple(map(str, symbols)),
            replay=str(row.get("replay", "")),
        )

    def _line(self, place: str, document: object) -> Line:
        if isinstance(document, int | float | str):
            return Line(points=((0.0, float(self.number(place, document))),))
        row = {"points": document} if isinstance(document, list) else document
        row = self.row(place, row, {"points", "noise_bps", "stress"})
        points = []
        for item in self.rows(f"{place}.points", row.get("points", [])):
            if not isinstance(item, list) or len(item) != 2:
                raise self.bad(f"{place}.points", f"a point is [time, price], got {item!r}")
            points.append((self.duration(place, item[0]) / 1_000, float(self.number(place, item[1]))))
        if not points:
            raise self.bad(place, "a path needs at least one point")
        return Line(
            points=tuple(points),
            noise_bps=float(self.number(place, row.get("noise_bps", 0))),
            stress=float(self.number(place, row.get("stress", 1))),
        )

    def _step(self, place: str, document: object, now_ms: int) -> Step:
        row = self.row(place, document, {"at", "after", *ACTIONS})
        actions = [name for name in ACTIONS if name in row]
        if len(actions) != 1:
            raise self.bad(place, f"exactly one of {', '.join(ACTIONS)} is wanted, got {', '.join(actions) or 'none'}")
        if "at" in row:
            at_ms = self.duration(f"{place}.at", row["at"])
        else:
            at_ms = now_ms + self.duration(f"{place}.after", row.get("after", 0))
        if at_ms < now_ms:
            raise self.bad(place, f"lies before the step above it ({at_ms} ms < {now_ms} ms)")
        action, body = actions[0], row[actions[0]]
        if action == "check":
            body = self.checks(place, body if isinstance(body, list) else [body])
        elif action not in ("clear", "cancel_all"):
            body = self.row(f"{place}.{action}", body, None)
        return Step(at_ms, action, body, place)

    def checks(self, place: str, document: object) -> tuple[Check, ...]:
        return tuple(
            self._check(f"{place} check {number}", item)
            for number, item in enumerate(self.rows(place, document), start=1)
        )

    def _check(self, place: str, document: object) -> Check:
        row = self.row(place, document, {"that", "within", "says", *COMPARISONS})
        how = [name for name in COMPARISONS if name in row]
        if "that" not in row or len(how) != 1:
            raise self.bad(place, f"wanted: that, and one of {', '.join(COMPARISONS)}; got {', '.join(row)}")
        if how[0] == "near" and "within" not in row:
            raise self.bad(place, "near needs within")
        within = self.number(place, row["within"]) if "within" in row else None
        return Check(str(row["that"]), how[0], row[how[0]], within, str(row.get("says", "")))
