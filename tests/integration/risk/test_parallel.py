"""Real transactions racing on a real PostgreSQL.

The test's own connection stays inside its transaction that is rolled back; whatever must be committed is done by other
threads with connections of their own, and cleaned up after.
"""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections, transaction

from accounts.models import TradingAccount
from avigrid.kernel.errors import Bug
from risk.core.request import OrderLine
from risk.core.snapshot import Freshness, OpenPlan
from risk.core.states import State, StateSource
from risk.models import RiskDecision, TradingState, TradingStateChange
from risk.selectors import effective_state
from risk.services import announce, decide, halt
from risk.services.account_lock import account_lock, account_lock_try
from tests.support.locks import until_somebody_waits
from tests.support.risk import NOW_MS, opening, snapshot

THREADS = 50


def _in_thread[T](work: Callable[[], T]) -> Callable[[], T]:
    def run() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    return run


def _outside[T](work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_in_thread(work)).result(timeout=60)


def _sql(text: str) -> list[tuple[Any, ...]]:
    """Called from threads only: a look at the plans from the test's own transaction would keep the table locked."""
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def committed(db: None) -> Iterator[TradingAccount]:
    """An account everybody can see, and a table of placed plans that stands in for trading's."""

    def set_up() -> TradingAccount:
        _sql("CREATE TABLE risk_test_plan (id serial, base text, direction int, risk_usd numeric)")
        return TradingAccount.objects.create(label="risk parallel", environment="simulated")

    def clean_up() -> None:
        _sql("DROP TABLE risk_test_plan")
        RiskDecision.objects.filter(account=account).delete()
        TradingState.objects.filter(account=account).delete()
        account.delete()

    account = _outside(set_up)
    yield account
    _outside(clean_up)


def _place(account_id: int, base: str, direction: int, quantity: str) -> bool:
    """What trading does: lock, look, decide, commit the plan; here with a table of the test's own."""
    request = opening(
        symbol=f"{base}USDT",
        base_coin=base,
        direction=direction,
        lines=(OrderLine(Decimal(quantity), Decimal(60_000)),),
        stop_price=Decimal(60_000 - direction * 1_000),
        risk_usd=Decimal(quantity) * 1_000,
    )
    with transaction.atomic(), connection.cursor() as cursor:
        account_lock(account_id=account_id)
        cursor.execute("SELECT id, base, direction, risk_usd FROM risk_test_plan")
        plans = tuple(
            OpenPlan(row[0], f"{row[1]}USDT", row[1], row[2], row[3], Decimal(600), Decimal("0.01"))
            for row in cursor.fetchall()
        )
        seen = replace(
            snapshot(open_plans=plans), freshness=(Freshness(request.symbol, NOW_MS - 500, NOW_MS - 60_000),)
        )
        decision = decide(account_id=account_id, request=request, snapshot=seen, now_ms=NOW_MS)
        if decision.allowed:
            cursor.execute(
                "INSERT INTO risk_test_plan (base, direction, risk_usd) VALUES (%s, %s, %s)",
                [base, direction, request.risk_usd],
            )
        return decision.allowed


def _race(works: list[Callable[[], bool]]) -> list[bool]:
    start = threading.Barrier(len(works))

    def begin(work: Callable[[], bool]) -> bool:
        start.wait(timeout=60)
        return _in_thread(work)()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(timeout=120) for future in [pool.submit(begin, work) for work in works]]


@pytest.mark.parametrize(
    ("quantity", "allowed"),
    [("0.010", 5), ("0.020", 5)],  # half an R each: five plans are the limit; one R each: five R are
)
def test_fifty_placements_at_once_end_with_exactly_the_allowed_number(
    committed: TradingAccount, quantity: str, allowed: int
) -> None:
    results = _race(
        [lambda i=i: _place(committed.pk, f"B{i}", 1, quantity) for i in range(THREADS)]  # type: ignore[misc]
    )
    assert sum(results) == allowed
    ((placed, risk_usd),) = _outside(lambda: _sql("SELECT count(*), sum(risk_usd) FROM risk_test_plan"))
    assert placed == allowed
    assert risk_usd <= 100
    assert RiskDecision.objects.filter(account=committed).count() == THREADS
    assert RiskDecision.objects.filter(account=committed, ruling="allow").count() == allowed


