"""The jobs beside the order path: schedules, silence, figures, safety nets, retention."""

import csv
import gzip
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from accounts.models import AuditEntry
from avigrid.celery import app
from avigrid.common import heartbeats
from avigrid.common.dependencies import PROBES, DependencyCollector
from avigrid.common.models import Heartbeat
from avigrid.common.tasks import worker_heartbeat
from risk.core.states import StateSource
from risk.services.states import halt
from tests.support.trading_rows import (
    make_account,
    make_decision,
    make_plan,
    make_signal,
    make_slippage,
    make_version,
)
from trading.models import (
    Decision,
    EquitySnapshot,
    ModelledPlan,
    OutboxEvent,
    PerformanceDay,
    ReconciliationFinding,
    ReconciliationRun,
    Signal,
    SignalStatus,
)
from trading.selectors.exchange_time import process_name
from trading.selectors.performance import performance, performance_days
from trading.services.alerts import alert_raise
from trading.services.measures import drawdown_now, measures_update
from trading.services.performance import performance_roll_up
from trading.services.retention import trading_retention_apply
from trading.services.times import to_ms
from trading.services.watching import silence_watch
from trading.tasks import expire_signals

pytestmark = pytest.mark.django_db
D = Decimal
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
DAY = timedelta(days=1)


# -- schedules --------------------------------------------------------------------------------------------------------


def test_every_scheduled_job_exists_and_does_not_pile_up() -> None:
    app.loader.import_default_modules()
    for entry in app.conf.beat_schedule.values():
        assert entry["task"] in app.tasks
        assert 0 < entry["options"]["expires"] <= 3600


def test_research_has_a_queue_of_its_own() -> None:
    app.loader.import_default_modules()
    router = app.amqp.router
    queues = {name: router.route({}, name)["queue"].name for name in app.tasks if not name.startswith("celery.")}
    research = {name for name, queue in queues.items() if queue == "research"}
    assert research == {
        "trading.research_backtest",
        "trading.research_calibrate",
        "trading.research_sweep",
        "trading.research_sweep_part",
    }
    assert {queue for name, queue in queues.items() if name not in research} == {"default"}


# -- silence ----------------------------------------------------------------------------------------------------------


def _beat(process: str, age_s: float, detail: dict[str, object] | None = None) -> None:
    heartbeats.beat(process, detail, started=True)
    row = Heartbeat.objects.get(process=process)
    Heartbeat.objects.filter(pk=row.pk).update(beat_at=row.beat_at - timedelta(seconds=age_s))


def _alerts(kind: str) -> list[tuple[str, str]]:
    return [(row.severity, str(row.payload.get("process", ""))) for row in OutboxEvent.objects.filter(kind=kind)]


def test_a_process_that_falls_silent_is_told_once_per_silence() -> None:
    _beat("execution:1", 31)
    _beat("market_data:a", 500)
    _beat("market_data:b", 1)
    _beat("worker", 29)
    assert silence_watch(now=NOW) == 1
    assert silence_watch(now=NOW + timedelta(seconds=10)) == 0
    assert _alerts("heartbeat_stale") == [("critical", "execution:1")]
    _beat("execution:1", 45)
    assert silence_watch(now=NOW) == 1


def test_of_several_market_data_processes_one_is_enough_until_all_are_silent() -> None:
    _beat("market_data:a", 500)
    _beat("market_data:b", 40)
    assert silence_watch(now=NOW) == 1
    assert _alerts("heartbeat_stale") == [("critical", "market_data")]


def test_who_was_never_there_or_left_long_ago_is_not_missed() -> None:
    _beat("execution:1", 8 * 86_400)
    assert silence_watch(now=NOW) == 0


def _run(account: Any, finished_at: datetime, status: str = "good") -> ReconciliationRun:
    return ReconciliationRun.objects.create(
        account=account, scope="full", status=status, started_at=finished_at, finished_at=finished_at
    )


