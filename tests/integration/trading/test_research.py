"""Research runs beside trading: asked for, spread over workers, cancelled, taken over, kept as they ended."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from accounts.models import AuditEntry
from avigrid.exchange.kline_table import KlineTable
from avigrid.kernel.errors import Rejected
from marketdata.models import KlineSource
from marketdata.services.klines import klines_bulk_store
from tests.unit.trading.backtest.synthetic import bars, filters, market
from trading.avi5.config import InvalidConfig, StrategyConfig
from trading.backtest.driver import run_backtest
from trading.backtest.filters import instrument_from_bars
from trading.backtest.report import make_report, report_json
from trading.models import ResearchRun, ResearchShard, ResearchStatus, StrategyVersion
from trading.selectors.replay_data import stored_market_data
from trading.selectors.research import research_run, research_runs
from trading.services import research as research_service
from trading.services import research_work
from trading.services.research import (
    SILENT_AFTER,
    research_cancel,
    research_claim,
    research_start,
    research_tend,
    research_touch,
)
from trading.services.research_bars import joint_hash
from trading.services.research_fence import ResearchWrite, research_fence
from trading.services.research_work import backtest_work, calibration_work, sweep_missing, sweep_part_work
from trading.services.strategy_versions import strategy_version_create
from trading.tasks import research_backtest

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
PARAMS: dict[str, Any] = {"symbols": ["TESTUSDT"], "config": {"profile": "swing", "theta": 0.2}}


def now() -> datetime:
    return NOW


@pytest.fixture
def stored() -> None:
    made = bars(1500)
    table = KlineTable(
        "TESTUSDT", 5, made.start_ms, made.open, made.high, made.low, made.close, made.volume, np.ones(len(made))
    )
    klines_bulk_store(table, source=KlineSource.REST, now_ms=int(made.start_ms[-1]) + 600_000)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(research_service, "SHARD_CONFIGS", 2)


def _start(kind: str = "backtest", **changes: Any) -> ResearchRun:
    return research_start(kind=kind, params={**PARAMS, **changes}, actor="test", now=NOW)


def test_a_backtest_gives_what_the_pure_replay_gives(stored: None) -> None:
    run = _start()
    assert (run.status, run.shards) == ("queued", 1)
    assert backtest_work(run.pk, now=now)
    run = ResearchRun.objects.get(pk=run.pk)
    assert (run.status, run.progress_ratio, run.error) == ("done", 1.0, "")
    config = StrategyConfig.from_mapping({"profile": "swing", "theta": 0.2})
    data = stored_market_data("TESTUSDT", config)
    known = instrument_from_bars("TESTUSDT", data.bars_5m)
    import json

    expected = json.loads(report_json(make_report([run_backtest(data, config, instrument=known)])))
    assert run.result == expected
    assert run.result["metrics"]["bars"] == 1500
    assert "<svg" in run.report_html
    assert run.data_hash == data.data_hash
    assert run.config_hash == config.config_hash
    assert not backtest_work(run.pk, now=now)
    actions = AuditEntry.objects.filter(action__startswith="research.").order_by("id").values_list("action", flat=True)
    assert list(actions) == ["research.started", "research.done"]


def test_what_has_ended_is_never_changed(stored: None) -> None:
    run = _start()
    backtest_work(run.pk, now=now)
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        ResearchRun.objects.filter(pk=run.pk).update(result={"flattering": True})
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        ResearchRun.objects.filter(pk=run.pk).delete()
    assert not research_cancel(run_id=run.pk, actor="test", now=NOW)


def test_the_parts_of_what_has_ended_are_never_changed(stored: None) -> None:
    run = _start("sweep", axes={"theta": [0.2]})
    sweep_missing(run.pk, now=now)
    ResearchShard.objects.create(run=_start("sweep", axes={"theta": [0.3]}), number=0, rows={}).delete()
    sweep_part_work(run.pk, 0, now=now)
    for change in (lambda rows: rows.update(rows={"flattering": True}), lambda rows: rows.delete()):
        with pytest.raises(DatabaseError, match="its parts are never changed"), transaction.atomic():
            change(ResearchShard.objects.filter(run=run))
    assert ResearchShard.objects.get(run=run).rows["rows"]


def test_a_part_that_breaks_ends_the_run(stored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    run = _start("sweep", axes={"theta": [0.2]})
    sweep_missing(run.pk, now=now)
    monkeypatch.setattr(research_work, "sweep_run", broken)
    with pytest.raises(ZeroDivisionError):
        sweep_part_work(run.pk, 0, now=now)
    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "Bug: ZeroDivisionError")


def test_a_database_that_went_away_ends_no_run(stored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("server closed the connection")

    run = _start()
    monkeypatch.setattr(research_work, "loaded_bars", away)
    with pytest.raises(OperationalError):
        backtest_work(run.pk, now=now)
    run.refresh_from_db()
    assert run.status == "running"


def test_a_long_calibration_gives_signs_of_life(stored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its clock goes on a minute at every look; nobody else may claim the run meanwhile, and it can be cancelled."""
    clock = [NOW]

    def ticking() -> datetime:
        clock[0] += timedelta(minutes=1)
        return clock[0]

    seen: list[datetime] = []

    def touched(*, run_id: int, now: datetime, done: int | None = None) -> bool:
        seen.append(now)
        assert research_claim(run_id=run_id, now=now + timedelta(minutes=5)) is None
        return research_touch(run_id=run_id, now=now, done=done)

    monkeypatch.setattr(research_work, "research_touch", touched)
    run = _start("calibrate", train_days=1, test_days=1, step_days=1)
    calibration_work(run.pk, now=ticking)
    run.refresh_from_db()
    assert (run.status, run.error) == ("done", "")
    assert len(seen) >= 1 + 1 + len(run.result["folds"])
    cancelled = _start("calibrate", train_days=1, test_days=1, step_days=1)
    monkeypatch.setattr(research_work, "research_touch", lambda **_: True)
    ResearchRun.objects.filter(pk=cancelled.pk).update(cancel_requested=False)
    calibration_work(cancelled.pk, now=ticking)
    cancelled.refresh_from_db()
    assert cancelled.result is None


