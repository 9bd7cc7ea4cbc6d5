from decimal import Decimal

import pytest

from risk.core.drawdown import DrawdownLevel, drawdown_level, drawdown_ratio, peak_after
from risk.core.limits import RiskLimits
from risk.core.snapshot import DayResult, Guards, Snapshot
from risk.core.states import State
from tests.support.risk import outcome_of, snapshot


def _day(realised: str, open_loss: str, midnight: str = "0") -> Snapshot:
    return snapshot(
        day=DayResult(Decimal(realised), Decimal(open_loss)),
        guards=Guards(open_loss_at_midnight_usd=Decimal(midnight)),
    )


@pytest.mark.parametrize(
    ("realised", "open_loss", "passes"),
    [("-99.99", "0", True), ("-100", "0", False), ("-60", "39.99", True), ("-60", "40", False), ("50", "149", True)],
)
def test_daily_loss_is_realised_plus_open_and_stops_at_five_r(realised: str, open_loss: str, passes: bool) -> None:
    assert outcome_of("daily_loss_r", seen=_day(realised, open_loss)).passed is passes


def test_an_open_loss_carried_over_midnight_is_not_todays() -> None:
    assert outcome_of("daily_loss_r", seen=_day("0", "120", "120")).numbers["loss_usd"] == 0
    # closed today exactly at yesterday's mark: nothing was lost today
    assert outcome_of("daily_loss_r", seen=_day("-120", "0", "120")).numbers["loss_usd"] == 0
    assert not outcome_of("daily_loss_r", seen=_day("0", "220", "120")).passed


@pytest.mark.parametrize(
    ("equity", "level", "passes", "warns"),
    [
        ("9000.01", "none", True, False),
        ("9000", "yellow", True, True),
        ("8500.01", "yellow", True, True),
        ("8500", "orange", False, False),
        ("7500.01", "orange", False, False),
        ("7500", "red", False, False),
        ("-1", "red", False, False),
        ("12000", "none", True, False),
    ],
)
def test_drawdown_levels(equity: str, level: str, passes: bool, warns: bool) -> None:
    seen = snapshot(equity_usd=Decimal(equity), guards=Guards(peak_equity_usd=Decimal(10_000)))
    found = outcome_of("drawdown", seen=seen)
    assert (found.numbers["level"], found.passed, found.warning) == (level, passes, warns)


def test_levels_demand_states() -> None:
    assert [level.demands for level in DrawdownLevel] == [State.ACTIVE, State.ACTIVE, State.REDUCING, State.HALTED]


def test_without_a_peak_there_is_no_drawdown() -> None:
    assert drawdown_level(Decimal(5), None, RiskLimits()) is DrawdownLevel.NONE
    assert drawdown_ratio(Decimal(5), None) == 0


def test_the_peak_only_rises_with_equity() -> None:
    assert peak_after(None, Decimal(100)) == 100
    assert peak_after(Decimal(100), Decimal(90)) == 100
    assert peak_after(Decimal(100), Decimal(110)) == 110


@pytest.mark.parametrize(("transfer", "equity_after", "peak_after_it"), [(800, 1600, 2000), (-400, 400, 500)])
def test_a_transfer_keeps_the_drawdown_as_it_was(transfer: int, equity_after: int, peak_after_it: int) -> None:
    # 800 of a peak of 1000: 20 % down before, 20 % down after
    peak = peak_after(Decimal(1000), Decimal(equity_after), transfer_usd=Decimal(transfer))
    assert peak == peak_after_it
    assert drawdown_ratio(Decimal(equity_after), peak) == Decimal("0.2")


def test_a_first_deposit_is_the_peak() -> None:
    assert peak_after(Decimal(0), Decimal(500), transfer_usd=Decimal(500)) == 500