def test_fifty_clicks_on_one_base_place_one_long_and_one_short(committed: TradingAccount) -> None:
    results = _race(
        [lambda side=side: _place(committed.pk, "BTC", side, "0.010") for side in (1, -1) * (THREADS // 2)]  # type: ignore[misc]
    )
    assert sum(results) == 2
    assert _outside(lambda: _sql("SELECT direction FROM risk_test_plan ORDER BY direction")) == [(-1,), (1,)]


def test_risk_limit_binds_before_the_count(committed: TradingAccount) -> None:
    _outside(lambda: _sql("INSERT INTO risk_test_plan (base, direction, risk_usd) VALUES ('OLD', 1, 65)"))
    results = _race([lambda i=i: _place(committed.pk, f"B{i}", 1, "0.015") for i in range(10)])  # type: ignore[misc]
    assert sum(results) == 2  # 65 + 15 + 15 = 95; a third would make 110 of 100


def test_a_placement_waits_for_a_halt_in_flight_and_sees_it(committed: TradingAccount) -> None:
    with ThreadPoolExecutor(1) as pool:

        def halt_while_somebody_places() -> Future[bool]:
            with transaction.atomic():
                account_lock(account_id=committed.pk)
                placing = pool.submit(_in_thread(lambda: _place(committed.pk, "BTC", 1, "0.010")))
                until_somebody_waits()
                TradingState.objects.create(
                    account=committed, symbol=None, state=State.HALTED, source=StateSource.OPERATOR, reason="test"
                )
            return placing

        assert _outside(halt_while_somebody_places).result(timeout=30) is False
    (stored,) = RiskDecision.objects.filter(account=committed)
    assert stored.refused == ["kill_switch", "trading_state"]


def test_a_halt_does_not_wait_for_a_placement_that_hangs(
    committed: TradingAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("risk.services.states._HALT_PATIENCE_MS", 50)
    locked, done = threading.Event(), threading.Event()

    def hang() -> None:
        with transaction.atomic():
            account_lock(account_id=committed.pk)
            locked.set()
            assert done.wait(timeout=30)

    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(_in_thread(hang))
        try:
            assert locked.wait(timeout=30)
            with transaction.atomic():
                assert not account_lock_try(account_id=committed.pk, wait_ms=50)
                assert halt(account_id=committed.pk, reason="now", actor="command") is not None
                assert effective_state(committed.pk) is State.HALTED
                with connection.cursor() as cursor:
                    cursor.execute("SHOW lock_timeout")
                    assert cursor.fetchone() == ("0",)
                transaction.set_rollback(True)
        finally:
            done.set()
        hanging.result(timeout=30)


def test_the_lock_wants_a_transaction(committed: TradingAccount) -> None:
    with pytest.raises(Bug):
        _outside(lambda: account_lock(account_id=committed.pk))


def test_execution_hears_of_a_change_when_it_commits(committed: TradingAccount) -> None:
    change = TradingStateChange(
        pk=77, account=committed, symbol="BTCUSDT", before="active", after="halted", source="operator", flatten=True
    )

    def announce_and_listen() -> str:
        listener = connection.copy()
        listener.ensure_connection()
        raw = listener.connection
        try:
            raw.execute("LISTEN avigrid_execution")
            with transaction.atomic():
                announce.state_changed(change)
                assert list(raw.notifies(timeout=0.05)) == []
            (heard,) = raw.notifies(timeout=10, stop_after=1)
            return heard.payload
        finally:
            listener.close()

    assert json.loads(_outside(announce_and_listen)) == {
        "kind": "trading_state",
        "account_id": committed.pk,
        "symbol": "BTCUSDT",
        "state": "halted",
        "flatten": True,
        "change_id": 77,
    }
