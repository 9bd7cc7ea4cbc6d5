"""One check's answer, and the helpers that word it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from avigrid.kernel.money import plain
from risk.core.limits import RiskLimits
from risk.core.request import RiskRequest
from risk.core.snapshot import Snapshot

type Number = Decimal | int | str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """`sentence` is for the operator; `numbers` for logs and pages. `applies` False: not asked of this request.

    `available_at_ms` is set where waiting alone will cure the refusal.
    """

    code: str
    passed: bool
    sentence: str
    numbers: Mapping[str, Number] = field(default_factory=dict)
    applies: bool = True
    warning: bool = False
    available_at_ms: int | None = None


type Check = Callable[[RiskRequest, Snapshot, RiskLimits, int], Outcome]


def not_asked(code: str, request: RiskRequest) -> Outcome:
    return Outcome(code, True, f"Not asked of a request to {request.kind}.", applies=False)


def shown(value: Decimal, places: int = 2) -> str:
    """For sentences: at most `places` digits after the point, none of them a trailing zero."""
    return plain(round(value, places))


def share(ratio: Decimal) -> str:
    return f"{shown(ratio * 100, 1)} %"
