"""Positions and the exits resting on them, both ways. Two answers are never of one moment: what they make of each other
is believed only where two looks in a row say the same and nothing was booked from before the first to after the last.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from avigrid.kernel.portfolio import VenuePosition
from trading.engine import differences
from trading.engine.differences import Difference, Kind, VenuePicture
from trading.models import ReconciliationFinding, ReconciliationRun
from trading.runtime.asking import patiently
from trading.runtime.comparing import Comparing
from trading.runtime.history import History
from trading.runtime.position_repair import position_repair
from trading.selectors.books import fill_counts

log = structlog.get_logger(__name__)
_LOOKS = 4
_LAG_S = 0.3
"""A position shows a fill a little earlier than the list of executions does."""
_SIZE_KINDS = (Kind.POSITION_MISMATCH, Kind.POSITION_OLD)
_DOUBTFUL = (*_SIZE_KINDS, Kind.EXITS_EXCEED)
_JUDGED_BY_BOTH = (Kind.POSITION_FOREIGN, Kind.POSITION_MISMATCH, Kind.EXITS_EXCEED)


@dataclass(frozen=True, slots=True)
class Look:
    rows: list[VenuePosition]
    found: list[Difference]
    moving: frozenset[str] = frozenset()
    """Subjects nothing can be concluded of: something was booked there while they were looked at."""


@dataclass(slots=True)
class PositionComparison:
    work: Comparing
    history: History
    sleep: Callable[[float], None] = field(default=time.sleep)

    def compare(self, run: ReconciliationRun) -> list[Difference]:
        """What moved through every look is left to the next run."""
        missed: list[Difference] = []
        look = self._looked(run, missed)
        context = self.work.context
        context.positions.clear()
        context.positions.update({(row.symbol, row.position_idx): row for row in look.rows})
        held = {f"{row.symbol}/{row.position_idx}": row for row in look.rows}
        unproven = look.moving | {row.subject for row in look.found if row.kind is Kind.POSITION_MISMATCH}
        with self.work.books():
            for difference in look.found:
                position_repair(context, self.work.hearing, run, difference, held.get(difference.subject))
            self.work.close_gone(look.found, _JUDGED_BY_BOTH, unproven=unproven)
            self.work.close_gone(look.found, (Kind.STOP_MISSING,))
        return missed + look.found

    def _looked(self, run: ReconciliationRun, missed: list[Difference]) -> Look:
        """Executions are asked after the positions: whatever these hold must be among them, or it is unexplained."""
        said: dict[str, tuple[Difference, int]] = {}
        for number in range(1, _LOOKS + 1):
            self.work.keep()
            self.work.drain()
            before = fill_counts(self.work.context.account_id)
            rows = patiently(self.work.context.gateway.positions)
            self.work.drain()
            found = self._differences(rows)
            doubtful = {row.subject: row for row in found if row.kind in _DOUBTFUL}
            if not doubtful:
                break
            if self._is_news(doubtful):
                self.sleep(_LAG_S)
            missed += self.history.book_recent(run)
            after = fill_counts(self.work.context.account_id)
            certain = {
                subject for subject, row in doubtful.items() if said.get(subject) == (row, after.get(subject, 0))
            }
            moving = frozenset(doubtful.keys() - certain)
            if not moving:
                break
            if number == _LOOKS:
                log.warning("positions_moving", subjects=sorted(moving))
                still = [row for row in found if row.subject not in moving or row.kind not in _DOUBTFUL]
                return Look(rows, still, moving)
            said = {subject: (row, before.get(subject, 0)) for subject, row in doubtful.items()}
        return Look(rows, found)

    def _is_news(self, doubtful: Mapping[str, Difference]) -> bool:
        known = ReconciliationFinding.objects.filter(account_id=self.work.context.account_id, is_open=True)
        return not {(row.kind.value, row.subject) for row in doubtful.values()} <= set(
            known.values_list("kind", "subject")
        )

    def _differences(self, rows: list[VenuePosition]) -> list[Difference]:
        """Exits are held against every position whose size is not itself in question."""
        books = self.work.picture([], set())
        picture = VenuePicture(None, rows, None, history_start_ms=self.history.start_ms())
        found = differences.position_differences(books, picture)
        in_question = {row.subject for row in found if row.kind in _SIZE_KINDS}
        listed = patiently(self.work.context.gateway.open_orders)
        exits = differences.exit_differences(books, VenuePicture(listed, rows, None))
        return found + [row for row in exits if row.subject not in in_question]
