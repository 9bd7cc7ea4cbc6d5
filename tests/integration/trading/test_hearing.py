"""News that cannot be booked costs itself only: the rest is booked, the process lives, a person is told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone

from avigrid.kernel.orders import Execution, Side
from tests.support.api_world import ApiWorld
from trading.avi5.state import MarketView
from trading.models import Fill, OutboxEvent, Plan, ReconciliationFinding
from trading.runtime import hearing
from trading.runtime.comparisons import Comparisons
from trading.runtime.guarding import plan_guarded, plan_skipped
from trading.runtime.hearing import Effects, Hearing
from trading.runtime.inbox import Heard
from trading.runtime.timers import Timers

pytestmark = pytest.mark.django_db(transaction=True)
D = Decimal
GOOD = Execution("good", "v9", "", "AAAUSDT", Side.BUY, D(100), D(1), D("0.055"), False, 1_767_614_400_000)
BAD = {
    "no quantity": replace(GOOD, exec_id="bad", quantity=D(0)),
    "a negative quantity": replace(GOOD, exec_id="bad", quantity=D(-1)),
    "no price": replace(GOOD, exec_id="bad", price=D(0)),
    "a price beyond every column": replace(GOOD, exec_id="bad", price=D("1e40")),
    "an id beyond its column": replace(GOOD, exec_id="bad" * 30),
}


class Books:
    """The account's transaction, with the number of those that were undone."""

    def __init__(self) -> None:
        self.undone = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        try:
            with transaction.atomic():
                yield
        except Exception:
            self.undone += 1
            raise


@pytest.fixture
def world() -> ApiWorld:
    return ApiWorld()


@pytest.fixture
def context(world: ApiWorld) -> Any:
    return SimpleNamespace(
        account_id=world.account.pk,
        hedge_mode=True,
        now=timezone.now,
        exchange_ms=lambda: world.now_ms,
        books=Books(),
        prices=SimpleNamespace(read=lambda symbols: {}),
    )


def _told(kind: str) -> list[str]:
    return [row.payload["sentence"] for row in OutboxEvent.objects.filter(kind=kind).order_by("pk")]


@pytest.mark.parametrize("what", BAD)
def test_of_a_burst_only_the_bad_execution_is_left_out(context: Any, what: str) -> None:
    one = Hearing(context)
    heard = [Heard(row, timezone.now()) for row in (GOOD, BAD[what], replace(GOOD, exec_id="after"))]
    for _ in range(2):
        one.take(heard)
    assert sorted(Fill.objects.values_list("exec_id", flat=True)) == ["after", "good"]
    assert len(_told("execution_not_booked")) == 1


@pytest.mark.parametrize("what", BAD)
def test_of_a_page_only_the_bad_execution_is_left_out(context: Any, what: str) -> None:
    one, effects = Hearing(context), Effects()
    for _ in range(2):
        with context.books():
            booked = [one.execution(row, effects, source="rest") for row in (BAD[what], GOOD)]
            Plan.objects.exists()  # the transaction is still good for more
    assert booked == [False, False]
    assert [fill.exec_id for fill in Fill.objects.all()] == ["good"]
    assert len(_told("execution_not_booked")) == 1
    assert context.books.undone == 0


def test_a_funding_of_nothing_is_no_fault(context: Any) -> None:
    one = Hearing(context)
    one.take([Heard(replace(GOOD, kind="Funding", price=D(0), quantity=D(0)), timezone.now())])
    assert _told("execution_not_booked") == []
    assert not Fill.objects.exists()


@pytest.mark.parametrize("guard", [plan_guarded, plan_skipped])
def test_a_step_against_the_rules_of_the_database_costs_its_plan_only(
    world: ApiWorld, context: Any, guard: Any
) -> None:
    plan = world.placed()
    with guard(context, plan):
        raise IntegrityError("a rule of the table")
    assert _told("plan_step_failed") == [
        "AAAUSDT: the plan cannot take its next step (IntegrityError); it needs a person."
    ]
    with pytest.raises(OperationalError), guard(context, plan):
        raise OperationalError("the connection")


def test_a_spoilt_transaction_is_never_used_further(world: ApiWorld, context: Any) -> None:
    plan = world.placed()
    with pytest.raises(IntegrityError), transaction.atomic(), plan_skipped(context, plan):
        raise IntegrityError("a rule of the table")
    assert _told("plan_step_failed") == []


def test_while_a_plan_closes_or_a_position_is_unexplained_nothing_is_re_armed_there(
    world: ApiWorld, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    long, elsewhere = world.placed(), world.placed("BBBUSDT")
    short = Plan.objects.get(pk=world.place(world.signal(direction=-1)).plan_id)
    allowed: dict[int, bool] = {}

    def noted(*, plan: Plan, market: MarketView, **_: Any) -> None:
        allowed[plan.pk] = market.entries_allowed

    monkeypatch.setattr(hearing, "plan_step", noted)
    one = Hearing(context, entries_allowed=True)
    one.step({long.pk, short.pk, elsewhere.pk})
    assert allowed == {long.pk: True, short.pk: True, elsewhere.pk: True}
    Plan.objects.filter(pk=long.pk).update(status="closing")
    one.step({short.pk, elsewhere.pk})
    assert allowed == {long.pk: True, short.pk: False, elsewhere.pk: True}
    Plan.objects.filter(pk=long.pk).update(status="closed")
    finding = world.finding("BBBUSDT/2")
    ReconciliationFinding.objects.filter(pk=finding.pk).update(symbol="BBBUSDT")
    one.step({short.pk, elsewhere.pk})
    assert allowed == {long.pk: True, short.pk: True, elsewhere.pk: False}


def test_a_comparison_that_cannot_be_written_is_told_and_concludes_nothing(context: Any) -> None:
    def run(scope: str) -> Any:
        raise IntegrityError(scope)

    parts: Any = SimpleNamespace(run=run)
    comparisons = Comparisons(context, Timers(), parts, parts, parts, parts)
    assert [comparisons.run("start"), comparisons.run("start")] == ["incomplete", "incomplete"]
    assert comparisons.last == "start incomplete"
    assert _told("reconciliation_failed") == ["A comparison (start) cannot be written (IntegrityError)."]
