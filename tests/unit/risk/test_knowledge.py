import pytest

from risk.core.snapshot import Freshness, Reconciliation
from tests.support.risk import NOW_MS, outcome_of, snapshot


@pytest.mark.parametrize(
    ("age_ms", "passes"), [(0, True), (119_999, True), (120_000, False), (120_001, False), (-120_000, False)]
)
def test_reconciliation_must_be_younger_than_two_minutes(age_ms: int, passes: bool) -> None:
    seen = snapshot(reconciliation=Reconciliation(NOW_MS - age_ms, good=True))
    assert outcome_of("reconciled", seen=seen).passed is passes


def test_a_bad_or_missing_reconciliation_refuses() -> None:
    assert not outcome_of("reconciled", seen=snapshot(reconciliation=Reconciliation(NOW_MS, good=False))).passed
    assert not outcome_of("reconciled", seen=snapshot(reconciliation=Reconciliation(None, good=True))).passed


@pytest.mark.parametrize(
    ("book_age_ms", "bar_age_ms", "passes"),
    [
        (10_000, 600_000, True),
        (9_999, 599_999, True),
        (10_001, 600_000, False),
        (10_000, 600_001, False),
        (-10_001, 0, False),
        (0, -600_001, False),
    ],
)
def test_book_within_ten_seconds_and_bars_within_two(book_age_ms: int, bar_age_ms: int, passes: bool) -> None:
    seen = snapshot(freshness=(Freshness("BTCUSDT", NOW_MS - book_age_ms, NOW_MS - bar_age_ms),))
    assert outcome_of("stale_data", seen=seen).passed is passes


@pytest.mark.parametrize(
    ("freshness", "word"),
    [
        ((), "order book"),
        ((Freshness("BTCUSDT", None, NOW_MS),), "order book"),
        ((Freshness("BTCUSDT", NOW_MS, None),), "bars"),
        ((Freshness("ETHUSDT", NOW_MS, NOW_MS),), "order book"),
    ],
)
def test_what_never_came_is_named(freshness: tuple[Freshness, ...], word: str) -> None:
    refused = outcome_of("stale_data", seen=snapshot(freshness=freshness))
    assert not refused.passed
    assert refused.sentence == f"No {word} of BTCUSDT was received yet."


def test_two_bars_are_counted_in_the_symbols_own_interval() -> None:
    seen = snapshot(freshness=(Freshness("BTCUSDT", NOW_MS, NOW_MS - 120_001, bar_interval_min=1),))
    assert not outcome_of("stale_data", seen=seen).passed


@pytest.mark.parametrize(("offset_ms", "passes"), [(1_000, True), (-1_000, True), (1_001, False), (-1_001, False)])
def test_clock_offset(offset_ms: int, passes: bool) -> None:
    assert outcome_of("clock", seen=snapshot(clock_offset_ms=offset_ms)).passed is passes


def test_a_part_that_is_down_stops_new_risk() -> None:
    refused = outcome_of("dependencies", seen=snapshot(unavailable=("the rate budget", "redis")))
    assert not refused.passed
    assert refused.numbers == {"down": "redis, the rate budget"}
    assert outcome_of("dependencies").passed