def test_runs_begin_where_they_are_asked_to(stored: None) -> None:
    """1,500 bars from 2025-09-24 00:00 on; each kind as the pure function with the same first decision."""
    asked = {"from": "2025-09-26T12:00"}
    sweep = _start("sweep", axes={"theta": [0.1, 0.2]}, **asked)
    sweep_missing(sweep.pk, now=now)
    sweep_part_work(sweep.pk, 0, now=now)
    backtest = _start(config={"profile": "swing", "theta": 0.1}, **asked)
    backtest_work(backtest.pk, now=now)
    sweep.refresh_from_db()
    backtest.refresh_from_db()
    row = next(row for row in sweep.result["top"] if row["changes"]["theta"] == 0.1)
    metrics = backtest.result["metrics"]
    assert (row["plans"], row["trades"]) == (metrics["plans"], metrics["trades"])
    assert sweep.result["used_proxy"] is True
    calibration = _start("calibrate", train_days=1, test_days=1, step_days=1, **asked)
    calibration_work(calibration.pk, now=now)
    calibration.refresh_from_db()
    first = datetime(2025, 9, 26, 12, tzinfo=UTC).timestamp() * 1000
    assert min(fold["train_from_ms"] for fold in calibration.result["folds"]) > first
    assert calibration.result["used_proxy"] is True


def test_bars_that_arrive_while_a_sweep_runs_are_not_its_own(stored: None, small_shards: None) -> None:
    run = _start("sweep", axes={"theta": [0.2, 0.3, 0.4]})
    assert run.params["to"] == "2025-09-29T05:00"  # 1,500 bars of five minutes from 2025-09-24 on
    assert sweep_missing(run.pk, now=now) == [0, 1]
    sweep_part_work(run.pk, 0, now=now)
    more = bars(1501)
    values = (getattr(more, name)[1500:] for name in ("start_ms", "open", "high", "low", "close", "volume"))
    table = KlineTable("TESTUSDT", 5, *values, np.ones(1))
    klines_bulk_store(table, source=KlineSource.REST, now_ms=int(more.start_ms[-1]) + 600_000)
    sweep_part_work(run.pk, 1, now=now)
    run.refresh_from_db()
    assert (run.status, run.error) == ("done", "")
    assert _start("sweep", axes={"theta": [0.2]}, to="2025-09-27").params["to"] == "2025-09-27"


def test_changed_bars_of_any_of_many_symbols_are_noticed(stored: None) -> None:
    made = market(400)
    many = [(replace(made, data_hash=f"{n:016x}"), filters()) for n in range(6)]
    other = [*many[:5], (replace(made, data_hash="f" * 16), filters())]
    assert joint_hash(many[:2]) == f"{0:016x}-{1:016x}"
    assert joint_hash(many) != joint_hash(other)
    assert len(joint_hash(many)) == 64


