"""Executions into rows: once, in any order, with every consequence."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from django.db import IntegrityError, transaction

from accounts.models import TradingAccount
from avigrid.kernel.orders import Execution, Side
from risk.selectors import anti_churn_until
from trading.models import Fill, LedgerEntry, Order, Plan, Position, SlippageRecord
from trading.services.booking import execution_book, position_idx_of

pytestmark = pytest.mark.django_db
D = Decimal
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
START_MS = 1_767_614_400_000


@pytest.fixture
def account() -> TradingAccount:
    return TradingAccount.objects.create(label="booking", environment="simulated", hedge_mode=True)


@pytest.fixture
def order(account: TradingAccount) -> Order:
    plan = Plan.objects.create(
        account=account,
        symbol="BTCUSDT",
        direction=1,
        position_idx=1,
        profile="swing",
        spec={},
        r_usd=D(20),
        created_at=NOW,
        opened_at=NOW,
    )
    return Order.objects.create(
        order_link_id="av-1-e0-0-0",
        plan=plan,
        account=account,
        role="entry",
        symbol="BTCUSDT",
        side="Buy",
        order_type="Limit",
        time_in_force="IOC",
        quantity=D(3),
        price=D(101),
        reference_price=D(100),
        position_idx=1,
        status="open",
        created_at=NOW,
        submitted_at=NOW,
    )


def execution(exec_id: str, side: Side, price: str, qty: str, ms: int, **changes: object) -> Execution:
    row = Execution(
        exec_id=exec_id,
        order_id="v1" if side is Side.BUY else "stop",
        order_link_id="av-1-e0-0-0" if side is Side.BUY else "",
        symbol="BTCUSDT",
        side=side,
        price=D(price),
        quantity=D(qty),
        fee_usd=D(price) * D(qty) * D("0.00055"),
        is_maker=False,
        time_ms=START_MS + ms,
        closed_size=D(0) if side is Side.BUY else D(qty),
    )
    return replace(row, **changes)  # type: ignore[arg-type]


STORY = (
    execution("a", Side.BUY, "100", "1", 1),
    execution("b", Side.BUY, "103", "2", 2),
    execution("c", Side.SELL, "110", "2", 3),
    execution("d", Side.SELL, "90", "1", 4),
)


def _book(account: TradingAccount, row: Execution) -> object:
    return execution_book(account_id=account.pk, execution=row, hedge_mode=True, received_at=NOW, now=NOW)


@pytest.mark.parametrize("sequence", list(permutations(range(4))))
def test_any_order_of_arrival_ends_in_the_same_books(account: TradingAccount, order: Order, sequence: tuple) -> None:  # type: ignore[type-arg]
    for index in sequence:
        assert _book(account, STORY[index]) is not None
        assert _book(account, STORY[index]) is None
    position = Position.objects.get()
    assert (position.size, position.entry_value_usd, position.fill_count) == (0, 0, 4)
    assert position.realised_pnl_usd == D(4)  # sold for 310, bought for 306
    realised = {row.exec_id: row.realised_pnl_usd for row in Fill.objects.all()}
    assert realised == {"a": 0, "b": 0, "c": D(16), "d": D(-12)}
    trades = {row.reference: row.change_usd for row in LedgerEntry.objects.filter(kind="trade")}
    assert trades == {"c/stop": D(16), "d/stop": D(-12)}
    fees = sum(row.change_usd for row in LedgerEntry.objects.filter(kind="fee"))
    assert fees == -D("616") * D("0.00055")
    order.refresh_from_db()
    assert (order.status, order.filled_qty, order.avg_price) == ("filled", D(3), D(102))
    plan = order.plan
    plan.refresh_from_db()
    assert (plan.realised_pnl_usd, plan.fees_usd) == (D(4), D("0.3388"))


@pytest.mark.parametrize("sequence", list(permutations(range(3))))
def test_what_shares_a_millisecond_is_folded_in_the_venues_sequence(account: TradingAccount, sequence: tuple) -> None:  # type: ignore[type-arg]
    """The ids say the opposite; with them the position would flip through zero."""
    rows = (
        execution("z", Side.BUY, "100", "3", 1, seq=7, order_link_id=""),
        execution("y", Side.SELL, "110", "1", 1, seq=8),
        execution("x", Side.BUY, "120", "2", 1, seq=9, order_link_id=""),
    )
    for index in sequence:
        execution_book(account_id=account.pk, execution=rows[index], hedge_mode=False, received_at=NOW, now=NOW)
    position = Position.objects.get()
    assert (position.size, position.entry_value_usd, position.realised_pnl_usd) == (4, 440, 10)
    assert {row.exec_id: (row.seq, row.realised_pnl_usd) for row in Fill.objects.all()} == {
        "z": (7, 0),
        "y": (8, 10),
        "x": (9, 0),
    }


def test_both_sides_of_a_trade_with_oneself_are_booked(account: TradingAccount, order: Order) -> None:
    """They share the id of the trade; the orders differ, and so may the accounts."""
    bought = execution("a", Side.BUY, "100", "1", 1)
    sold = replace(bought, side=Side.SELL, order_id="v2", order_link_id="", quantity=D(1))
    other = TradingAccount.objects.create(label="other", environment="simulated", hedge_mode=True)
    for row in (bought, sold, bought, sold):
        _book(account, row)
    assert execution_book(account_id=other.pk, execution=sold, hedge_mode=True, received_at=NOW, now=NOW) is not None
    assert sorted(Fill.objects.values_list("account", "side")) == sorted(
        [(account.pk, "Buy"), (account.pk, "Sell"), (other.pk, "Sell")]
    )
    held = {row.position_idx: row.size for row in Position.objects.filter(account=account)}
    assert held == {1: D(1), 2: D(-1)}
    fees = LedgerEntry.objects.filter(account=account, kind="fee").values_list("reference", flat=True)
    assert set(fees) == {"a/v1", "a/v2"}


def test_a_cancelled_orders_late_fill_is_booked(account: TradingAccount, order: Order) -> None:
    order.status, order.closed_at, order.is_reserved = "cancelled", NOW, False
    order.save()
    _book(account, STORY[0])
    order.refresh_from_db()
    assert (order.status, order.filled_qty) == ("cancelled", D(1))
    assert Position.objects.get().size == D(1)


def test_funding_is_money_and_no_fill(account: TradingAccount, order: Order) -> None:
    _book(account, STORY[0])
    paid = execution("f1", Side.BUY, "100", "1", 9, kind="Funding", fee_usd=D("0.01"), order_link_id="", order_id="")
    assert _book(account, paid) is not None
    assert _book(account, paid) is None
    assert Fill.objects.count() == 1
    assert LedgerEntry.objects.get(kind="funding").change_usd == D("-0.01")
    assert Plan.objects.get().funding_usd == D("-0.01")


def test_slippage_is_measured_against_the_planned_price(account: TradingAccount, order: Order) -> None:
    _book(account, STORY[1])
    fill = Fill.objects.get()
    assert fill.slippage.slippage_bps == D(300)
    assert fill.slippage.is_entry


@pytest.mark.parametrize(
    ("side", "closed", "idx"), [(Side.BUY, 0, 1), (Side.SELL, 0, 2), (Side.SELL, 1, 1), (Side.BUY, 1, 2)]
)
def test_the_position_of_an_execution_in_hedge_mode(side: Side, closed: int, idx: int) -> None:
    row = execution("z", side, "1", "1", 0, closed_size=D(closed))
    assert position_idx_of(row, hedge_mode=True) == idx
    assert position_idx_of(row, hedge_mode=False) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"status": "filled"},  # terminal without a closing time
        {"status": "sleeping"},
        {"is_reserved": False},  # live, yet not counted
        {"quantity": D(0)},
        {"status": "intent"},  # was sent
    ],
)
def test_the_database_refuses_impossible_orders(order: Order, change: dict[str, object]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(**change)


def test_the_database_keeps_one_open_plan_per_position(order: Order) -> None:
    plan = order.plan
    plan.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        plan.save(force_insert=True)


def test_the_first_entry_of_a_plan_starts_the_anti_churn_wait_and_later_ones_do_not(
    account: TradingAccount, order: Order
) -> None:
    first, second = STORY[0], STORY[1]
    for row in (first, second):
        execution_book(account_id=account.pk, execution=row, hedge_mode=True, received_at=NOW, now=NOW)
    entered_at = datetime.fromtimestamp((START_MS + 1) / 1000, UTC)
    free_at = anti_churn_until(account.pk, symbol="BTCUSDT", direction=1, now=entered_at)
    assert free_at == entered_at + timedelta(seconds=900)
    assert anti_churn_until(account.pk, symbol="BTCUSDT", direction=-1, now=entered_at) is None


@pytest.mark.parametrize(
    ("is_stop", "requested", "bps"),
    [
        (True, "95", "105.263157894736842105"),  # sold at 94 where the stop was 95
        (False, "94.5", "52.910052910052910053"),  # a hand sold at the market, the mark at 94.5
    ],
)
@pytest.mark.parametrize("is_late", [False, True])
def test_a_fill_without_an_order_is_held_against_the_stop_only_where_it_was_the_stop(
    account: TradingAccount, order: Order, is_stop: bool, requested: str, bps: str, is_late: bool
) -> None:
    """`is_late`: the plan is over already, and wants no stop any more."""
    _book(account, STORY[0])
    later = NOW + timedelta(minutes=1)
    changes: dict[str, object] = {"stop_price": D(95)}
    if is_late:
        changes = {"stop_price": None, "status": "closed", "closed_at": later}
    Plan.objects.update(stop_confirmed=D(95), **changes)
    _book(account, execution("x", Side.SELL, "94", "1", 5, is_stop=is_stop, mark_price=D("94.5")))
    record = SlippageRecord.objects.get(fill__exec_id="x")
    assert (record.requested_price, record.slippage_bps) == (D(requested), D(bps))
