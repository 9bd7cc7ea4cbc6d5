from dataclasses import replace

import pytest

from risk.core.limits import RiskLimits
from risk.core.request import OrderLine
from risk.core.snapshot import Guards, LastEntry
from risk.core.verdict import Ruling, evaluate
from tests.support.risk import NOW_MS, opening, outcome_of, snapshot

ENTRY = LastEntry("BTCUSDT", 1, NOW_MS - 899_000)


@pytest.mark.parametrize(("ago_ms", "passes"), [(899_999, False), (900_000, True), (900_001, True)])
def test_anti_churn_waits_fifteen_minutes(ago_ms: int, passes: bool) -> None:
    seen = snapshot(last_entries=(LastEntry("BTCUSDT", 1, NOW_MS - ago_ms),))
    found = outcome_of("anti_churn", seen=seen)
    assert found.passed is passes
    assert found.available_at_ms == (None if passes else NOW_MS - ago_ms + 900_000)


def test_anti_churn_looks_at_what_risk_itself_noted_too() -> None:
    assert not outcome_of("anti_churn", seen=snapshot(guards=Guards(entries=(ENTRY,)))).passed


@pytest.mark.parametrize("entry", [replace(ENTRY, symbol="ETHUSDT"), replace(ENTRY, direction=-1)])
def test_other_symbols_and_the_other_side_are_free(entry: LastEntry) -> None:
    assert outcome_of("anti_churn", seen=snapshot(last_entries=(entry,))).passed


def test_anti_churn_alone_queues_and_names_the_time() -> None:
    verdict = evaluate(opening(), snapshot(last_entries=(ENTRY,)), RiskLimits(), NOW_MS)
    assert verdict.ruling is Ruling.QUEUE
    assert verdict.available_at_ms == NOW_MS + 1_000
    assert not verdict.allowed
    assert verdict.sentence == "The last long entry on BTCUSDT was too recent; free in 1 s."


def test_with_any_other_refusal_it_is_a_denial() -> None:
    seen = snapshot(last_entries=(ENTRY,), clock_offset_ms=5_000)
    verdict = evaluate(opening(), seen, RiskLimits(), NOW_MS)
    assert verdict.ruling is Ruling.DENY
    assert verdict.available_at_ms is None
    assert [outcome.code for outcome in verdict.refusals] == ["clock", "anti_churn"]


@pytest.mark.parametrize(
    ("stops", "ago_ms", "passes"),
    [
        (3, 0, True),
        (4, 0, False),
        (4, 3_599_999, False),
        (4, 3_600_000, True),
        (5, 3_599_999, False),
        (5, 3_600_001, True),
    ],
)
def test_four_stops_in_a_row_pause_for_an_hour(stops: int, ago_ms: int, passes: bool) -> None:
    seen = snapshot(guards=Guards(stop_streak=stops, last_stop_ms=NOW_MS - ago_ms))
    assert outcome_of("loss_streak", seen=seen).passed is passes


@pytest.mark.parametrize(
    ("minute", "day", "passes"),
    [(58, 0, True), (59, 0, False), (0, 4_998, True), (0, 4_999, False), (59, 4_999, False)],
)
def test_order_budget_counts_every_line(minute: int, day: int, passes: bool) -> None:
    half = OrderLine(opening().lines[0].quantity, opening().lines[0].price)
    request = opening(lines=(half, half))
    seen = snapshot(orders_last_minute=minute, orders_today=day)
    assert outcome_of("order_budget", request, seen).passed is passes