def test_a_sweep_is_spread_over_parts_and_goes_on_where_it_stopped(stored: None, small_shards: None) -> None:
    run = _start("sweep", axes={"theta": [0.2, 0.3, 0.4], "atr_mult_x": [6.0, 8.0]})
    assert run.shards == 3
    assert sweep_missing(run.pk, now=now) == [0, 1, 2]
    assert sweep_part_work(run.pk, 1, now=now)
    assert not sweep_part_work(run.pk, 1, now=now)  # delivered twice
    assert ResearchRun.objects.get(pk=run.pk).shards_done == 1
    # the workers die; later others take over, and do only what is missing
    later = NOW + SILENT_AFTER + timedelta(seconds=1)
    assert sweep_missing(run.pk, now=lambda: later) == [0, 2]
    assert sweep_part_work(run.pk, 0, now=lambda: later)
    assert sweep_part_work(run.pk, 2, now=lambda: later)
    run = ResearchRun.objects.get(pk=run.pk)
    assert (run.status, run.shards_done) == ("done", 3)
    assert run.result["configs"] == 6
    changes = [row["changes"] for row in run.result["top"]]
    assert sorted((one["theta"], one["atr_mult_x"]) for one in changes) == [
        (0.2, 6.0), (0.2, 8.0), (0.3, 6.0), (0.3, 8.0), (0.4, 6.0), (0.4, 8.0)
    ]  # fmt: skip
    assert ResearchShard.objects.filter(run=run).count() == 3


def test_a_sweep_of_an_impossible_value_is_refused_at_once(stored: None) -> None:
    with pytest.raises(InvalidConfig, match="theta must be a number from 0 to 1, got 7.0"):
        _start("sweep", axes={"theta": [7, 8]})
    assert not ResearchRun.objects.exists()


def test_a_sweep_without_a_legal_combination_says_so(stored: None) -> None:
    # each is legal beside the defaults 20 and 50, both together are not
    run = _start("sweep", axes={"trend_fast_bars": [30], "trend_slow_bars": [25]})
    assert sweep_missing(run.pk, now=now) == [0]
    sweep_part_work(run.pk, 0, now=now)
    run = ResearchRun.objects.get(pk=run.pk)
    assert (run.status, run.error) == ("failed", "None of the 1 combinations is a legal configuration.")


def test_a_cancelled_run_stops_at_the_next_part(stored: None, small_shards: None) -> None:
    run = _start("sweep", axes={"theta": [0.2, 0.3, 0.4]})
    sweep_missing(run.pk, now=now)
    assert research_cancel(run_id=run.pk, actor="test", now=NOW)
    assert not research_cancel(run_id=run.pk, actor="test", now=NOW)
    assert not sweep_part_work(run.pk, 0, now=now)
    run = ResearchRun.objects.get(pk=run.pk)
    assert (run.status, run.result) == ("cancelled", None)
    assert not ResearchShard.objects.exists()


def test_a_waiting_run_is_cancelled_at_once_and_never_begins(stored: None) -> None:
    run = _start()
    assert research_cancel(run_id=run.pk, actor="test", now=NOW)
    assert not backtest_work(run.pk, now=now)
    assert ResearchRun.objects.get(pk=run.pk).status == "cancelled"


def test_too_little_history_fails_with_a_sentence(stored: None) -> None:
    run = _start("calibrate")
    assert calibration_work(run.pk, now=now)
    run = ResearchRun.objects.get(pk=run.pk)
    assert run.status == "failed"
    assert "210 days" in run.error
    assert "history_too_short" in run.error


def test_a_symbol_without_bars_fails_with_a_sentence() -> None:
    run = _start(symbols=["NOPEUSDT"])
    backtest_work(run.pk, now=now)
    run = ResearchRun.objects.get(pk=run.pk)
    assert run.error == "NOPEUSDT: no 5m bars are stored; run manage.py backfill first (empty_range)"


def test_two_workers_do_not_do_the_same_run() -> None:
    run = _start()
    assert research_claim(run_id=run.pk, now=NOW) is not None
    assert research_claim(run_id=run.pk, now=NOW + timedelta(minutes=1)) is None
    assert research_claim(run_id=run.pk, now=NOW + SILENT_AFTER) is not None
    assert not research_touch(run_id=run.pk, now=NOW + SILENT_AFTER)
    assert research_claim(run_id=run.pk, now=NOW + SILENT_AFTER + timedelta(minutes=1)) is None


