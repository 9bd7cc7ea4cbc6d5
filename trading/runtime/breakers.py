"""The circuit breaker: the same mistake is not sent all day.

Three identical refusals in a row open it for a minute. It holds back entries and take-profits; a close is never held
back, it has pauses of its own that grow (trading.runtime.sending), and so do cancels (trading.runtime.cancelling).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from avigrid.kernel.orders import OrderRole

AFTER = 3
OPEN_FOR = timedelta(seconds=60)


@dataclass(slots=True)
class Breaker:
    code: str = ""
    count: int = 0
    open_until: datetime | None = None


@dataclass(slots=True)
class Breakers:
    _each: dict[tuple[str, str], Breaker] = field(default_factory=dict)
    """By symbol and role."""

    def refused(self, symbol: str, role: str, code: str, now: datetime) -> bool:
        """True where this refusal was the last straw."""
        breaker = self._each.setdefault((symbol, role), Breaker())
        breaker.count = breaker.count + 1 if breaker.code == code else 1
        breaker.code = code
        if breaker.count < AFTER:
            return False
        breaker.open_until = now + OPEN_FOR
        breaker.count = 0
        return True

    def accepted(self, symbol: str, role: str) -> None:
        self._each.pop((symbol, role), None)

    def holds(self, symbol: str, role: str, now: datetime) -> str:
        """The code of the refusals that keep this back; "" where it may go."""
        breaker = self._each.get((symbol, role))
        if role == OrderRole.CLOSE.value or breaker is None or breaker.open_until is None or now >= breaker.open_until:
            return ""
        return breaker.code