def test_stale_reconciliation_is_told_while_its_process_lives() -> None:
    account = make_account()
    _run(account, NOW - timedelta(minutes=6))
    _run(account, NOW, status="incomplete")
    assert silence_watch(now=NOW) == 0
    _beat(process_name(account.pk), 0, {"exchange_ms": to_ms(NOW)})
    assert silence_watch(now=NOW) == 1
    assert silence_watch(now=NOW + timedelta(minutes=1)) == 0
    event = OutboxEvent.objects.get(kind="reconciliation_stale")
    assert event.severity == "critical"
    assert "6 min ago" in event.payload["sentence"]
    _run(account, NOW, status="findings")
    assert silence_watch(now=NOW + timedelta(minutes=5)) == 0


def test_the_worker_proves_that_it_works() -> None:
    worker_heartbeat()
    assert heartbeats.age_s("worker") is not None


# -- signals ----------------------------------------------------------------------------------------------------------


def test_signals_expire_by_the_exchange_clock_only() -> None:
    account, version = make_account(), make_version(NOW)
    old = make_signal(make_decision(version, NOW), NOW + timedelta(seconds=60))
    fresh = make_signal(make_decision(version, NOW, "ETHUSDT"), NOW + timedelta(seconds=90))
    assert expire_signals() == 0
    _beat(process_name(account.pk), 0, {"exchange_ms": to_ms(NOW + timedelta(seconds=70))})
    assert expire_signals() == 1
    old.refresh_from_db()
    fresh.refresh_from_db()
    assert (old.status, fresh.status) == (SignalStatus.EXPIRED, SignalStatus.NEW)


# -- figures ----------------------------------------------------------------------------------------------------------


def _gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_measures_show_state_ages_money_and_backlog() -> None:
    account = make_account("measured")
    halt(account_id=account.pk, symbol="BTCUSDT", reason="test", actor="test", source=StateSource.COMMAND)
    _beat("execution:77", 100)
    _run(account, NOW - timedelta(seconds=90))
    ReconciliationFinding.objects.create(
        account=account, run=_run(account, NOW - timedelta(seconds=95)), kind="foreign_position", subject="x",
        severity="critical", sentence="x", detected_at=NOW,
    )  # fmt: skip
    for hours, adjusted in ((3, "1000"), (2, "1250"), (1, "1000")):
        _equity(account, NOW - timedelta(hours=hours), adjusted)
    make_slippage(account, "12.5", NOW)
    make_slippage(account, "400", NOW, is_maker=True)
    make_plan(account)
    alert_raise(kind="x", severity="warning", dedupe_key="x", sentence="x", now=NOW - timedelta(seconds=30))
    measures_update(now=NOW)
    mine = {"account": "measured"}
    assert _gauge("avigrid_trading_state", symbol="BTCUSDT", **mine) == 2
    assert _gauge("avigrid_trading_state", symbol="", **mine) == 0
    assert (_gauge("avigrid_heartbeat_age_seconds", process="execution:77") or 0) >= 100
    assert _gauge("avigrid_reconciliation_open_findings", severity="critical", **mine) == 1
    assert _gauge("avigrid_drawdown_ratio", **mine) == pytest.approx(0.2)
    assert _gauge("avigrid_equity_usd", **mine) == 1000
    assert _gauge("avigrid_slippage_p95_bps", **mine) == 12.5
    assert _gauge("avigrid_slippage_fills", **mine) == 1
    assert _gauge("avigrid_open_plans", **mine) == 1
    assert _gauge("avigrid_outbox_pending") == 1
    assert _gauge("avigrid_outbox_oldest_seconds") == 30


def test_the_newest_run_that_had_answers_tells_the_age() -> None:
    account = make_account("aged")
    _run(account, NOW - timedelta(seconds=90))
    _run(account, NOW, status="incomplete")
    measures_update(now=NOW)
    assert _gauge("avigrid_reconciliation_age_seconds", account="aged") == 90


def test_a_process_that_is_gone_loses_its_series() -> None:
    _beat("execution:78", 100)
    measures_update(now=NOW)
    assert _gauge("avigrid_heartbeat_age_seconds", process="execution:78") is not None
    Heartbeat.objects.all().delete()
    measures_update(now=NOW)
    assert _gauge("avigrid_heartbeat_age_seconds", process="execution:78") is None


