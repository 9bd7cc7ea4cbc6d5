"""The harness's own eyes: what they must not overlook, and what they must not call a breach."""

from decimal import Decimal
from typing import Any

from avigrid.common.heartbeats import ProcessLife
from tests.chaos.witness import Witness


def _state(clock: int, size: str, stop: str, opened: int = 0) -> dict[str, Any]:
    row = {"symbol": "SOLUSDT", "positionIdx": 1, "size": size, "stopLoss": stop, "openTime": opened}
    return {"clock": {"now_ms": clock}, "positions": [row]}


def _life(pid: int, most: str) -> ProcessLife:
    return ProcessLife("execution:1", 0.5, pid, "here", 9.0, {"unprotected_qty_max": most})


def test_a_position_counts_from_its_first_fill_on() -> None:
    witness = Witness("execution:1")
    witness.see(_state(10_000, "0", ""))
    witness.see(_state(15_000, "2", "", opened=14_000))
    assert witness.breaches() == []
    witness.see(_state(15_001, "2", "", opened=14_000))
    assert witness.breaches() == ["SOLUSDT/1: no stop at the venue for 1001 ms"]


def test_a_stop_taken_away_counts_from_when_it_was_last_seen() -> None:
    witness = Witness("execution:1")
    witness.see(_state(20_000, "2", "95.5", opened=1_000))
    witness.see(_state(21_000, "2", "", opened=1_000))
    witness.see(_state(21_500, "2", "95.5", opened=1_000))
    witness.see(_state(22_400, "2", "", opened=1_000))
    assert witness.breaches() == []
    witness.see(_state(22_600, "2", "0", opened=1_000))
    assert witness.breaches() == ["SOLUSDT/1: no stop at the venue for 1100 ms"]


def test_what_a_life_said_of_itself_outlives_it() -> None:
    witness = Witness("execution:1")
    witness.hear([_life(7, "0.3"), ProcessLife("watchdog", 0.5, 8, "here", 9.0, {"unprotected_qty_max": "5"})])
    witness.hear([_life(9, "0")])
    assert witness.breaches() == [f"{Decimal('0.3')} had no stop for longer than a second (process 7)"]
