"""The doctor's judgements at their edges."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from avigrid.kernel.portfolio import KeyInfo
from trading.engine import diagnosis
from trading.engine.diagnosis import GIB, Check, Level

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
GOOD_KEY = KeyInfo(read_only=False, can_trade=True, can_withdraw=False, ip_bound=True, user_id="1", expires="")


@pytest.mark.parametrize(
    ("check", "level"),
    [
        (diagnosis.python_version((3, 11, 9)), "fail"),
        (diagnosis.python_version((3, 12, 0)), "ok"),
        (diagnosis.disk("x", GIB - 1, 100 * GIB), "fail"),
        (diagnosis.disk("x", GIB, 100 * GIB), "warn"),
        (diagnosis.disk("x", 5 * GIB - 1, 100 * GIB), "warn"),
        (diagnosis.disk("x", 5 * GIB, 100 * GIB), "ok"),
        (diagnosis.disk("x", 49 * GIB, 1000 * GIB), "warn"),
        (diagnosis.debug_mode(is_on=True, is_demo=False, environments=["mainnet"]), "fail"),
        (diagnosis.debug_mode(is_on=False, is_demo=True, environments=["mainnet"]), "fail"),
        (diagnosis.debug_mode(is_on=True, is_demo=False, environments=["testnet"]), "info"),
        (diagnosis.debug_mode(is_on=False, is_demo=False, environments=["mainnet"]), "ok"),
        (diagnosis.research(is_on=True, workers=0, waiting=3), "warn"),
        (diagnosis.research(is_on=True, workers=1, waiting=3), "ok"),
        (diagnosis.research(is_on=False, workers=0, waiting=0), "info"),
        (diagnosis.mail(is_configured=False, is_demo=False, error=""), "warn"),
        (diagnosis.mail(is_configured=False, is_demo=True, error=""), "info"),
        (diagnosis.mail(is_configured=True, is_demo=False, error="ConnectionRefusedError"), "warn"),
        (diagnosis.mail(is_configured=True, is_demo=False, error=""), "ok"),
        (diagnosis.proxies(are_named=False, are_expected=False, unnamed=None), "ok"),
        (diagnosis.proxies(are_named=False, are_expected=True, unnamed=None), "warn"),
        (diagnosis.proxies(are_named=True, are_expected=True, unnamed=None), "ok"),
        (diagnosis.proxies(are_named=True, are_expected=True, unnamed="10.0.0.9"), "warn"),
        (diagnosis.database_version(139_999), "fail"),
        (diagnosis.database_version(140_000), "ok"),
        (diagnosis.database_away("X"), "fail"),
        (diagnosis.migrations(["trading.0001"]), "fail"),
        (diagnosis.migrations([]), "ok"),
        (diagnosis.timescale(None), "info"),
        (diagnosis.timescale("2.25.0"), "info"),
        (diagnosis.connections(91, 100), "warn"),
        (diagnosis.connections(90, 100), "ok"),
        (diagnosis.redis_away("X"), "fail"),
        (diagnosis.redis_version("6.0.16", "noeviction"), "fail"),
        (diagnosis.redis_version("6.2.0", "noeviction"), "ok"),
        (diagnosis.redis_version("7.2.4", "allkeys-lru"), "warn"),
        (diagnosis.redis_version("7.2.4", ""), "ok"),
        (diagnosis.redis_version("unknown", ""), "fail"),
        (diagnosis.cipher("otp", works=False, kind="vault", sentence="sealed.", environments=[]), "fail"),
        (diagnosis.cipher("otp", works=True, kind="local", sentence="x.", environments=["mainnet"]), "fail"),
        (diagnosis.cipher("otp", works=True, kind="local", sentence="x.", environments=["demo"]), "ok"),
        (diagnosis.cipher("otp", works=True, kind="vault", sentence="x.", environments=["mainnet"]), "ok"),
        (diagnosis.exchange_away("mainnet", "X"), "fail"),
        (diagnosis.clock_offset("mainnet", 500), "ok"),
        (diagnosis.clock_offset("mainnet", -501), "warn"),
        (diagnosis.clock_offset("mainnet", 1_000), "warn"),
        (diagnosis.clock_offset("mainnet", -1_001), "fail"),
        (diagnosis.clock_offset("simulated", 10**9), "ok"),
        (diagnosis.symbols(["A", "B"], ["A", "B", "C"]), "ok"),
        (diagnosis.symbols(["A", "B"], ["A"]), "warn"),
        (diagnosis.symbols(["A", "B"], ["C"]), "fail"),
        (diagnosis.symbols([], ["C"]), "fail"),
        (diagnosis.no_account(), "warn"),
        (diagnosis.no_key("a"), "fail"),
        (diagnosis.position_mode("a", wants_hedge=True, rows_of_a_symbol=2), "ok"),
        (diagnosis.position_mode("a", wants_hedge=True, rows_of_a_symbol=1), "warn"),
        (diagnosis.position_mode("a", wants_hedge=False, rows_of_a_symbol=2), "warn"),
        (diagnosis.heartbeat("x", None, "c"), "warn"),
        (diagnosis.heartbeat("x", 30.0, "c"), "ok"),
        (diagnosis.heartbeat("x", 30.1, "c"), "fail"),
        (diagnosis.reconciliation("a", None), "warn"),
        (diagnosis.reconciliation("a", 120.0), "ok"),
        (diagnosis.reconciliation("a", 120.1), "fail"),
        (diagnosis.strategy(None), "warn"),
        (diagnosis.strategy("avi5 v1"), "ok"),
        (diagnosis.notifications(0, 0, 0), "warn"),
        (diagnosis.notifications(1, 5, 301), "warn"),
        (diagnosis.notifications(1, 5, 300), "ok"),
        (diagnosis.skipped("x", "y"), "skipped"),
    ],
)
def test_edges(check: Check, level: str) -> None:
    assert check.level == level
    assert check.sentence.endswith(".")
    assert bool(check.mend) == (check.level in (Level.WARN, Level.FAIL))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [("ok", "cannot withdraw")]),
        ({"can_withdraw": True}, [("fail", "may withdraw")]),
        ({"read_only": True}, [("fail", "may not trade")]),
        ({"can_trade": False}, [("fail", "may not trade")]),
        ({"ip_bound": False}, [("warn", "any address")]),
        ({"expires": "2026-01-05T11:59:59Z"}, [("fail", "has expired")]),
        ({"expires": "2026-01-18T12:00:00Z"}, [("warn", "expires in 13 days")]),
        ({"expires": "2026-01-19T12:00:00Z"}, [("ok", "cannot withdraw")]),
        ({"expires": "soon"}, [("ok", "cannot withdraw")]),
        ({"can_withdraw": True, "ip_bound": False}, [("fail", "may withdraw"), ("warn", "any address")]),
    ],
)
def test_everything_wrong_with_a_key_is_said(changes: dict[str, object], expected: list[tuple[str, str]]) -> None:
    checks = diagnosis.key("desk", replace(GOOD_KEY, **changes), NOW)
    assert [check.level.value for check in checks] == [level for level, _ in expected]
    assert all(words in check.sentence for check, (_, words) in zip(checks, expected, strict=True))


def test_the_worst_check_gives_the_exit_code() -> None:
    ok, warn, fail = (Check("x", level, "x.") for level in (Level.OK, Level.WARN, Level.FAIL))
    assert diagnosis.exit_code([]) == 0
    assert diagnosis.exit_code([ok, Check("x", Level.INFO, "x."), Check("x", Level.SKIPPED, "x.")]) == 0
    assert diagnosis.exit_code([warn, ok]) == 1
    assert diagnosis.exit_code([fail, warn]) == 2
