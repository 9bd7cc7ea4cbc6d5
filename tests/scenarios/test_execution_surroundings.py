"""First runs on odd accounts; Redis, PostgreSQL, key, clock and position mode in trouble."""

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from avigrid.common import heartbeats
from avigrid.exchange.ports import StreamState
from tests.support.trading_desk import TradingDesk, trading_desk
from trading.models import Order, OutboxEvent, Plan, Position, ReconciliationFinding, ReconciliationRun
from trading.runtime.execution import Execution
from trading.runtime.inbox import Heard
from trading.selectors.exchange_time import process_name
from trading.services.plan_commands import plan_close


@pytest.fixture
def poor_desk(transactional_db: None) -> Iterator[TradingDesk]:
    with trading_desk(balance="0") as desk:
        yield desk


def test_16_first_run_with_no_fills_is_ready(desk: TradingDesk) -> None:
    execution = desk.start()
    assert ReconciliationRun.objects.get(scope="start").status == "good"
    assert execution.surroundings.problems == {}


def test_16_first_run_with_no_balance_refuses_with_the_numbers(poor_desk: TradingDesk) -> None:
    poor_desk.start()
    refused = poor_desk.place(poor_desk.signal("SOLUSDT"))
    assert not refused.placed
    assert "margin" in refused.refused


def test_16_first_run_with_a_foreign_position_blocks_that_symbol_only(desk: TradingDesk) -> None:
    desk.simulator.sim(
        "POST", "/sim/market", {"action": "foreign_position", "symbol": "SOLUSDT", "side": "Buy", "qty": "2"}
    )
    desk.start()
    finding = ReconciliationFinding.objects.get(kind="position_foreign", is_open=True)
    assert finding.severity == "critical"
    refused = desk.place(desk.signal("SOLUSDT"))
    assert refused.refused == ("symbol_open",)
    desk.opened(symbol="BTCUSDT")
    assert {row.symbol: row.size for row in desk.client.gateway.positions()}["SOLUSDT"] == Decimal(2)


def test_16_first_run_in_the_wrong_position_mode_says_what_to_do(desk: TradingDesk) -> None:
    """A position is open in the venue's other mode, so it refuses to switch: nothing is concluded, nothing sent."""
    desk.account.hedge_mode = False
    desk.account.save()
    desk.simulator.sim(
        "POST", "/sim/market", {"action": "foreign_position", "symbol": "SOLUSDT", "side": "Buy", "qty": "2"}
    )
    execution = desk.execution = Execution(desk.account.pk, holder="execution-a")
    assert execution.open()
    desk.until(lambda: ReconciliationRun.objects.filter(scope="start", status="incomplete").exists(), what="a look")
    assert "close what is open" in execution.surroundings.problems["position_mode"]
    assert "position_mode" in ReconciliationRun.objects.filter(scope="start").latest("pk").error
    desk.place(desk.signal("BTCUSDT"))
    desk.settle()
    assert not execution.is_ready
    assert not Position.objects.exists()
    assert not Order.objects.exclude(status__in=("intent", "cancelled")).exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [({"read_only": True}, "key_read_only"), ({"can_withdraw": True}, "key_can_withdraw")],
)
def test_16_keys_that_may_too_little_or_too_much(desk: TradingDesk, change: dict[str, bool], code: str) -> None:
    execution = desk.start()
    info = execution.context.gateway.key_info()
    execution.context.gateway.key_info = lambda: dataclasses.replace(info, **change)  # type: ignore[method-assign]
    execution.surroundings.check_key()
    assert list(execution.surroundings.problems) == [code]
    assert OutboxEvent.objects.filter(kind=code, severity="critical").count() == 1
    desk.place(desk.signal("SOLUSDT"))
    desk.settle()
    assert desk.client.gateway.positions() == []
    execution.context.gateway.key_info = lambda: info  # type: ignore[method-assign]
    execution.surroundings.check_key()
    assert execution.surroundings.problems == {}


