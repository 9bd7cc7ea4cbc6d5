"""Halt, flatten and the watchdog on a bad day: an unreadable plan, books that somebody holds, a venue or a key store
that does not answer."""

import io
from collections.abc import Iterator

import psycopg
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from accounts.ciphers.base import CipherDenied, CipherUnavailable
from accounts.models import ApiKey
from accounts.services import api_keys
from avigrid.common.models import Heartbeat
from avigrid.kernel.errors import Retryable
from risk.core.states import State, StateSource
from risk.selectors.guards import effective_state
from risk.services.states import halt
from tests.support.trading_desk import TradingDesk
from trading.models import Order, OutboxEvent, Plan
from trading.runtime import kill_books, venue_line
from trading.runtime.hang_limit import hang_limit
from trading.runtime.inbox import database_url
from trading.runtime.kill import flatten_now, halt_now
from trading.runtime.venue_line import VenueLine
from trading.runtime.watchdog import Watchdog
from trading.selectors.kill_switch import flatten_pending


def _entries(desk: TradingDesk) -> list[str]:
    rows = desk.client.gateway.open_orders()
    return [row.order_link_id for row in rows if not row.reduce_only and not row.stop_order_type]


def _unreadable(plan: Plan) -> None:
    Plan.objects.filter(pk=plan.pk).update(spec={})


@pytest.fixture
def held_books(desk: TradingDesk) -> Iterator[psycopg.Connection]:
    """Another connection in the middle of a transaction, as a stopped execution process leaves it."""
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT 1 FROM accounts_tradingaccount WHERE id = %s FOR NO KEY UPDATE", [desk.account.pk])
        yield other
        other.rollback()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_books, "_PLAN_PATIENCE_MS", 50)


# -- one plan that cannot be read -------------------------------------------------------------------------------------


def test_commands_close_at_the_venue_though_a_plan_cannot_be_read(desk: TradingDesk) -> None:
    desk.start()
    bad = desk.opened(symbol="SOLUSDT", profile="grid", rungs=3)
    good = desk.opened(symbol="BTCUSDT")
    desk.until(lambda: len(_entries(desk)) == 2, what="rungs")
    desk.kill()
    _unreadable(bad)
    out, err = io.StringIO(), io.StringIO()
    call_command("halt", account=desk.account.pk, reason="test", stdout=out, stderr=err)
    assert "2 entries cancelled" in out.getvalue()
    assert f"plan {bad.pk} could not be told: plan_spec" in err.getvalue()
    assert _entries(desk) == []
    Heartbeat.objects.all().delete()  # nobody else closes anything
    call_command("flatten", account=desk.account.pk, reason="test", stdout=out, stderr=err)
    assert "flat, says the venue" in out.getvalue()
    assert desk.client.gateway.positions() == []
    good.refresh_from_db()
    assert good.status == "closing"
    told = OutboxEvent.objects.get(kind="plan_step_failed")
    assert (told.payload["plan_id"], told.severity) == (bad.pk, "critical")


def test_the_running_process_lives_with_a_plan_it_cannot_read(desk: TradingDesk) -> None:
    execution = desk.start()
    bad = desk.opened(symbol="SOLUSDT", profile="grid", rungs=3)
    good = desk.opened(symbol="BTCUSDT")
    desk.until(lambda: len(_entries(desk)) == 2, what="rungs")
    _unreadable(bad)
    execution.idle.look()
    execution.protection.run(audit_all=True)
    execution.rung_stops.run()
    assert not desk.place(desk.signal("BTCUSDT", -1, r_usd="5000")).placed  # counted, not fatal
    assert execution.protection.unprotected_qty == 0
    halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR)
    desk.until(lambda: not _entries(desk), what="entries gone")
    halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR, flatten=True)
    desk.until(lambda: Plan.objects.get(pk=good.pk).status == "closed", what="the other plan over")
    desk.until(lambda: not desk.client.gateway.positions(), timeout_s=30, what="flat")
    desk.until(lambda: not execution.halting.running, what="over")
    assert OutboxEvent.objects.filter(kind="plan_step_failed").count() == 1


