"""The plan of a chaos run: reproducible from its seed, and nothing that can be killed is left out."""

from collections import Counter
from pathlib import Path

from tests.chaos.schedule import KILLS, explained, schedule
from tests.chaos.wire import FAULTS
from trading.runtime import faults
from trading.runtime.faults import POINTS

RUNTIME = Path(faults.__file__).parent


def test_a_seed_is_the_whole_plan() -> None:
    assert list(schedule(60, 7)) == list(schedule(60, 7))
    assert list(schedule(60, 7)) != list(schedule(60, 8))
    assert list(schedule(60, 7))[:20] == list(schedule(20, 7))


def test_a_halt_is_excused_only_by_what_was_done() -> None:
    rounds = list(schedule(200, 1))
    for source in ("reconciliation", "drawdown", "daily_loss", "alert_webhook", "protection", "operator"):
        assert not any(explained(turn, source) for turn in rounds)
    for source in ("command", "watchdog", "stale_data", "error_rate"):
        assert 0 < sum(explained(turn, source) for turn in rounds) < 200
    calm = next(turn for turn in rounds if turn.victim == "web" and turn.fault is None and not turn.flatten)
    assert not any(explained(calm, source) for source in ("command", "watchdog", "stale_data", "error_rate"))


def test_two_hundred_rounds_leave_nothing_out() -> None:
    rounds = list(schedule(200, 1))
    killed = Counter(turn.victim for turn in rounds if not turn.fault_point)
    points = Counter(turn.fault_point for turn in rounds if turn.fault_point)
    injected = Counter(turn.fault["name"] for turn in rounds if turn.fault)
    assert set(killed) == {"execution", "market_data", "worker", "web", "postgres", "redis"} == set(KILLS)
    assert min(killed.values()) >= 7
    assert set(points) == set(POINTS)
    assert min(points.values()) >= 7
    assert set(injected) == {fault["name"] for fault in FAULTS}
    assert any(turn.flatten for turn in rounds)


def test_one_deck_visits_every_fault_point() -> None:
    deck = list(schedule(27, 3))
    assert {turn.fault_point for turn in deck if turn.fault_point} == set(POINTS)


def test_every_listed_point_is_marked_in_the_code_once() -> None:
    source = "\n".join(path.read_text() for path in RUNTIME.glob("*.py") if path.name != "faults.py")
    assert Counter(
        source.split('fault_point("')[n].split('"')[0] for n in range(1, source.count('fault_point("') + 1)
    ) == (Counter(POINTS))