def test_19_clock_far_off_refuses_new_risk_and_alerts(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = desk.start()
    desk.fault("clock_skew", params={"skew_ms": 2_000}, for_s=3600)
    execution.context.environment = "mainnet"
    execution.surroundings.measure_clock()
    assert "clock_offset" in execution.surroundings.problems
    assert OutboxEvent.objects.filter(kind="clock_offset").count() == 1
    assert not execution.surroundings.are_good


def test_21_a_blocked_plan_is_named_with_its_reason(desk: TradingDesk) -> None:
    execution = desk.start()
    plan = desk.placed(desk.signal("SOLUSDT", profile="grid", rungs=3))
    execution.context.redis_down = True
    execution.sender.entries_ready = False
    execution.idle.patience = timedelta(0)
    execution.idle.look()
    execution.idle.look()
    told = OutboxEvent.objects.filter(kind="plan_idle")
    assert told.count() == 1
    assert "Redis cannot be reached" in told.get().payload["sentence"]
    assert told.get().payload["plan_id"] == plan.pk


def test_21_a_dead_stream_and_an_open_circuit_are_reasons(desk: TradingDesk) -> None:
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    execution.context.stream_up = False
    assert execution.idle.reason(plan) == "the private stream is down, so nothing new is opened"
    execution.context.stream_up = True
    for _ in range(3):
        execution.context.breakers.refused("SOLUSDT", "entry", "margin_short", execution.context.now())
    told = "the circuit is open: the venue kept refusing its entry orders (margin_short)"
    assert execution.idle.reason(plan) == told
    execution.context.breakers.accepted("SOLUSDT", "entry")
    assert execution.idle.reason(plan) != told


def test_22_redis_down_stops_new_risk_but_not_exits(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    signal = desk.signal("BTCUSDT")
    desk.bar("BTCUSDT")

    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("redis is down")

    with monkeypatch.context() as patched:
        for name in ("get", "set", "get_many", "set_many"):
            patched.setattr(cache, name, refuse, raising=False)
        patched.setattr(desk, "publish", lambda: None)
        desk.until(lambda: execution.context.redis_down, what="noticed")
        assert desk.place(signal).code == "no_price"
        plan_close(plan_id=plan.pk, user="test")
        desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="exit without Redis")
        assert desk.client.gateway.positions() == []
    desk.until(lambda: not execution.context.redis_down, what="recovered without a restart")
    desk.opened(symbol="BTCUSDT")


def test_22_database_connection_lost_and_back(desk: TradingDesk) -> None:
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    import psycopg

    from trading.runtime.inbox import database_url

    with psycopg.connect(database_url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
    execution.turn(wait_s=0.0)
    assert not execution.is_ready
    desk.until(lambda: execution.is_ready, what="ready again")
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed")
    desk.settle()
    desk.assert_books_equal_venue()


def test_heartbeat_says_how_the_process_fares(desk: TradingDesk) -> None:
    desk.start()
    desk.settle(40)
    life = next(row for row in heartbeats.lives() if row.process == process_name(desk.account.pk))
    assert life.detail["is_ready"] is True
    assert life.detail["stream"] == "up"
    assert life.detail["unprotected_qty_max"] == "0"
    assert int(str(life.detail["exchange_ms"])) > 0


def test_without_a_key_the_process_ends_with_a_readable_reason(desk: TradingDesk) -> None:
    from accounts.models import ApiKey
    from avigrid.kernel.errors import OperatorNeeded

    ApiKey.objects.update(active=False)
    with pytest.raises(OperatorNeeded, match="no active key"):
        Execution(desk.account.pk).run()


def test_nothing_opens_while_the_private_stream_is_down(desk: TradingDesk) -> None:
    execution = desk.start()
    execution.inbox.put(Heard(StreamState("down", "private", "cut", 0), timezone.now()))
    desk.until(lambda: execution.stream == "down", what="stream down")
    plan = desk.placed(symbol="SOLUSDT")
    desk.settle()
    assert set(plan.orders.values_list("status", flat=True)) == {"intent"}
    assert not execution.sender.entries_ready
    assert not execution.hearing.entries_allowed
    assert desk.client.gateway.positions() == []
    execution.inbox.put(Heard(StreamState("gap", "private", "a message was unreadable", 0), timezone.now()))
    desk.settle(3)
    assert not execution.sender.entries_ready
    execution.inbox.put(Heard(StreamState("up", "private", "", 0), timezone.now()))
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "active", what="entered once it is up")
