"""The servers themselves go away while a plan is open: PostgreSQL is shut down, Redis is killed."""

import os
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections
from pytest_django import DjangoDbBlocker, Settings

from avigrid.common import embedded
from avigrid.common.database_url import database_entry
from risk.core.states import State, StateSource
from risk.selectors.guards import effective_state
from risk.services.states import halt
from tests.chaos.servers import PostgresServer, RedisServer
from tests.support.trading_desk import TradingDesk, trading_desk
from trading.models import Fill, Order, Plan
from trading.services.plan_commands import plan_close

BACK_WITHIN_S = 30.0
_PLACE = ("NAME", "USER", "PASSWORD", "HOST", "PORT")


@pytest.fixture
def postgres(django_db_blocker: DjangoDbBlocker) -> Iterator[PostgresServer]:
    """A cluster of the test's own, with an empty database of ours on it in place of the run's."""
    name = f"outage_{os.environ['AVIGRID_TEST_RUN']}_{os.getpid()}"
    urls = {key: os.environ[key] for key in ("DATABASE_URL", "REDIS_URL")}
    server = PostgresServer(name)
    entry = database_entry(os.environ["DATABASE_URL"])
    os.environ.update(urls)
    place = connections["default"].settings_dict
    before = {key: place[key] for key in _PLACE}
    try:
        with django_db_blocker.unblock():
            connection.close()
            place.update({key: entry[key] for key in _PLACE})
            call_command("migrate", verbosity=0, interactive=False)
            yield server
    finally:
        connection.close()
        place.update(before)
        server.stop()
        shutil.rmtree(embedded.VAR / name)


@pytest.fixture
def redis_server(tmp_path: Path, settings: Settings) -> Iterator[RedisServer]:
    """Cache and rate budgets on a server of the test's own."""
    server = RedisServer(tmp_path)
    settings.REDIS_URL = server.url
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": server.url}}
    yield server
    server.kill()


def _known_to_venue(desk: TradingDesk) -> tuple[set[str], set[tuple[str, str]]]:
    """Every order it was ever sent, and every stop it holds."""
    state: Any = desk.state()
    orders = {row["orderId"] for rows in state["orders"].values() for row in rows}
    return orders, {(row["symbol"], row["stopLoss"]) for row in state["positions"]}


@pytest.mark.slow
def test_22_postgresql_down_sends_nothing_and_trades_within_thirty_seconds_of_its_return(
    postgres: PostgresServer,
) -> None:
    """Rungs are bought while it is away: neither take-profits nor anything else goes out before it is back."""
    with trading_desk() as desk:
        execution = desk.start()
        plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=5)
        desk.settle()
        sent = _known_to_venue(desk)
        executions = len(desk.state()["executions"])
        booked = Fill.objects.count()
        postgres.shut_down()

        desk.jump(-0.004, "SOLUSDT")
        desk.until(lambda: not execution.is_ready, what="noticed")
        desk.until(lambda: execution._pending, what="a frame that cannot be booked")
        desk.settle(6)
        assert len(desk.state()["executions"]) > executions
        assert _known_to_venue(desk) == sent
        assert not execution.is_ready

        postgres.start()
        desk.patience_s = BACK_WITHIN_S
        desk.until(lambda: execution.is_ready, what="ready again")
        desk.until(lambda: Fill.objects.count() > booked, what="the fills of the outage")
        desk.settle()
        desk.assert_books_equal_venue()
        desk.opened(symbol="BTCUSDT")
        plan_close(plan_id=plan.pk, user="test")
        desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="closed")
        desk.settle()
        desk.assert_books_equal_venue()


@pytest.mark.slow
def test_kill_switch_with_redis_killed_flattens_through_the_running_process(
    redis_server: RedisServer, desk: TradingDesk
) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=4)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 3, what="rungs")
    redis_server.kill()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(desk, "publish", lambda: None)
        halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR, flatten=True)
        desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", timeout_s=20, what="flat")
        desk.settle()
        assert desk.client.gateway.positions() == []
        assert desk.client.gateway.open_orders() == []
        assert effective_state(desk.account.pk) is State.HALTED


@pytest.mark.slow
def test_22_redis_down_opens_nothing_exits_still_work_and_recovers_without_a_restart(
    redis_server: RedisServer, desk: TradingDesk
) -> None:
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    waiting = desk.signal("BTCUSDT")
    placed = desk.placed(waiting)  # an intent of a moment before
    redis_server.kill()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(desk, "publish", lambda: None)  # what it would write to is gone
        desk.until(lambda: execution.context.redis_down, what="noticed")
        assert desk.place(desk.signal("BTCUSDT")).code == "no_price"
        plan_close(plan_id=plan.pk, user="test")
        desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="exit without Redis")
        assert {row.symbol for row in desk.client.gateway.positions() if row.size} == set()
        assert set(placed.orders.values_list("status", flat=True)) == {"intent"}
    redis_server.start()
    desk.until(lambda: not execution.context.redis_down, timeout_s=BACK_WITHIN_S, what="noticed again")
    desk.until(lambda: Plan.objects.get(pk=placed.pk).status == "active", timeout_s=BACK_WITHIN_S, what="entered")
    desk.settle()
    assert Order.objects.filter(plan=placed, role="entry", filled_qty__gt=Decimal(0)).exists()
    desk.assert_books_equal_venue()
