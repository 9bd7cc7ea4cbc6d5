"""Placing under contention: one plan per signal, and limits that hold however many click at once."""

import threading
from collections.abc import Callable
from decimal import Decimal
from unittest.mock import patch

import pytest
from django.db import connection, connections

from avigrid.kernel.market import Ticker
from marketdata.services.prices import prices_publish
from risk.core.states import StateSource
from risk.services.limits import limits_update
from risk.services.states import halt
from tests.support.api_world import ApiWorld
from trading.models import Order, Plan, Signal, SignalStatus
from trading.services.placing import Placement, signal_place
from trading.services.times import from_ms

pytestmark = pytest.mark.django_db(transaction=True)
D = Decimal
SYMBOLS = tuple(f"C{number:02}USDT" for number in range(50))


class House(ApiWorld):
    """An account that may trade, fifty symbols at 100 USDT, everything fresh."""

    def __init__(self) -> None:
        super().__init__(SYMBOLS)


@pytest.fixture
def house(transactional_db: None) -> House:
    return House()


def _at_once(works: list[Callable[[], Placement]]) -> list[Placement]:
    """All of them in threads of their own, started together."""
    barrier = threading.Barrier(len(works))
    answers: list[Placement] = []
    errors: list[BaseException] = []

    def run(work: Callable[[], Placement]) -> None:
        try:
            barrier.wait(30)
            answers.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    return answers


def test_two_operators_on_one_signal_make_one_plan(house: House) -> None:
    signal = house.signal("C00USDT")
    answers = _at_once([lambda: house.place(signal)] * 2)
    assert sorted(answer.code for answer in answers) == ["already_placed", "placed"]
    assert Plan.objects.count() == 1
    assert Order.objects.filter(role="entry").count() == 1


def test_fifty_placements_at_once_end_with_exactly_the_allowed_number(house: House) -> None:
    """Five plans of 1 R each are allowed: max_concurrent 5 and max_total_risk_r 5."""
    limits_update(
        account_id=house.account.pk,
        changes={"book_max_age_s": 600},
        actor="test",
        reason="a slow machine is not what is examined",
        otp_used=True,
    )
    signals = [house.signal(symbol) for symbol in SYMBOLS]
    house.publish()
    answers = _at_once([lambda signal=signal: house.place(signal) for signal in signals])
    assert sum(answer.placed for answer in answers) == 5, {(a.code, a.refused, a.sentence) for a in answers}
    assert Plan.objects.count() == 5
    assert Order.objects.filter(status="intent").count() == 5
    assert all(answer.decision_id is not None for answer in answers)
    assert {code for answer in answers for code in answer.refused} <= {"max_concurrent", "max_total_risk_r"}


def test_a_refusal_changes_nothing_but_is_stored(house: House) -> None:
    halt(account_id=house.account.pk, source=StateSource.OPERATOR, reason="test", actor="test")
    signal = house.signal("C00USDT")
    answer = house.place(signal)
    signal.refresh_from_db()
    assert answer.refused == ("kill_switch", "trading_state")
    assert signal.status == SignalStatus.NEW
    assert Plan.objects.count() == 0
    assert Order.objects.count() == 0


@pytest.mark.parametrize(
    ("status", "code"),
    [(SignalStatus.EXPIRED, "signal_expired"), (SignalStatus.SUPERSEDED, "signal_superseded")],
)
def test_signals_that_are_over_cannot_be_placed(house: House, status: str, code: str) -> None:
    signal = house.signal("C00USDT")
    Signal.objects.filter(pk=signal.pk).update(status=status)
    assert house.place(signal).code == code


def test_a_signal_is_placed_only_while_fresh(house: House) -> None:
    signal = house.signal("C00USDT")
    house.now_ms += 60_000
    assert house.place(signal).code == "signal_expired"


def test_price_beyond_the_entry_limit_is_refused(house: House) -> None:
    signal = house.signal("C00USDT")
    prices_publish([Ticker("C00USDT", 100.2, 100.2, 100.2, 100.19, 100.21, 0.0001, 0, house.now_ms)])
    assert house.place(signal).code == "price_moved"
    short = house.signal("C01USDT", -1)
    prices_publish([Ticker("C01USDT", 100.2, 100.2, 100.2, 100.19, 100.21, 0.0001, 0, house.now_ms)])
    assert house.place(short).placed


def test_anti_churn_queues_the_signal_and_says_until_when(house: House) -> None:
    from risk.services.meters import entry_note

    entry_note(account_id=house.account.pk, symbol="C00USDT", direction=1, at=from_ms(house.now_ms - 300_000))
    signal = house.signal("C00USDT")
    answer = house.place(signal)
    signal.refresh_from_db()
    assert answer.code == "signal_queued"
    assert signal.status == SignalStatus.QUEUED
    assert signal.queued_until == answer.available_at == from_ms(house.now_ms + 600_000)


def test_without_the_execution_process_nothing_is_placed(house: House) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE common_heartbeat SET beat_at = now() - interval '60 seconds'")
    signal = house.signal("C00USDT")
    answer = signal_place(signal_id=signal.pk, account_id=house.account.pk, user=None)
    assert answer.code == "execution_down"
    assert Plan.objects.count() == 0


def test_intent_and_plan_vanish_together_when_the_commit_fails(house: House) -> None:
    signal = house.signal("C00USDT")
    with (
        patch("trading.services.placing.wake_execution", side_effect=RuntimeError("cut")),
        pytest.raises(RuntimeError),
    ):
        house.place(signal)
    assert Plan.objects.count() == 0
    assert Order.objects.count() == 0
    signal.refresh_from_db()
    assert signal.status == SignalStatus.NEW