# -- books that somebody holds ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_flatten_closes_at_the_venue_while_the_books_are_held(
    desk: TradingDesk, held_books: psycopg.Connection
) -> None:
    held_books.rollback()
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=3)
    desk.kill()
    Heartbeat.objects.all().delete()
    held_books.execute("SELECT 1 FROM accounts_tradingaccount WHERE id = %s FOR NO KEY UPDATE", [desk.account.pk])
    outcome = flatten_now(account_id=desk.account.pk, symbol=None, reason="test", actor="test")
    assert outcome.done
    assert desk.client.gateway.positions() == []
    assert _entries(desk) == []
    assert outcome.unwritten == ("the plans do not know yet: Another process holds the books of this account.",)
    assert effective_state(desk.account.pk) is State.HALTED
    assert Plan.objects.get(pk=plan.pk).status == "active"
    halted = halt_now(account_id=desk.account.pk, symbol=None, reason="test", actor="test", source=StateSource.COMMAND)
    assert halted.done
    assert halted.unwritten == outcome.unwritten
    held_books.rollback()
    again = flatten_now(account_id=desk.account.pk, symbol=None, reason="test", actor="test")
    assert (again.done, again.unwritten) == (True, ())
    assert Plan.objects.get(pk=plan.pk).status == "closing"


@pytest.mark.django_db(transaction=True)
def test_the_database_takes_the_lock_from_a_process_that_hangs() -> None:
    def limit() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW idle_in_transaction_session_timeout")
            return str(cursor.fetchone()[0])

    def hang() -> None:
        with transaction.atomic(), psycopg.connect(database_url(), autocommit=True) as other:
            limit()
            backend = connection.connection.info.backend_pid
            while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [backend]).fetchone():
                pass
            limit()

    with hang_limit(), transaction.atomic():
        assert limit() == "15s"
    connection.close()
    with hang_limit(0.02):
        assert limit() == "20ms"  # also on a connection opened later
        with pytest.raises(DatabaseError, match="idle-in-transaction"):
            hang()
    connection.close()
    assert limit() == "0"


# -- a venue that does not answer -------------------------------------------------------------------------------------


