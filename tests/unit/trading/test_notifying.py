"""Severities, quiet hours and waits, by the clock."""

from datetime import UTC, datetime, time, timedelta

import pytest

from trading.engine.notifying import MAX_ATTEMPTS, Manner, QuietHours, is_hopeless, quiet_until, wait_s, wants

NIGHT = Manner("info", QuietHours(time(22), time(7), "Europe/Berlin"))
DAY = Manner("info", QuietHours(time(9), time(17)))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("manner", "now", "until"),
    [
        (DAY, "2026-01-05T08:59:59", None),
        (DAY, "2026-01-05T09:00:00", "2026-01-05T17:00:00"),
        (DAY, "2026-01-05T16:59:59", "2026-01-05T17:00:00"),
        (DAY, "2026-01-05T17:00:00", None),
        # Berlin is one hour ahead in January
        (NIGHT, "2026-01-05T20:59:00", None),
        (NIGHT, "2026-01-05T21:00:00", "2026-01-06T06:00:00"),
        (NIGHT, "2026-01-06T05:59:00", "2026-01-06T06:00:00"),
        (NIGHT, "2026-01-06T06:00:00", None),
        # the night the clocks go forward: 7:00 summer time is 5:00 UTC
        (NIGHT, "2026-03-28T23:00:00", "2026-03-29T05:00:00"),
        (Manner("info", QuietHours(time(5), time(5))), "2026-01-05T05:00:00", None),
        (Manner(), "2026-01-05T05:00:00", None),
    ],
)
def test_quiet_hours_begin_and_end_on_the_local_clock(manner: Manner, now: str, until: str | None) -> None:
    expected = None if until is None else at(until)
    assert quiet_until(manner, severity="warning", now=at(now)) == expected


@pytest.mark.parametrize("severity", ["critical", "never heard of"])
def test_what_is_grave_knows_no_quiet(severity: str) -> None:
    assert quiet_until(DAY, severity=severity, now=at("2026-01-05T12:00:00")) is None


def test_waits_double_up_to_an_hour_and_jitter_only_shortens() -> None:
    assert [wait_s(attempts, chance=0.0) for attempts in (1, 2, 3, 4)] == [5.0, 10.0, 20.0, 40.0]
    assert wait_s(11, chance=0.0) == 3600.0
    assert wait_s(400, chance=0.0) == 3600.0
    assert wait_s(1, chance=0.5) == pytest.approx(4.5)
    assert wait_s(1, chance=1.0) == pytest.approx(4.0)


def test_hopeless_after_many_attempts_or_a_day() -> None:
    assert not is_hopeless(attempts=MAX_ATTEMPTS - 1, age=timedelta(hours=24))
    assert is_hopeless(attempts=MAX_ATTEMPTS, age=timedelta())
    assert is_hopeless(attempts=1, age=timedelta(hours=24, seconds=1))


def test_who_wants_what() -> None:
    assert not wants(Manner("info"), kind="note", severity="info")
    assert wants(Manner("info"), kind="plan_closed", severity="info")
    assert not wants(Manner("warning"), kind="plan_closed", severity="info")
    assert wants(Manner("critical"), kind="note", severity="unheard of")
