"""Calibration: it picks what a replay would trade, never sees the test window, and judges as written."""

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.trading.backtest.synthetic import START_MS, filters, market
from trading.avi5.config import StrategyConfig
from trading.avi5.window import BAR_5M_MS
from trading.backtest import walk_forward
from trading.backtest.data import MarketData, prepare
from trading.backtest.driver import run_backtest
from trading.backtest.result import BacktestSettings
from trading.backtest.series import MissingWarmUp
from trading.backtest.signal_table import SignalTable, pick, signal_table
from trading.backtest.walk_forward import (
    DAY_MS,
    Calibration,
    TooShort,
    WalkForward,
    _judge,
    calibrate,
    population_stability,
)

LOOSE = StrategyConfig(max_cost_r=1.0, max_slippage_bps=60.0, time_exit_ms=7_200_000)
WALK = WalkForward(train_days=20, test_days=5, step_days=5, short_train_days=10, least_trades=3)
SETTINGS = BacktestSettings()


@pytest.fixture(scope="module")
def data() -> MarketData:
    return market(288 * 40, seed=11)


def test_an_hours_trades_are_those_of_a_replay_with_only_that_hour_open(data: MarketData) -> None:
    table = signal_table(data, filters(), LOOSE, SETTINGS, lowest_theta=0.15)
    for hour, theta in ((3, 0.15), (12, 0.3), (20, 0.5)):
        alone = LOOSE.replaced({"theta": theta, "dead_hours": [h for h in range(24) if h != hour]})
        replayed = [p.r for p in run_backtest(data, alone, instrument=filters()).plans if p.is_traded]
        picked = pick(table, hour, theta, 0, 1 << 62, SETTINGS)
        assert len(replayed) > 3
        assert picked.tolist() == pytest.approx(replayed)


