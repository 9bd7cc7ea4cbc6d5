"""Click to closed plan on the simulated exchange, over the wire."""

from dataclasses import replace
from decimal import Decimal

from django.utils import timezone

from avigrid.kernel.orders import Execution, OrderAck, OrderIntent, Side
from risk.selectors import guards_of
from tests.support.trading_desk import TradingDesk
from trading.models import EquitySnapshot, Fill, LedgerEntry, Order, Plan, Position, SlippageRecord
from trading.runtime.inbox import Heard
from trading.services.plan_commands import plan_break_even, plan_close
from trading.services.times import to_ms


def test_click_to_protected_position_to_operator_close(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened()
    entry = plan.orders.get(role="entry")
    assert entry.status == "filled"
    assert entry.filled_qty == entry.quantity
    held = next(row for row in desk.client.gateway.positions())
    assert held.size == entry.quantity
    assert held.stop_loss == plan.stop_price
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 3, what="take-profits")
    assert sum(row.quantity for row in plan.orders.filter(role="take_profit")) == entry.quantity
    desk.assert_books_equal_venue()

    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="closed")
    desk.settle()
    plan.refresh_from_db()
    assert plan.close_reason == "operator"
    assert Position.objects.get().size == 0
    assert desk.client.gateway.positions() == []
    assert Order.objects.exclude(status__in=("filled", "cancelled")).count() == 0
    desk.assert_books_equal_venue()
    fees = sum(row.fee_usd for row in Fill.objects.all())
    ledger = sum((row.change_usd for row in LedgerEntry.objects.all()), Decimal(0))
    assert ledger == plan.realised_pnl_usd - fees
    wallet = desk.client.gateway.wallet()
    assert abs(wallet.wallet_balance_usd - (Decimal(10_000) + ledger)) < Decimal("0.01")
    assert SlippageRecord.objects.filter(is_entry=True).count() == entry.fills.count()
    assert SlippageRecord.objects.filter(is_entry=False).exists()


def test_the_venues_stop_ends_the_plan(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    desk.jump(-0.05, "SOLUSDT")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="closed by its stop")
    desk.settle()
    plan.refresh_from_db()
    assert plan.close_reason == "stop"
    assert plan.realised_pnl_usd < 0
    assert plan.fills.filter(order__isnull=True).exists()
    assert Position.objects.get().size == 0
    assert guards_of(plan.account_id, "SOLUSDT", to_ms(plan.closed_at)).stop_streak == 1
    desk.assert_books_equal_venue()


def test_take_profits_close_the_plan_and_move_the_stop_to_break_even(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", direction=-1, atr_ratio=0.001)
    first_stop = plan.stop_price
    desk.jump(-0.010, "SOLUSDT")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).break_even_at is not None, what="break-even")
    plan.refresh_from_db()
    assert plan.stop_price is not None
    assert first_stop is not None
    assert plan.stop_price < first_stop
    desk.until(lambda: Plan.objects.get(pk=plan.pk).stop_confirmed == plan.stop_price, what="stop moved at the venue")
    desk.jump(-0.02, "SOLUSDT")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).status == "closed", what="all take-profits")
    desk.settle()
    plan.refresh_from_db()
    assert plan.close_reason == "take_profit"
    assert plan.realised_pnl_usd > 0
    desk.assert_books_equal_venue()


def test_operator_moves_the_stop_to_break_even(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT")
    plan_break_even(plan_id=plan.pk, user="test")
    desk.jump(0.004, "SOLUSDT")
    desk.until(lambda: Plan.objects.get(pk=plan.pk).break_even_at is not None, what="break-even")
    plan.refresh_from_db()
    average = plan.orders.get(role="entry").avg_price
    assert plan.stop_price is not None
    assert average is not None
    assert plan.stop_price > average
    held = desk.until(
        lambda: [row for row in desk.client.gateway.positions() if row.stop_loss == plan.stop_price],
        what="stop at venue",
    )
    assert held[0].size > 0


def test_grid_rests_its_rungs_and_takes_profit_per_rung(desk: TradingDesk) -> None:
    desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=3, atr_mult_x=8.0, rung_step_atr_x=1.0)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 2, what="rungs resting")
    desk.jump(-0.0025, "SOLUSDT")
    desk.until(lambda: plan.orders.filter(role="entry", status="filled").count() == 2, what="second rung")
    desk.until(lambda: plan.orders.filter(role="take_profit", status="open").count() == 2, what="its take-profit")
    desk.settle()
    desk.assert_books_equal_venue()
    exits = sum(row.quantity - row.filled_qty for row in plan.orders.filter(role="take_profit", status="open"))
    assert exits <= Position.objects.get(symbol="SOLUSDT").size


def test_a_fill_does_not_wait_for_a_whole_ladder_to_be_sent(desk: TradingDesk) -> None:
    execution = desk.start()
    gateway = execution.context.gateway
    place = gateway.place
    seen: list[bool] = []
    heard = Execution(
        exec_id="meanwhile",
        order_id="somebody's",
        order_link_id="",
        symbol="BTCUSDT",
        side=Side.BUY,
        price=Decimal(100),
        quantity=Decimal("0.001"),
        fee_usd=Decimal("0.00005"),
        is_maker=True,
        time_ms=desk.client.clock.now_ms(),
    )

    def counting(intent: OrderIntent) -> OrderAck:
        if len(seen) == 1:  # the first of the ladder's rungs is on its way
            execution.inbox.put(Heard(heard, timezone.now()))
        seen.append(Fill.objects.filter(exec_id="meanwhile").exists())
        return place(intent)

    gateway.place = counting  # type: ignore[method-assign]
    plan = desk.placed(symbol="SOLUSDT", profile="grid", rungs=6)
    desk.until(lambda: plan.orders.filter(status="open").count() >= 5, timeout_s=30, what="the ladder")
    assert seen[:2] == [False, False]
    assert len(seen) >= 6
    assert all(seen[2:6])


def test_of_a_burst_of_wallets_the_last_is_kept(desk: TradingDesk) -> None:
    execution = desk.start()
    EquitySnapshot.objects.all().delete()
    wallet = desk.client.gateway.wallet()
    told = [replace(wallet, equity_usd=Decimal(equity)) for equity in (9_991, 9_992, 9_993)]
    execution.hearing.take([Heard(one, timezone.now()) for one in told])
    assert [row.equity_usd for row in EquitySnapshot.objects.all()] == [Decimal(9_993)]