def _equity(account: Any, at: datetime, adjusted: str) -> EquitySnapshot:
    money = dict.fromkeys(
        ("wallet_balance_usd", "available_usd", "initial_margin_usd", "maintenance_margin_usd", "unrealised_pnl_usd"),
        D(0),
    )
    return EquitySnapshot.objects.create(
        account=account, at=at, equity_usd=D(adjusted), adjusted_equity_usd=D(adjusted), **money
    )


def test_drawdown_forgets_peaks_of_another_season() -> None:
    account = make_account()
    assert drawdown_now(account.pk) is None
    _equity(account, NOW - 91 * DAY, "5000")
    _equity(account, NOW - DAY, "1000")
    _equity(account, NOW, "900")
    assert drawdown_now(account.pk) == D("0.1")


def test_dependencies_that_answer_are_1_and_those_that_do_not_are_0() -> None:
    def dead() -> None:
        raise ConnectionRefusedError

    registry = CollectorRegistry()
    registry.register(DependencyCollector({**PROBES, "nothing": dead}))
    text = generate_latest(registry).decode()
    assert 'avigrid_dependency_up{name="database"} 1.0' in text
    assert 'avigrid_dependency_up{name="redis"} 1.0' in text
    assert 'avigrid_dependency_up{name="nothing"} 0.0' in text
    assert 'avigrid_dependency_answer_seconds{name="nothing"}' not in text


def test_a_replica_tells_how_far_it_is_behind() -> None:
    registry = CollectorRegistry()
    registry.register(DependencyCollector({}, lag_s=lambda: 61.5))
    assert "avigrid_database_replication_lag_seconds 61.5" in generate_latest(registry).decode()
    without = CollectorRegistry()
    without.register(DependencyCollector())
    assert "replication_lag" not in generate_latest(without).decode()


