"""The research commands over stored bars: runs kept and compared, sweeps spread, refusals in a sentence."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError

from avigrid.exchange.kline_table import KlineTable
from marketdata.models import KlineSource
from marketdata.services.klines import klines_bulk_store
from tests.unit.trading.backtest.synthetic import bars
from trading.avi5.config import StrategyConfig
from trading.management.commands import sweep as sweep_command
from trading.models import ResearchRun, ResearchShard
from trading.services import research as research_service
from trading.services.research_work import sweep_missing, sweep_part_work
from trading.services.strategy_versions import strategy_version_create

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
SWEEP = ("--symbol", "TESTUSDT", "--profile", "grid", "--axis", "theta=[0.1,0.2,0.3]", "--axis", "atr_mult_x=[6,8]")


@pytest.fixture
def stored() -> None:
    made = bars(3000)
    table = KlineTable(
        "TESTUSDT", 5, made.start_ms, made.open, made.high, made.low, made.close, made.volume, np.ones(len(made))
    )
    klines_bulk_store(table, source=KlineSource.REST, now_ms=int(made.start_ms[-1]) + 600_000)


def _told(*args: str) -> str:
    out = StringIO()
    call_command(*args, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_calibrations_over_stored_bars_are_kept_and_compared(stored: None) -> None:
    days = ("--train-days", "4", "--test-days", "2", "--step-days", "2")
    for theta in ("0.2", "0.3"):
        assert "stored as run" in _told("calibrate", "--symbol", "TESTUSDT", *days, "--set", f"theta={theta}")
    a, b = ResearchRun.objects.order_by("pk")
    assert (a.status, a.params["train_days"], len(a.result["hours"])) == ("done", 4, 24)
    text = _told("calibrate", "--compare", str(a.pk), str(b.pk))
    assert text.startswith("same bars")
    assert any(line.split() == ["theta", "0.2", "0.3"] for line in text.splitlines())
    assert f"run {a.pk}: imbalance by bar proxy" in text
    with pytest.raises(CommandError, match="not two finished runs"):
        _told("calibrate", "--compare", str(a.pk), "0")


def test_a_spread_sweep_survives_its_worker_and_its_command(stored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is left before anybody worked; one part is done by a worker that dies; another does the rest."""
    monkeypatch.setattr(research_service, "SHARD_CONFIGS", 2)

    def leave(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_command.time, "sleep", leave)
    with pytest.raises(KeyboardInterrupt):
        _told("sweep", *SWEEP, "--spread")
    run = ResearchRun.objects.get()
    assert (run.status, run.shards) == ("queued", 3)
    assert sweep_missing(run.pk, now=lambda: NOW) == [0, 1, 2]
    sweep_part_work(run.pk, 1, now=lambda: NOW)
    kept = ResearchShard.objects.get(run=run)
    later = NOW + research_service.SILENT_AFTER
    for number in sweep_missing(run.pk, now=lambda: later):
        sweep_part_work(run.pk, number, now=lambda: later)
    assert ResearchShard.objects.get(pk=kept.pk).rows == kept.rows
    table = _told("sweep", "--follow", str(run.pk), "--top", "4").splitlines()
    assert table[0] == f"6 configs, 0 combinations not legal, run {run.pk}"
    # the same table as one machine alone makes
    assert table[1:] == _told("sweep", *SWEEP, "--top", "4").splitlines()[2:]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("backtest", "--symbol", "NOPEUSDT"), "NOPEUSDT: no 5m bars are stored"),
        (("backtest", "--symbol", "TESTUSDT", "--set", "theta=7"), "theta must be a number from 0 to 1, got 7"),
        (("backtest", "--symbol", "TESTUSDT", "--set", "nonsense=1"), "unknown field 'nonsense'"),
        (("backtest", "--symbol", "TESTUSDT", "--from", "2030-01-01"), "nothing lies from"),
        (("backtest", "--symbol", "TESTUSDT", "--to", "2025-09-24T12:00"), "warm-up of 289 5m"),
        (("sweep", "--symbol", "TESTUSDT", "--spread", "--axis", "nonsense=[1]"), "no field 'nonsense'"),
        (("sweep", "--symbol", "TESTUSDT", "--spread", "--file", "x.csv", "--axis", "theta=[0.1]"), "leave --file out"),
        (("sweep", "--follow", "0815"), "there is no sweep 815"),
        (("calibrate", "--symbol", "TESTUSDT"), "calibration needs 210 days"),
        (
            ("calibrate", "--symbol", "TESTUSDT", "--train-days", "0"),
            "must be a whole number of at least 1",
        ),
    ],
)
def test_wrong_input_gets_a_sentence(stored: None, args: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        _told(*args)
    assert not ResearchRun.objects.exists()


def test_numbers_of_the_active_version_where_asked_for(stored: None) -> None:
    with pytest.raises(CommandError, match="no strategy version is active"):
        _told("backtest", "--symbol", "TESTUSDT", "--config", "active")
    strategy_version_create(config=StrategyConfig(theta=0.21), actor=None, now=NOW)
    told = _told("backtest", "--symbol", "TESTUSDT", "--config", "active", "--set", "rungs=4")
    expected = StrategyConfig(theta=0.21, rungs=4).config_hash
    assert f"numbers: the active version avi5 v1 with rungs=4, config {expected}" in told


def test_commands_work_inside_the_fence(stored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    version = strategy_version_create(config=StrategyConfig(), actor=None, now=NOW)

    def meddle(*_: Any, **__: Any) -> None:
        type(version).objects.update(note="a better one")

    for command in ("backtest", "sweep", "calibrate", "verify_strategy"):
        monkeypatch.setattr(f"trading.management.commands.{command}.load", meddle)
        axis = ("--axis", "theta=[0.1]") if command == "sweep" else ()
        with pytest.raises(CommandError, match="research may not write trading_strategyversion"):
            _told(command, "--symbol", "TESTUSDT", *axis)


@pytest.mark.parametrize(
    ("where", "args"),
    [
        ("trading.services.research.active_version", ("sweep", *SWEEP, "--spread")),
        ("trading.management.commands.sweep.research_run", ("sweep", "--follow", "1")),
        ("trading.management.commands.calibrate.compare_runs", ("calibrate", "--compare", "1", "2")),
    ],
)
def test_research_without_tables_gets_a_sentence(
    monkeypatch: pytest.MonkeyPatch, where: str, args: tuple[str, ...]
) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ProgrammingError('relation "trading_researchrun" does not exist\nLINE 1: ...')

    monkeypatch.setattr(where, missing)
    with pytest.raises(CommandError, match=r'cannot be read \(relation "trading_researchrun" does not exist\); run'):
        _told(*args)


def test_a_database_without_tables_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ProgrammingError('relation "marketdata_kline" does not exist\nLINE 1: ...')

    monkeypatch.setattr("trading.selectors.replay_data.stored_market_data", missing)
    with pytest.raises(CommandError, match="run manage.py migrate"):
        _told("backtest", "--symbol", "TESTUSDT")
