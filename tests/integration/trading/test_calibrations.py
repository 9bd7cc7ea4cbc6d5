"""A calibration's hours put to use: a new version, only by an admin with a code, never of other numbers."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from accounts.models import AuditEntry
from avigrid.exchange.kline_table import KlineTable
from avigrid.kernel.errors import Rejected
from marketdata.models import KlineSource
from marketdata.services.klines import klines_bulk_store
from tests.support.users import make_user
from tests.unit.trading.backtest.synthetic import bars
from trading.avi5.config import StrategyConfig
from trading.models import ResearchRun, StrategyVersion
from trading.selectors.heat_map import heat_map
from trading.selectors.research import research_run
from trading.selectors.research_comparison import compare_runs
from trading.services.calibrations import activate_calibration
from trading.services.research import research_start
from trading.services.research_work import backtest_work, calibration_work
from trading.services.strategy_versions import strategy_version_create

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
BASE = StrategyConfig().replaced({"profile": "swing", "theta": 0.2, "max_cost_r": 10.0})


@pytest.fixture
def active() -> StrategyVersion:
    made = bars(3000)
    table = KlineTable(
        "TESTUSDT", 5, made.start_ms, made.open, made.high, made.low, made.close, made.volume, np.ones(len(made))
    )
    klines_bulk_store(table, source=KlineSource.REST, now_ms=int(made.start_ms[-1]) + 600_000)
    return strategy_version_create(config=BASE, stage="paper", actor=None, now=NOW)


def _calibration(**changes: Any) -> ResearchRun:
    params = {"symbols": ["TESTUSDT"], "train_days": 4, "test_days": 2, "step_days": 2, **changes}
    run = research_start(kind="calibrate", params=params, actor="test", now=NOW)
    calibration_work(run.pk, now=lambda: NOW)
    found = research_run(run.pk)
    assert found is not None
    assert found.status == "done", found.error
    return found


def _activate(run: ResearchRun, **changes: Any) -> StrategyVersion:
    asked = {"actor": make_user("admin"), "reason": "steady for three folds", "otp_used": True, **changes}
    return activate_calibration(run_id=run.pk, now=NOW, **asked)


def test_its_hours_become_a_new_active_version_and_the_run_stays(active: StrategyVersion) -> None:
    run = _calibration()
    version = _activate(run)
    assert (version.version, version.is_active, version.stage) == (2, True, "paper")
    assert version.calibration_id == run.pk
    assert run.result is not None
    assert version.config["theta_by_hour"] == {str(hour["hour"]): hour["theta"] for hour in run.result["hours"]}
    assert version.config["dead_hours"] == [hour["hour"] for hour in run.result["hours"] if hour["is_dead"]]
    assert {**version.config, "theta_by_hour": {}, "dead_hours": []} == BASE.to_mapping()
    active.refresh_from_db()
    assert (active.is_active, active.config) == (False, BASE.to_mapping())
    entry = AuditEntry.objects.get(action="calibration.activated")
    assert (entry.object_id, entry.otp_used, entry.reason) == (str(run.pk), True, "steady for three folds")
    assert entry.after["used_proxy"] is True
    assert ResearchRun.objects.get(pk=run.pk).result == run.result
    with pytest.raises(Rejected) as refused:
        _activate(run, actor=make_user("admin"))
    assert refused.value.code == "already_in_use"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"otp_used": False}, "otp_needed"),
        ({"reason": "  "}, "reason_needed"),
        ({"actor": "trader"}, "admin_needed"),
    ],
)
def test_only_an_admin_with_code_and_reason(active: StrategyVersion, changes: dict[str, Any], code: str) -> None:
    run = _calibration()
    if changes.get("actor") == "trader":
        changes = {"actor": make_user("trader")}
    with pytest.raises(Rejected) as refused:
        _activate(run, **changes)
    assert refused.value.code == code
    assert StrategyVersion.objects.count() == 1


def test_other_numbers_refuse_its_hours_by_name(active: StrategyVersion) -> None:
    run = _calibration(config={"atr_mult_x": 6.0})
    with pytest.raises(Rejected, match=r"atr_mult_x 6\.0 \(in use: 8\.0\)") as refused:
        _activate(run)
    assert refused.value.code == "calibrated_on_other_numbers"
    assert StrategyVersion.objects.count() == 1


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"files": ["BTCUSDT_5m.csv.gz"]}, "calibrated_on_files"),
        ({"tick": "0.5"}, "calibrated_on_other_filters"),
        ({"qty_step": "1"}, "calibrated_on_other_filters"),
    ],
)
def test_hours_of_other_bars_or_filters_are_refused(active: StrategyVersion, params: dict, code: str) -> None:
    run = _calibration()
    assert run.result is not None
    other = ResearchRun.objects.create(
        kind="calibrate", status="done", params={**run.params, **params}, config=run.config, shards=1, shards_done=1,
        config_hash=run.config_hash, result=run.result, created_at=NOW, touched_at=NOW, ended_at=NOW,
    )  # fmt: skip
    with pytest.raises(Rejected) as refused:
        _activate(other)
    assert refused.value.code == code
    assert StrategyVersion.objects.count() == 1


def test_an_unfinished_or_unknown_run_has_no_hours(active: StrategyVersion) -> None:
    waiting = research_start(kind="calibrate", params={"symbols": ["TESTUSDT"]}, actor="test", now=NOW)
    other = research_start(kind="backtest", params={"symbols": ["TESTUSDT"]}, actor="test", now=NOW)
    for run, code in ((waiting, "calibration_not_done"), (other, "unknown_calibration")):
        with pytest.raises(Rejected) as refused:
            _activate(run)
        assert refused.value.code == code
    assert heat_map(waiting) is None
    assert heat_map(other) is None


def test_what_was_live_starts_over(active: StrategyVersion) -> None:
    StrategyVersion.objects.filter(pk=active.pk).update(stage="live")
    assert _activate(_calibration()).stage == "validation"


def test_the_heat_map_says_what_every_fold_chose(active: StrategyVersion) -> None:
    run = _calibration()
    found = heat_map(run)
    assert found is not None
    assert run.result is not None
    assert [hour.hour for hour in found.hours] == list(range(24))
    assert len(found.folds) == len(run.result["folds"]) == len(found.hours[0].cells)
    assert [[cell.theta for cell in hour.cells] for hour in found.hours] == [
        [fold["thetas"][hour] for fold in run.result["folds"]] for hour in range(24)
    ]
    assert all(cell.heat is None or 0 <= cell.heat <= 1 for hour in found.hours for cell in hour.cells)


def test_two_runs_side_by_side_show_what_differs(active: StrategyVersion) -> None:
    runs = []
    for theta in (0.2, 0.3):
        params = {"symbols": ["TESTUSDT"], "config": {"theta": theta}}
        run = research_start(kind="backtest", params=params, actor="test", now=NOW)
        backtest_work(run.pk, now=lambda: NOW)
        runs.append(run.pk)
    found = compare_runs(*runs)
    assert found is not None
    assert found.same_data
    assert [(row.name, row.a, row.b) for row in found.config] == [("theta", 0.2, 0.3)]
    trades = next(row for row in found.measures if row.name == "trades")
    assert found.a.result is not None
    assert trades.a == found.a.result["metrics"]["trades"]
    assert trades.change == trades.b - trades.a  # type: ignore[operator]
    calibration = _calibration()
    assert compare_runs(runs[0], calibration.pk) is None
    assert compare_runs(runs[0], 0) is None
    both = compare_runs(calibration.pk, _calibration(train_days=5).pk)
    assert both is not None
    assert [(row.name, row.a, row.b) for row in both.params] == [("train_days", 4, 5)]
