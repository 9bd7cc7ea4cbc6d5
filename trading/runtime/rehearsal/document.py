"""A rehearsal file as data: where the market goes, which plan is placed, who does what, and what must then be true."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from avigrid.exchange.simulator.scenarios.reading import BadScenario, Reader, document_of
from avigrid.exchange.simulator.scenarios.still import Moment
from avigrid.exchange.simulator.sources.catalogue import SPECS
from trading.avi5.config import InvalidConfig, StrategyConfig

ACTIONS = ("place", "price", "wait", "trend", "operator", "kill", "hand", "fault", "clear", "restart")
OPERATOR = ("close", "break_even", "cancel_entries")
KILLS = ("halt", "flatten")
DIRECTIONS = {"long": 1, "short": -1}
_PAUSE_MS = 1_000


@dataclass(frozen=True, slots=True)
class Act:
    """One step: what happens `at_ms` after the start, and what holds once everything has come to rest."""

    number: int
    at_ms: int
    action: str
    body: Any
    expect: Mapping[str, object]
    says: str = ""
    turns: int = 0
    """So many turns of the loop instead of waiting for rest: for what a fault keeps moving."""

    @property
    def title(self) -> str:
        what = self.action if self.body in (None, {}, True) else f"{self.action} {self.body}"
        return f"{what}: {self.says}" if self.says else what


@dataclass(frozen=True, slots=True)
class PlanWanted:
    """The signal that is placed: AVI-5 works out levels and sizes from `close` and `atr`."""

    direction: int
    close: Decimal
    atr: Decimal
    r_usd: Decimal
    config: StrategyConfig


@dataclass(frozen=True, slots=True)
class Rehearsal:
    name: str
    about: str
    symbol: str
    start_ms: int
    balance_usdt: Decimal
    hedge: bool
    plan: PlanWanted
    moments: tuple[Moment, ...]
    acts: tuple[Act, ...]
    path: Path = field(compare=False)


def is_rehearsal(path: Path) -> bool:
    """Told from a venue scenario by the plan it places. Raises BadScenario where the file cannot be read."""
    document = document_of(path)
    return isinstance(document, dict) and "plan" in document


def load(path: Path) -> Rehearsal:
    return _Reader(path).rehearsal(document_of(path))


class _Reader(Reader):
    def rehearsal(self, document: object) -> Rehearsal:
        row = self.row("the file", document, {"name", "about", "market", "plan", "steps"})
        market = self.row("market", row.get("market"), {"symbol", "start", "price", "size", "balance", "hedge"})
        symbol = str(market.get("symbol", "SOLUSDT"))
        if symbol not in SPECS:
            raise self.bad("market.symbol", f"unknown symbol {symbol}; known are {', '.join(SPECS)}")
        acts = self._acts(self.rows("steps", row.get("steps")))
        if not any(act.expect for act in acts):
            raise self.bad("steps", "a rehearsal that expects nothing proves nothing")
        opening = self._moment("market", {"price": market.get("price"), "size": market.get("size")}, 0)
        moved = [self._moment(f"step {act.number}.price", act.body, act.at_ms) for act in acts if act.action == "price"]
        return Rehearsal(
            name=str(row.get("name", self._path.stem)),
            about=" ".join(str(row.get("about", "")).split()),
            symbol=symbol,
            start_ms=self.moment("market.start", market.get("start", "2026-01-05T01:00:00")),
            balance_usdt=self.number("market.balance", market.get("balance", 10_000)),
            hedge=market.get("hedge", True) is True,
            plan=self._plan(row.get("plan")),
            moments=(opening, *moved),
            acts=acts,
            path=self._path,
        )

    def _plan(self, document: object) -> PlanWanted:
        row = self.row("plan", document, {"profile", "direction", "close", "atr", "r_usd", "config"})
        direction = DIRECTIONS.get(str(row.get("direction")))
        if direction is None:
            raise self.bad("plan.direction", f"must be long or short, got {row.get('direction')!r}")
        try:
            changes = {"profile": row.get("profile"), **self.row("plan.config", row.get("config"))}
            config = StrategyConfig.from_mapping(changes)
        except InvalidConfig as error:
            raise self.bad("plan", error.message) from error
        return PlanWanted(
            direction=direction,
            close=self.number("plan.close", row.get("close")),
            atr=self.number("plan.atr", row.get("atr")),
            r_usd=self.number("plan.r_usd", row.get("r_usd")),
            config=config,
        )

    def _acts(self, items: list[Any]) -> tuple[Act, ...]:
        acts: list[Act] = []
        now_ms = 0
        for number, item in enumerate(items, start=1):
            place = f"step {number}"
            row = self.row(place, item, {"after", "expect", "says", "turns", *ACTIONS})
            named = [name for name in ACTIONS if name in row]
            if len(named) != 1:
                raise self.bad(
                    place, f"exactly one of {', '.join(ACTIONS)} is wanted, got {', '.join(named) or 'none'}"
                )
            action, body = named[0], row[named[0]]
            pause_ms = self.duration(f"{place}.wait", body) if action == "wait" else _PAUSE_MS
            now_ms += self.duration(f"{place}.after", row["after"]) if "after" in row else pause_ms
            self._check(place, action, body)
            expect = self.row(f"{place}.expect", row.get("expect"))
            turns = int(self.number(f"{place}.turns", row.get("turns", 0)))
            acts.append(Act(number, now_ms, action, body, expect, str(row.get("says", "")), turns))
        if sum(act.action == "place" for act in acts) != 1:
            raise self.bad("steps", "exactly one step places the plan")
        return tuple(acts)

    def _check(self, place: str, action: str, body: object) -> None:
        for name, known in (("operator", OPERATOR), ("kill", KILLS)):
            if action == name and body not in known:
                raise self.bad(f"{place}.{name}", f"must be one of {', '.join(known)}, got {body!r}")
        if action == "hand":
            self.row(f"{place}.hand", body, {"stop"})
        if action == "trend" and body not in (-1, 0, 1):
            raise self.bad(f"{place}.trend", f"must be 1, 0 or -1, got {body!r}")

    def _moment(self, place: str, body: object, at_ms: int) -> Moment:
        row = self.row(place, body, {"price", "size", "at"}) if isinstance(body, dict) else {"price": body}
        size = row.get("size")
        return Moment(
            at_ms=at_ms,
            price=self.number(place, row.get("at", row.get("price"))),
            size=None if size is None else self.number(f"{place}.size", size),
        )


__all__ = ["Act", "BadScenario", "PlanWanted", "Rehearsal", "is_rehearsal", "load"]
