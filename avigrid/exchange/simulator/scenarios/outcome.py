"""What a scenario was asked and what was found, one line a check."""

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Finding:
    """What was expected, at which second, and what was found instead where it did not hold."""

    second: Decimal
    text: str
    held: bool
    found: str = ""

    def __str__(self) -> str:
        mark = "ok  " if self.held else "FAIL"
        tail = "" if self.held else f"; found {self.found}"
        return f"  {mark} {self.second:>9}s  {self.text}{tail}"


@dataclass(slots=True)
class Outcome[Played]:
    played: Played
    findings: list[Finding] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return all(finding.held for finding in self.findings)