def test_redis_away_is_0_and_takes_no_longer_than_its_limit(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    registry = CollectorRegistry()
    registry.register(DependencyCollector())
    assert 'avigrid_dependency_up{name="redis"} 0.0' in generate_latest(registry).decode()


# -- performance ------------------------------------------------------------------------------------------------------


def test_days_are_rolled_up_by_the_utc_day_of_the_close() -> None:
    account = make_account()
    make_plan(account, gross="30", fees="2", funding="-1", closed_at=NOW.replace(hour=0))
    make_plan(account, gross="-12", fees="1", closed_at=NOW.replace(hour=23, minute=59))
    make_plan(account, gross="1", fees="1", closed_at=NOW - DAY)
    make_plan(account, closed_at=NOW)  # never filled
    make_plan(account, gross="5", fees="1")  # still open
    assert performance_roll_up(account_id=account.pk, now=NOW) == 2
    yesterday, today = performance_days(account.pk, since=date(2026, 1, 1))
    assert (today.day, today.plans, today.wins) == (date(2026, 1, 5), 2, 1)
    assert (today.gross_usd, today.fees_usd, today.funding_usd) == (D(18), D(3), D(-1))
    assert (today.won_usd, today.lost_usd, today.sum_r) == (D(27), D(13), D("1.4"))
    assert (yesterday.plans, yesterday.wins, yesterday.lost_usd) == (1, 0, D(0))
    went = performance(account.pk, since=date(2026, 1, 4))
    assert went.win_rate == D(1) / 3
    assert went.profit_factor == D(27) / D(13)
    assert went.expectancy_r == D("1.4") / 3


def test_rolling_up_again_changes_nothing_and_late_fees_are_seen() -> None:
    account = make_account()
    plan = make_plan(account, gross="30", fees="2", closed_at=NOW)
    performance_roll_up(account_id=account.pk, now=NOW)
    performance_roll_up(account_id=account.pk, now=NOW)
    row = PerformanceDay.objects.get()
    assert row.won_usd == D(28)
    plan.fees_usd = D(4)
    plan.save()
    performance_roll_up(account_id=account.pk, now=NOW)
    row.refresh_from_db()
    assert row.won_usd == D(26)


def test_nothing_closed_means_no_figures() -> None:
    account = make_account()
    assert performance_roll_up(account_id=account.pk, now=NOW) == 0
    went = performance(account.pk, since=date(2026, 1, 1))
    assert (went.plans, went.win_rate, went.profit_factor, went.expectancy_r) == (0, None, None, None)


# -- retention --------------------------------------------------------------------------------------------------------


def _archived(folder: Path, name: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for path in sorted((folder / name).glob("*.csv.gz")):
        with gzip.open(path, "rt", newline="") as lines:
            rows += csv.DictReader(lines)
    return rows


def test_what_is_old_goes_to_files_and_what_was_traded_stays(tmp_path: Path) -> None:
    version, account = make_version(NOW), make_account()
    old = NOW - 401 * DAY
    traded = make_signal(make_decision(version, old))
    make_plan(account, signal=traded)
    make_signal(make_decision(version, old, "ETHUSDT"))
    make_decision(version, old, "SOLUSDT")
    modelled = make_signal(make_decision(version, old, "BNBUSDT"))
    ModelledPlan.objects.create(
        signal=modelled, strategy=version, symbol="BNBUSDT", direction=1, decided_at=old, last_bar=old, r_usd=D(100)
    )
    kept = make_decision(version, NOW - 399 * DAY, "XRPUSDT")
    removed = trading_retention_apply(now=NOW, folder=tmp_path)
    assert removed == {"signals": 1, "decisions": 2, "outbox": 0, "equity": 0}
    entry = AuditEntry.objects.get(action="retention.applied")
    assert (entry.actor_name, entry.object_id, entry.after) == ("retention", "trading", removed)
    assert set(Decision.objects.values_list("pk", flat=True)) == {traded.decision_id, modelled.decision_id, kept.pk}
    assert set(Signal.objects.values_list("pk", flat=True)) == {traded.pk, modelled.pk}
    assert ModelledPlan.objects.count() == 1
    assert [row["symbol"] for row in _archived(tmp_path, "signals")] == ["ETHUSDT"]
    archived = _archived(tmp_path, "decisions")
    assert {row["symbol"] for row in archived} == {"ETHUSDT", "SOLUSDT"}
    assert [json.loads(row["rules"]) for row in archived] == [[], []]  # columns of JSON stay JSON
    again = trading_retention_apply(now=NOW, folder=tmp_path)
    assert again == {"signals": 0, "decisions": 0, "outbox": 0, "equity": 0}
    assert not list(tmp_path.rglob("*.part"))


def test_rows_stay_where_the_archive_cannot_be_written(tmp_path: Path) -> None:
    make_decision(make_version(NOW), NOW - 401 * DAY)
    with (
        patch("avigrid.common.archive.gzip.GzipFile", side_effect=OSError("disk full")),
        pytest.raises(OSError, match="full"),
    ):
        trading_retention_apply(now=NOW, folder=tmp_path)
    assert Decision.objects.count() == 1


def test_undelivered_messages_are_never_thrown_away(tmp_path: Path) -> None:
    long_ago = NOW - 91 * DAY
    for key in ("waiting", "told"):
        alert_raise(kind="x", severity="warning", dedupe_key=key, sentence="x", now=long_ago)
    OutboxEvent.objects.filter(dedupe_key="x:told").update(delivered_at=long_ago)
    assert trading_retention_apply(now=NOW, folder=tmp_path)["outbox"] == 1
    assert OutboxEvent.objects.get().dedupe_key == "x:waiting"


def test_of_old_equity_the_newest_of_each_hour_stays(tmp_path: Path) -> None:
    account, other = make_account(), make_account()
    start = (NOW - 100 * DAY).replace(minute=0)
    for minutes in (0, 10, 59, 60):
        _equity(account, start + timedelta(minutes=minutes), "1")
    _equity(other, start, "1")
    _equity(account, NOW - timedelta(minutes=1), "1")
    _equity(account, NOW, "1")
    assert trading_retention_apply(now=NOW, folder=tmp_path)["equity"] == 2
    left = EquitySnapshot.objects.filter(account=account).order_by("at").values_list("at", flat=True)
    assert list(left) == [
        start + timedelta(minutes=59),
        start + timedelta(minutes=60),
        NOW - timedelta(minutes=1),
        NOW,
    ]
    assert EquitySnapshot.objects.filter(account=other).count() == 1
