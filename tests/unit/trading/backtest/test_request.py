"""Research requests: what is asked for, and sentences that name the field where it is wrong."""

from decimal import Decimal
from typing import Any

import pytest

from avigrid.kernel.errors import Rejected
from avigrid.kernel.instrument import FeeRates
from trading.avi5.config import StrategyConfig
from trading.backtest.request import read_request
from trading.backtest.walk_forward import WalkForward

BASE = StrategyConfig(theta=0.4)


def test_everything_said_is_understood() -> None:
    asked = read_request(
        "sweep",
        {
            "symbols": ["BTCUSDT", "ETHUSDT", "BTCUSDT"],
            "config": {"profile": "grid"},
            "from": "2026-01-01",
            "to": "2026-01-02T06:00",
            "r_usd": "25",
            "equity_usd": 5000,
            "taker_fee": "0.001",
            "maker_fee": -0.0001,
            "axes": {"theta": [0.3, 0.5]},
        },
        base=BASE,
    )
    assert asked.symbols == ("BTCUSDT", "ETHUSDT")
    assert (asked.config.theta, asked.config.profile.value) == (0.4, "grid")
    assert (asked.from_ms, asked.to_ms) == (1_767_225_600_000, 1_767_333_600_000)
    assert (asked.settings.r_usd, asked.settings.start_equity_usd) == (Decimal(25), Decimal(5000))
    assert asked.settings.fees == FeeRates(Decimal("0.001"), Decimal("-0.0001"))
    assert asked.sweep is not None
    assert asked.sweep.size == 2
    assert asked.walk is None


def test_what_calibration_goes_by_can_be_chosen() -> None:
    usual = read_request("calibrate", {"symbols": ["BTCUSDT"]}, base=BASE)
    assert usual.walk == WalkForward()
    assert usual.settings.anti_churn_ms == 900_000
    asked = read_request(
        "calibrate",
        {
            "symbols": ["BTCUSDT"],
            "thetas": [0.4, "0.2", 0.4],
            "least_trades": 5,
            "least_trades_out": 3,
            "accept_pf": "1.5",
            "psi_limit": 0,
            "anti_churn_s": 0,
        },
        base=BASE,
    )
    assert asked.walk == WalkForward(
        thetas=(0.2, 0.4), least_trades=5, least_trades_out=3, accept_pf=1.5, psi_limit=0.0
    )
    assert asked.settings.anti_churn_ms == 0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("thetas", [], "1 to 50 numbers from 0 to 1"),
        ("thetas", "0.2", "list"),
        ("thetas", [0.2, 1.1], "from 0 to 1"),
        ("thetas", [True], "from 0 to 1"),
        ("thetas", [float("nan")], "from 0 to 1"),
        ("least_trades", 0, "1 to 10000"),
        ("least_trades_out", 1.5, "whole number"),
        ("accept_pf", 0.9, "from 1 to 100"),
        ("accept_pf", "nan", "from 1 to 100"),
        ("psi_limit", -0.1, "from 0 to 100"),
        ("psi_limit", 10**400, "from 0 to 100"),
        ("anti_churn_s", 86_401, "0 to 86400"),
    ],
)
def test_a_wrong_number_of_a_calibration_is_named(name: str, value: object, words: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_request("calibrate", {"symbols": ["BTCUSDT"], name: value}, base=BASE)
    assert refused.value.details["field"] == name
    assert words in refused.value.message
    assert name in refused.value.message


def test_a_short_training_window_is_its_own_short_window() -> None:
    asked = read_request("calibrate", {"symbols": ["BTCUSDT"], "train_days": 60, "test_days": 10}, base=BASE)
    assert asked.settings.fees == FeeRates(Decimal("0.00055"), Decimal("0.0002"))
    assert asked.walk is not None
    assert (asked.walk.train_days, asked.walk.short_train_days, asked.walk.step_days) == (60, 60, 30)


@pytest.mark.parametrize(
    ("kind", "changes", "field", "words"),
    [
        ("guess", {}, "kind", "one of backtest, sweep, calibrate"),
        ("backtest", {"symbols": []}, "symbols", "1 to 50"),
        ("backtest", {"symbols": [f"S{n}" for n in range(51)]}, "symbols", "got 51"),
        ("backtest", {"symbols": "BTCUSDT"}, "symbols", "list of names"),
        ("backtest", {"symbols": ["BTC\x00"]}, "symbols", "capital letters and digits"),
        ("backtest", {"config": {"theta": 10**400}}, "theta", "from 0 to 1"),
        ("backtest", {"config": {"dead_hours": [float("inf")]}}, "dead_hours", "must hold numbers"),
        ("backtest", {"config": {"tp_shares": [10**400]}}, "tp_shares", "must hold numbers"),
        ("backtest", {"config": {"version": "1\x00"}}, "version", "wrong type"),
        ("backtest", {"axes": {"theta": [0.3]}}, "axes", "knows no field 'axes'"),
        ("backtest", {"config": {"theta": 7}}, "theta", "theta"),
        ("backtest", {"config": {"thera": 0.3}}, "thera", "unknown field 'thera'"),
        ("backtest", {"config": [1]}, "config", "object"),
        ("backtest", {"from": "yesterday"}, "from", "2026-01-31"),
        ("backtest", {"from": "2026-02-01", "to": "2026-02-01"}, "from", "before"),
        ("backtest", {"r_usd": "0"}, "r_usd", "above 0"),
        ("backtest", {"r_usd": True}, "r_usd", "above 0"),
        ("backtest", {"equity_usd": "NaN"}, "equity_usd", "above 0"),
        ("backtest", {"taker_fee": "0.055"}, "taker_fee", "from 0 to 0.01"),
        ("backtest", {"taker_fee": True}, "taker_fee", "ratio"),
        ("backtest", {"maker_fee": "-0.02"}, "maker_fee", "from -0.01 to 0.01"),
        ("backtest", {"taker_fee": "0.0001", "maker_fee": "-0.0002"}, "maker_fee", "gives back more"),
        ("sweep", {}, "axes", "object of field"),
        ("sweep", {"axes": {"stop_x": [1]}}, "axes.stop_x", "no field 'stop_x'"),
        ("sweep", {"axes": {"theta": []}}, "axes.theta", "list of values"),
        ("calibrate", {"train_days": 0}, "train_days", "1 to 1000"),
        ("calibrate", {"test_days": 2.5}, "test_days", "whole number"),
    ],
)
def test_a_wrong_request_names_its_field(kind: str, changes: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_request(kind, {"symbols": ["BTCUSDT"], **changes}, base=BASE)
    assert refused.value.details["field"] == field
    assert words in refused.value.message
