"""What happens in which round: all of it from the seed, and every kind of kill and every fault point in its turn."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos.wire import FAULTS
from trading.runtime.faults import POINTS

PROCESSES = ("execution", "market_data", "worker", "web")
SERVERS = ("postgres", "redis")
KILLS = (*PROCESSES, *SERVERS)
_KILLS_A_DECK = {"execution": 3, "market_data": 1, "worker": 1, "web": 1, "postgres": 2, "redis": 2}
_CALM_A_DECK = 4
AT_START = ("before_reconciliation", "after_reconciliation_fetch", "after_startup")
"""Visited by every start, and seldom later: execution is restarted into them."""
_RARE = ("after_cancel", "before_set_stop", "after_set_stop", "while_flattening", "after_evidence", *AT_START)
_LOST_ANSWER = FAULTS[0]
_FLATTEN_SHARE = 0.08


@dataclass(frozen=True, slots=True)
class Round:
    """`fault_point` is "" where `victim` is simply killed; otherwise execution dies there, at the `visit`-th time."""

    number: int
    victim: str
    fault_point: str
    visit: int
    fault: Mapping[str, Any] | None
    trade_s: float
    after_s: float
    flatten: bool

    @property
    def name(self) -> str:
        return f"execution at {self.fault_point}" if self.fault_point else self.victim


def explained(turn: Round, source: str) -> bool:
    """Whether what was done in this round may end in a halt of that source; any other halt is a breach."""
    fault = str(turn.fault["name"]) if turn.fault is not None else ""
    is_cut_off = fault in ("disconnect", "exchange_restart", "latency")
    return {
        "command": turn.flatten,
        "watchdog": turn.victim in ("execution", "market_data", *SERVERS),
        "stale_data": turn.victim in ("market_data", *SERVERS) or is_cut_off,
        "error_rate": turn.fault is not None,
    }.get(source, False)


def schedule(rounds: int, seed: int) -> Iterator[Round]:
    """Decks are dealt to their end before they are shuffled anew: nothing waits longer than two of them."""
    rng = random.Random(seed)
    kills = _dealt(rng, [(name, "") for name, n in _KILLS_A_DECK.items() for _ in range(n)], POINTS)
    faults = _shuffled(rng, [*FAULTS, *(None,) * _CALM_A_DECK])
    for number in range(1, rounds + 1):
        victim, point = next(kills)
        yield Round(
            number=number,
            victim=victim,
            fault_point=point,
            visit=1 if point in _RARE else rng.randint(1, 3),
            fault=_LOST_ANSWER if point == "after_evidence" else next(faults),
            trade_s=round(rng.uniform(0.8, 2.2), 2),
            after_s=round(rng.uniform(0.3, 1.2), 2),
            flatten=point == "while_flattening" or rng.random() < _FLATTEN_SHARE,
        )


def _dealt(rng: random.Random, kills: list[tuple[str, str]], points: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    yield from _shuffled(rng, kills + [("execution", point) for point in points])


def _shuffled[Card](rng: random.Random, deck: list[Card]) -> Iterator[Card]:
    while True:
        rng.shuffle(deck)
        yield from deck
