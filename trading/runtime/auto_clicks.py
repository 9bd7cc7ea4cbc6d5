"""The policy that clicks: every offer auto mode covers is placed once, as soon as it is there.

A refusal is not argued with. Only an offer that waited for its symbol to free up (anti-churn) is tried a second time.
"""

from dataclasses import dataclass, field
from datetime import datetime

import structlog
from django.utils import timezone

from trading.selectors.exchange_time import exchange_time
from trading.services.auto_mode import auto_modes_halted, auto_place, signals_due
from trading.services.times import from_ms

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class AutoClicks:
    _tried: set[tuple[int, datetime | None]] = field(default_factory=set)

    def run(self, account_id: int) -> int:
        """How many were placed. Without an execution process that answers nothing is due."""
        now = timezone.now()
        auto_modes_halted(account_id=account_id, now=now)
        clock = exchange_time(account_id)
        if clock is None or clock.is_stale:
            return 0
        due = signals_due(account_id=account_id, exchange_now=from_ms(clock.now_ms), now=now)
        placed = 0
        for offer in due:
            if offer in self._tried:
                continue
            self._tried.add(offer)
            placement = auto_place(signal_id=offer[0], account_id=account_id, now=now)
            placed += placement.placed
            log.info("auto_click", signal_id=offer[0], placed=placement.placed, code=placement.code)
        self._tried &= set(due)
        return placed