def test_the_test_window_never_reaches_training(data: MarketData) -> None:
    """Poison: from the last training end on, prices jump about wildly; what training chose must not change."""
    clean = calibrate([(data, filters())], LOOSE, walk=WALK)
    end = clean.folds[-1].train_to_ms
    at = int((end - START_MS) // BAR_5M_MS)
    rng = np.random.default_rng(3)
    factor = np.concatenate([np.ones(at), np.exp(rng.normal(0, 0.05, len(data.bars_5m) - at))])
    wider = np.where(np.arange(len(factor)) < at, 1.0, 1.05)
    bars = data.bars_5m
    wild = replace(
        bars,
        open=np.round(bars.open * factor, 1),
        close=np.round(bars.close * factor, 1),
        high=np.round(bars.high * factor * wider, 1),
        low=np.round(bars.low * factor / wider, 1),
    )
    poisoned = calibrate([(prepare("TESTUSDT", wild, funding=data.funding), filters())], LOOSE, walk=WALK)
    assert poisoned.folds[-1].test_trades != clean.folds[-1].test_trades, "the poison did nothing"
    for before, after in zip(clean.folds, poisoned.folds, strict=True):
        assert replace(before, test_trades=()) == replace(after, test_trades=())


def test_a_trade_still_open_when_training_ends_is_not_counted(data: MarketData) -> None:
    table = signal_table(data, filters(), LOOSE, SETTINGS, lowest_theta=0.15)
    one = int(np.flatnonzero(table.is_traded)[5])
    decided, closed, hour = int(table.decided_ms[one]), int(table.closed_ms[one]), int(table.hour[one])
    alone = replace(table, strength=np.where(np.arange(len(table.r)) == one, 1.0, -1.0))
    assert len(pick(alone, hour, 0.15, 0, decided + 1, SETTINGS, closed_by_ms=closed)) == 1
    assert len(pick(alone, hour, 0.15, 0, decided + 1, SETTINGS, closed_by_ms=closed - 1)) == 0


def test_folds_walk_and_the_last_ends_with_the_data(data: MarketData) -> None:
    found = calibrate([(data, filters())], LOOSE, walk=WALK)
    assert [fold.test_to_ms - fold.train_to_ms for fold in found.folds] == [5 * DAY_MS] * len(found.folds)
    days = {(fold.train_to_ms - fold.train_from_ms) // DAY_MS: fold.psi for fold in found.folds}
    assert all(psi > 0.2 if length == 10 else psi <= 0.2 for length, psi in days.items())
    assert found.folds[-1].test_to_ms == START_MS + 40 * DAY_MS
    assert len(found.folds) == 3


def test_no_decision_before_the_first_one_asked_for_counts(data: MarketData) -> None:
    """With 26 of the 40 days left there is one fold of 20 and 5, and with 24 none."""
    found = calibrate([(data, filters())], LOOSE, walk=WALK, from_ms=START_MS + 14 * DAY_MS)
    assert [fold.train_to_ms for fold in found.folds] == [START_MS + 35 * DAY_MS]
    table = signal_table(data, filters(), LOOSE, SETTINGS, lowest_theta=0.15)
    (fold,) = found.folds
    assert fold.train_from_ms >= START_MS + 14 * DAY_MS
    for hour, theta in enumerate(fold.thetas):
        if theta is not None:
            picked = pick(
                table, hour, theta, fold.train_from_ms, fold.train_to_ms, SETTINGS, closed_by_ms=fold.train_to_ms
            )
            assert fold.train_trades[hour] == len(picked)
    with pytest.raises(TooShort, match=r"there are 24\.0"):
        calibrate([(data, filters())], LOOSE, walk=WALK, from_ms=START_MS + 16 * DAY_MS)


def test_all_test_windows_together_beside_the_usual_theta(data: MarketData) -> None:
    found = calibrate([(data, filters())], LOOSE, walk=WALK)
    assert found.tested is not None
    assert found.tested_usual is not None
    assert found.tested.trades == sum(sum(fold.test_trades) for fold in found.folds)
    table = signal_table(data, filters(), LOOSE, SETTINGS, lowest_theta=0.15)
    usual = [
        r
        for fold in found.folds
        for hour in range(24)
        for r in pick(table, hour, 0.35, fold.train_to_ms, fold.test_to_ms, SETTINGS).tolist()
    ]
    assert (found.tested_usual.trades, found.tested_usual.sum_r) == (len(usual), pytest.approx(sum(usual)))
    assert found.tested_usual.win_rate == pytest.approx(sum(r > 0 for r in usual) / len(usual))


def test_bars_that_never_warm_up_are_refused() -> None:
    with pytest.raises(MissingWarmUp, match="288 5m and 96 15m bars do not reach past the warm-up"):
        calibrate([(market(288), filters())], LOOSE, walk=WALK)


def test_a_calibration_tells_whether_the_imbalance_was_a_stand_in(data: MarketData) -> None:
    assert calibrate([(data, filters())], LOOSE, walk=WALK).used_proxy
    seen = market(288 * 30, seed=11, book_share=1.0)
    assert not calibrate([(seen, filters())], LOOSE, walk=WALK).used_proxy


def test_the_same_inputs_give_the_same_run(data: MarketData) -> None:
    first = calibrate([(data, filters())], LOOSE, walk=WALK)
    assert calibrate([(data, filters())], LOOSE, walk=WALK).to_json() == first.to_json()
    applied = first.apply_to(LOOSE)
    assert [applied.theta_at(h.hour) for h in first.hours] == [h.theta for h in first.hours]
    assert applied.dead_hours == tuple(h.hour for h in first.hours if h.is_dead)


def test_too_short_a_history_is_refused(data: MarketData) -> None:
    with pytest.raises(TooShort, match=r"needs 210 days .* there are 39\.0"):
        calibrate([(data, filters())], LOOSE)


def test_psi_by_hand() -> None:
    """Uniform tenths against one where the lowest tenth doubled and the highest emptied (floored at 0.0001)."""
    reference = np.arange(1000, dtype=float)
    recent = np.concatenate([np.arange(0, 900), np.arange(0, 100)]).astype(float)
    expected = (0.2 - 0.1) * math.log(0.2 / 0.1) + (0.0001 - 0.1) * math.log(0.0001 / 0.1)
    assert population_stability(reference, recent) == pytest.approx(expected, rel=0.02)
    assert population_stability(reference, reference) == 0.0
    assert population_stability(reference, recent[:5]) == 0.0


def test_a_shift_of_scores_shortens_training(data: MarketData, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores halve in the last five training days of the last fold: that fold trains on 10 days, the first on 20."""
    clean = calibrate([(data, filters())], LOOSE, walk=WALK)
    end = clean.folds[-1].train_to_ms

    def shifted(*arguments: object, lowest_theta: float) -> SignalTable:
        table = signal_table(*arguments, lowest_theta=lowest_theta)  # type: ignore[arg-type]
        return replace(table, score=np.where(table.decided_ms >= end - 5 * DAY_MS, table.score * 0.5, table.score))

    monkeypatch.setattr(walk_forward, "signal_table", shifted)
    found = calibrate([(data, filters())], LOOSE, walk=WALK)
    assert found.folds[-1].psi > 0.2
    assert found.folds[-1].train_to_ms - found.folds[-1].train_from_ms == 10 * DAY_MS
    assert found.folds[0] == clean.folds[0]


@pytest.mark.parametrize(
    ("chosen", "rs_in", "rs_out", "accepted", "dead", "theta"),
    [
        (0.2, [1.3, -1.0], [1.3, -1.0], True, False, 0.2),
        (0.2, [1.3, -1.0], [1.29, -1.0], False, False, 0.35),
        (0.2, [0.9, -1.0], [0.9, -1.0], False, True, 0.35),
        (0.2, [0.9, -1.0], [1.1, -1.0], False, False, 0.35),
        (0.2, [0.9, -1.0], [], False, False, 0.35),
        (0.2, [0.9, -1.0], [0.5], True, False, 0.2),
        (None, [], [], False, False, 0.35),
    ],
)
def test_an_hours_verdict(
    chosen: float | None, rs_in: list[float], rs_out: list[float], accepted: bool, dead: bool, theta: float
) -> None:
    verdict = _judge(5, chosen, rs_in, rs_out, WalkForward(least_trades_out=1))
    assert (verdict.is_accepted, verdict.is_dead, verdict.theta) == (accepted, dead, theta)


@pytest.mark.parametrize(("count", "accepted"), [(1, False), (9, False), (10, True)])
def test_a_few_lucky_trades_out_of_sample_accept_nothing(count: int, accepted: bool) -> None:
    verdict = _judge(5, 0.2, [1.0, -1.0], [0.5] * count, WalkForward())
    assert (verdict.is_accepted, verdict.trades_out) == (accepted, count)
    assert verdict.why == ("accepted" if accepted else f"{count} trades out of sample, 10 are needed")


def test_a_run_is_plain_json() -> None:
    run = Calibration(("A",), "c", "d", 0.1, (), ())
    assert '"recent_psi": 0.1' in run.to_json()