def test_flatten_goes_on_until_the_venue_can_be_reached(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.start()
    desk.opened(symbol="SOLUSDT")
    desk.kill()
    Heartbeat.objects.all().delete()
    real, refusals = venue_line.open_venue, iter([Retryable("no route"), CipherUnavailable("sealed")])

    def open_venue(*args: object, **options: object) -> object:
        error = next(refusals, None)
        if error is not None:
            raise error
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(venue_line, "open_venue", open_venue)
    pauses: list[float] = []
    said: list[str] = []
    outcome = flatten_now(
        account_id=desk.account.pk, symbol=None, reason="test", actor="test", say=said.append, sleep=pauses.append
    )
    assert outcome.done
    assert desk.client.gateway.positions() == []
    assert said[:2] == ["no answer (retryable), trying again", "no answer (cipher_unavailable), trying again"]
    assert pauses[:2] == [0.6, 1.2]


def test_flatten_without_any_venue_ends_at_its_deadline(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise Retryable("no route")

    monkeypatch.setattr(venue_line, "open_venue", nothing)
    ticks = iter(range(0, 10_000, 10))
    outcome = flatten_now(
        account_id=desk.account.pk, symbol=None, reason="test", actor="test", timeout_s=60.0,
        monotonic=lambda: float(next(ticks)), sleep=lambda _: None,
    )  # fmt: skip
    assert not outcome.done
    assert effective_state(desk.account.pk) is State.HALTED
    assert "the venue does not answer" in OutboxEvent.objects.get(kind="flatten_stuck").payload["sentence"]


# -- the watchdog -----------------------------------------------------------------------------------------------------


def _dead_for_an_hour(desk: TradingDesk) -> None:
    desk.kill()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE common_heartbeat SET beat_at = beat_at - interval '1 hour'")


def test_a_watchdog_begun_after_the_death_halts_where_plans_are_open(desk: TradingDesk) -> None:
    desk.start()
    desk.opened(symbol="SOLUSDT", profile="grid", rungs=3)
    desk.until(lambda: len(_entries(desk)) == 2)
    _dead_for_an_hour(desk)
    clock = iter([100.0, 129.0, 131.0, 133.0])
    watchdog = Watchdog(desk.account.pk, monotonic=lambda: next(clock))
    assert watchdog.look() == []  # they may all be starting
    assert watchdog.look() == []
    assert effective_state(desk.account.pk) is State.ACTIVE
    assert watchdog.look() == ["execution"]
    assert effective_state(desk.account.pk) is State.HALTED
    assert _entries(desk) == []
    assert watchdog.look() == []


def test_a_process_nobody_needs_is_not_missed(desk: TradingDesk) -> None:
    desk.start()
    _dead_for_an_hour(desk)
    clock = iter([0.0, 500.0])
    watchdog = Watchdog(desk.account.pk, monotonic=lambda: next(clock))
    assert [watchdog.look(), watchdog.look()] == [[], []]
    assert effective_state(desk.account.pk) is State.ACTIVE


def test_a_pending_flatten_is_taken_up_though_execution_was_never_seen(desk: TradingDesk) -> None:
    body = {"action": "foreign_position", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.01"}
    desk.simulator.sim("POST", "/sim/market", body)
    halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR, flatten=True)
    clock = iter([0.0, 31.0])
    watchdog = Watchdog(desk.account.pk, monotonic=lambda: next(clock))
    assert watchdog.look() == []
    assert watchdog.look() == ["execution"]
    assert not any(row.size for row in desk.client.gateway.positions())
    assert flatten_pending(desk.account.pk) == []


def test_the_watchdog_survives_a_sealed_key_store_and_uses_the_key_it_holds(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.start()
    desk.opened(symbol="SOLUSDT", profile="grid", rungs=3)
    desk.until(lambda: len(_entries(desk)) == 2)
    rounds = iter([False, False, True])
    watchdog = Watchdog(desk.account.pk, sleep=lambda _: None)

    def sealed(*_: object, **__: object) -> None:
        raise CipherUnavailable("sealed")

    def next_round() -> bool:
        over = next(rounds)
        if watchdog._line is not None:  # the first round held a venue
            monkeypatch.setattr("accounts.services.api_keys.api_key_credentials", sealed)
            monkeypatch.setattr(venue_line, "open_venue", sealed)
            watchdog.silence_s = -1.0
        return over

    watchdog.run(until=next_round)
    assert effective_state(desk.account.pk) is State.HALTED
    assert _entries(desk) == []
    with pytest.raises(CipherUnavailable):
        VenueLine(desk.account.pk, process="test").venue()


@pytest.mark.parametrize("error", [CipherDenied("token expired", code="vault_denied"), Retryable("no route")])
def test_a_line_holds_on_while_a_rotated_key_cannot_be_used(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    line = VenueLine(desk.account.pk, process="test")
    held = line.venue()
    old = ApiKey.objects.get(active=True)
    ApiKey.objects.update(active=False)
    new = ApiKey.objects.create(account=old.account, key_id=old.key_id, label="new", ciphertext=old.ciphertext)

    def fails(*_: object, **__: object) -> None:
        raise error

    where = (api_keys, "api_key_credentials") if isinstance(error, CipherDenied) else (venue_line, "open_venue")
    with monkeypatch.context() as patched:
        patched.setattr(*where, fails)
        assert line.venue() is held
        assert line.venue().gateway.positions() == []
    assert line.venue().key_row == new.pk


def test_the_watchdog_goes_on_where_a_flatten_fails(desk: TradingDesk) -> None:
    halt(account_id=desk.account.pk, reason="test", actor="test", source=StateSource.OPERATOR, flatten=True)
    calls: list[str | None] = []

    def fails(*, symbol: str | None, **_: object) -> None:
        calls.append(symbol)
        raise CipherUnavailable("sealed")

    rounds = iter([False, False, True])
    watchdog = Watchdog(desk.account.pk, silence_s=-1.0, sleep=lambda _: None, flatten=fails)  # type: ignore[arg-type]
    watchdog.run(until=lambda: next(rounds))
    assert calls == [None, None]
    assert Order.objects.count() == 0
