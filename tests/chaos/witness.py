"""What is seen from outside all the way through: stops at the venue, and the last words of every life that ended."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from avigrid.common.heartbeats import ProcessLife

TOLERATED_MS = 1_000


@dataclass(slots=True)
class Witness:
    process: str
    """The execution process; what a life said of itself outlives it here."""
    _covered_ms: dict[tuple[str, int], int] = field(default_factory=dict)
    """When the venue last showed a stop there, or nothing to protect."""
    _bare_ms: dict[tuple[str, int], int] = field(default_factory=dict)
    _said: dict[tuple[str, int], Decimal] = field(default_factory=dict)
    """By host and pid, because a new life begins at nothing."""

    def see(self, state: Mapping[str, Any]) -> None:
        """The venue's own truth. A position counts from its first fill on, whoever was dead by then."""
        now_ms = int(state["clock"]["now_ms"])
        for row in state["positions"]:
            key = (str(row["symbol"]), int(row["positionIdx"]))
            if not Decimal(row["size"] or 0) or Decimal(row["stopLoss"] or 0):
                self._covered_ms[key] = now_ms
                continue
            since_ms = max(self._covered_ms.get(key, 0), int(row["openTime"]))
            self._bare_ms[key] = max(self._bare_ms.get(key, 0), now_ms - since_ms)

    def hear(self, lives: Iterable[ProcessLife]) -> None:
        for life in lives:
            if life.process == self.process:
                most = Decimal(str(life.detail.get("unprotected_qty_max", 0)))
                key = (life.host, life.pid)
                self._said[key] = max(self._said.get(key, Decimal(0)), most)

    def breaches(self) -> list[str]:
        found = [
            f"{symbol}/{index}: no stop at the venue for {bare_ms} ms"
            for (symbol, index), bare_ms in sorted(self._bare_ms.items())
            if bare_ms > TOLERATED_MS
        ]
        said = [(pid, most) for (_, pid), most in sorted(self._said.items()) if most]
        return found + [f"{most} had no stop for longer than a second (process {pid})" for pid, most in said]
