"""What a run says about itself: how often what was killed, hit, injected and traded, and how long recovery took."""

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.schedule import KILLS, Round
from trading.runtime.faults import POINTS


@dataclass(slots=True)
class Tally:
    killed: Counter[str] = field(default_factory=Counter)
    points_hit: Counter[str] = field(default_factory=Counter)
    points_missed: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    recovery_s: list[float] = field(default_factory=list)
    restart_s: list[float] = field(default_factory=list)
    flattened: int = 0
    halts_ended: int = 0
    carried: int = 0
    """Orders taken in doubt from one round into the next."""

    def killed_in(self, turn: Round, *, at_point: bool) -> None:
        self.killed[turn.victim] += 1
        if turn.fault_point:
            (self.points_hit if at_point else self.points_missed)[turn.fault_point] += 1

    def as_rows(self) -> dict[str, object]:
        return {
            "kills": {name: self.killed[name] for name in KILLS},
            "fault_points_hit": {name: self.points_hit[name] for name in POINTS},
            "fault_points_not_reached_in_their_round": dict(self.points_missed),
            "faults_injected": dict(sorted(self.faults.items())),
            "flattened_through_a_kill": self.flattened,
            "halts_ended": self.halts_ended,
            "orders_carried_in_doubt": self.carried,
            "recovery_s": _spread(self.recovery_s),
            "execution_restart_s": _spread(self.restart_s),
        }


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {}
    return {"median": ordered[len(ordered) // 2], "p95": ordered[int(len(ordered) * 0.95)], "longest": ordered[-1]}