def test_what_waits_too_long_is_handed_out_again() -> None:
    sent: list[tuple[str, list[int]]] = []

    def send(name: str, args: list[int], *, expires: float, **_: object) -> None:
        assert expires == 120.0  # or every minute without a worker would add a message to the queue
        sent.append((name, args))

    run = _start()
    assert research_tend(now=NOW + timedelta(minutes=1), send=send) == 0
    assert research_tend(now=NOW + timedelta(minutes=3), send=send) == 1
    assert sent == [("trading.research_backtest", [run.pk])]
    research_claim(run_id=run.pk, now=NOW)
    assert research_tend(now=NOW + timedelta(minutes=3), send=send) == 0
    assert research_tend(now=NOW + SILENT_AFTER + timedelta(seconds=1), send=send) == 1


def test_redis_away_does_not_refuse_a_run(django_capture_on_commit_callbacks: Any, monkeypatch: Any) -> None:
    def away(*_: object, **__: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(research_service.current_app, "send_task", away)
    with django_capture_on_commit_callbacks(execute=True):
        run = _start()
    assert ResearchRun.objects.get(pk=run.pk).status == ResearchStatus.QUEUED


def test_switched_off_means_refused_everywhere(settings: Any) -> None:
    run = _start()
    settings.AVIGRID = {**settings.AVIGRID, "RESEARCH": False}
    with pytest.raises(Rejected) as refused:
        _start()
    assert refused.value.code == "research_off"
    with pytest.raises(Rejected) as refused:
        research_backtest(run.pk)
    assert refused.value.code == "research_off"
    assert ResearchRun.objects.get().status == "queued"


def test_lists_leave_the_heavy_columns_out(stored: None) -> None:
    run = _start()
    backtest_work(run.pk, now=now)
    (listed,) = research_runs("backtest")
    assert {"result", "report_html"} <= listed.get_deferred_fields()
    found = research_run(run.pk)
    assert found is not None
    assert found.result is not None
    assert research_run(0) is None
    assert not research_runs("sweep").exists()


def test_research_cannot_write_what_trading_reads(stored: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A research job that tries is stopped before the statement is sent, and the run says so."""
    version = strategy_version_create(config=StrategyConfig(), stage="paper", actor=None, now=NOW)

    def meddle(*_: object) -> None:
        with transaction.atomic():
            StrategyVersion.objects.filter(pk=version.pk).update(stage="validation")

    run = _start()
    monkeypatch.setattr(research_work, "loaded_bars", meddle)
    backtest_work(run.pk, now=now)
    version.refresh_from_db()
    assert version.stage == "paper"
    run = ResearchRun.objects.get(pk=run.pk)
    assert (run.status, run.error) == ("failed", "research may not write trading_strategyversion (research_write)")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE trading_plan SET status = 'closed'",
        'DELETE FROM "trading_order"',
        "insert into risk_tradingstate (state) values ('active')",
        "TRUNCATE trading_signal",
        "WITH gone AS (DELETE FROM trading_fill RETURNING 1) SELECT count(*) FROM gone",
        "COPY trading_fill FROM STDIN",
        "ALTER TABLE trading_plan DROP COLUMN status",
        "DO $$ BEGIN DELETE FROM trading_fill; END $$",
        "SELECT 1; TRUNCATE trading_plan",
        "SELECT 1;DELETE FROM trading_plan",
        "WITH x AS (SELECT 1) MERGE INTO trading_plan USING x ON false WHEN MATCHED THEN DELETE",
        "INSERT INTO trading_researchshard WITH gone AS (DELETE FROM trading_fill RETURNING 1) SELECT 1",
        "UPDATE ONLY public.trading_plan SET status = 'closed'",
        "SELECT * INTO stolen FROM trading_fill",
        "CREATE TABLE stolen AS SELECT * FROM trading_fill",
        "SELECT 1; CREATE INDEX x ON trading_plan (id)",
        "SET session_replication_role = replica",
        "SET ROLE postgres",
        "LOCK TABLE trading_plan",
        "CALL something()",
    ],
)
def test_the_fence_refuses_every_other_write(sql: str) -> None:
    with pytest.raises(ResearchWrite), research_fence(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    with research_fence(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM trading_plan")
        assert cursor.fetchone() == (0,)


def test_the_fence_lets_reads_and_its_own_rows_through() -> None:
    run = _start()
    with research_fence(), transaction.atomic():
        assert ResearchRun.objects.select_for_update().get(pk=run.pk) == run
        ResearchShard.objects.create(run=run, number=0, rows={"told": "SELECT 1; DROP TABLE trading_plan"})
        ResearchRun.objects.filter(error="a; DELETE FROM trading_plan").exists()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'one; TRUNCATE trading_plan' AS \"create\";")
            assert cursor.fetchone() == ("one; TRUNCATE trading_plan",)
