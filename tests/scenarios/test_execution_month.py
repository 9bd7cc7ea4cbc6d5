"""A month of trading both ways against the venue's transaction log: the same money to the cent, and every difference
that somebody makes afterwards has a name."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from avigrid.kernel.portfolio import LedgerRow
from risk.services.limits import limits_update
from tests.support.coarse_market import CoarseSource
from tests.support.simulator_server import START_MS, eventually
from tests.support.trading_desk import TradingDesk, trading_desk
from trading.engine.bridge import Bridge, Cause, Part
from trading.models import Fill, LedgerEntry, Plan, ReconciliationFinding
from trading.runtime.wallet import ledger_bridge
from trading.selectors.exchange_time import exchange_time
from trading.services.plan_commands import plan_close

D = Decimal
HOUR_MS = 3_600_000
DAYS = 30


@pytest.fixture
def month_desk(transactional_db: None) -> Iterator[TradingDesk]:
    market = CoarseSource({"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0, "SOLUSDT": 150.0}, start_ms=START_MS)
    symbols = ("BTCUSDT", "SOLUSDT", "ETHUSDT")
    with trading_desk(symbols=symbols, source=market, balance="100000", quantum_ms=60_000) as desk:
        changes: dict[str, Decimal | int | bool] = {
            "anti_churn_s": 0,
            "halt_after_stale_s": 1_000_000,
            "max_plan_risk_r": D(1_000),
            "max_total_risk_r": D(100_000),
            "max_per_symbol_risk_r": D(10_000),
            "max_plan_notional_usd": D(100_000_000),
            "max_symbol_notional_usd": D(100_000_000),
            "daily_loss_r": D(100_000),
            "loss_streak_stops": 100_000,
            "orders_per_minute": 100_000,
            "orders_per_day": 1_000_000,
            "drawdown_yellow_ratio": D("0.90"),
            "drawdown_orange_ratio": D("0.91"),
            "drawdown_red_ratio": D("0.92"),
        }
        limits_update(account_id=desk.account.pk, changes=changes, actor="test", reason="month", otp_used=True)
        desk.patience_s = 60.0
        yield desk


def _leap(desk: TradingDesk, hours: int) -> None:
    execution = desk.execution
    assert execution is not None
    clocks = (desk.client.clock, execution.venue.clock)
    for clock in clocks:
        clock.set_rate(1.0)  # a leap is no speed
    target_ms = desk.simulator.sim("GET", "/sim/clock")["now_ms"] + hours * HOUR_MS
    desk.simulator.sim("POST", "/sim/clock", {"speed": 0})
    for _ in range(hours // 4):
        desk.simulator.sim("POST", "/sim/clock", {"step_ms": 4 * HOUR_MS})
    eventually(lambda: desk.simulator.sim("GET", "/sim/clock")["now_ms"] >= target_ms, timeout_s=60)
    desk.simulator.sim("POST", "/sim/clock", {"speed": 1})
    for clock in clocks:
        clock.measure()
    execution._timers.heartbeat.last_s = float("-inf")  # at once, instead of within a second
    desk.until(lambda: _told_ms(desk) >= target_ms, what="a heartbeat of the new time")


def _told_ms(desk: TradingDesk) -> int:
    at = exchange_time(desk.account.pk)
    return at.now_ms if at is not None else 0


def _day(desk: TradingDesk, number: int) -> None:
    """Somebody trades elsewhere; every tenth day two ladders, one up and one down, are filled, sold again, held over
    two fundings and closed."""
    for side in ("Buy", "Sell") * 4:
        order = {"action": "foreign_position", "symbol": "BTCUSDT", "side": side, "qty": "0.01"}
        desk.simulator.sim("POST", "/sim/market", order)
    direction = -1 if number // 10 % 2 else 1
    sides = {"ETHUSDT": direction, "SOLUSDT": -direction}
    if number % 10 == 0:
        plans = [
            desk.opened(symbol=symbol, direction=side, profile="grid", rungs=10, atr_ratio=0.002, r_usd="400")
            for symbol, side in sides.items()
        ]
        for ratio in (-0.006, -0.006, 0.009, -0.006, 0.008):
            for symbol, side in sides.items():
                desk.jump(ratio * side, symbol)
            desk.settle(4)
        _leap(desk, 16)
        for plan in plans:
            if Plan.objects.get(pk=plan.pk).is_open:
                plan_close(plan_id=plan.pk, user="test")
        desk.until(lambda: not any(Plan.objects.get(pk=plan.pk).is_open for plan in plans), what="over")
        _leap(desk, 8)
    else:
        _leap(desk, 24)
    if number % 7 == 3:
        amount = "250.25" if number % 2 else "-100.1"
        desk.simulator.sim("POST", "/sim/market", {"action": "transfer", "amount": amount})
    assert desk.execution is not None
    if number % 3 == 2:
        assert desk.execution.reconciler.run("full").status != "incomplete"


def _log(desk: TradingDesk) -> list[LedgerRow]:
    now_ms = desk.client.clock.now_ms()
    return desk.client.gateway.ledger(start_ms=START_MS, end_ms=now_ms + 60_000)


def _bridge(desk: TradingDesk) -> Bridge:
    return ledger_bridge(account_id=desk.account.pk, rows=_log(desk))


@pytest.mark.slow
def test_a_month_of_trading_equals_the_venues_log_to_the_cent(month_desk: TradingDesk) -> None:
    desk = month_desk
    desk.start()
    somebody = {"action": "foreign_position", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.05"}
    desk.simulator.sim("POST", "/sim/market", somebody)
    for number in range(DAYS):
        _day(desk, number)
    rows = _log(desk)
    found = ledger_bridge(account_id=desk.account.pk, rows=rows)
    assert Fill.objects.count() >= 200
    assert set(Plan.objects.values_list("direction", flat=True)) == {1, -1}
    assert sum(row.kind == "SETTLEMENT" for row in rows) >= 100
    assert sum(row.kind.startswith("TRANSFER") for row in rows) == 4
    for part in Part:
        assert abs(found.venue[part] - found.books[part]) < D("0.01"), part
        assert found.books[part] != 0
    assert (found.is_even, found.lines) == (True, ())
    assert found.foreign_usd == sum((row.change_usd for row in LedgerEntry.objects.filter(symbol="BTCUSDT")), D(0))
    wallet = desk.client.gateway.wallet()
    booked = sum((row.change_usd for row in LedgerEntry.objects.all()), D(0))
    assert abs(wallet.wallet_balance_usd - D(100_000) - booked) < D("0.01")
    assert not ReconciliationFinding.objects.filter(kind="wallet_off").exists()


def test_the_bridge_names_every_planted_difference(month_desk: TradingDesk) -> None:
    """A missed fill, a wrong fee, an entry of nobody, a foreign trade and a transfer nobody booked."""
    desk = month_desk
    execution = desk.start()
    plan = desk.opened(symbol="ETHUSDT", atr_ratio=0.004, r_usd="400")
    plan_close(plan_id=plan.pk, user="test")
    desk.until(lambda: not Plan.objects.get(pk=plan.pk).is_open, what="over")
    desk.opened(symbol="SOLUSDT", direction=-1, atr_ratio=0.004, r_usd="400")
    execution.reconciler.run("full")
    desk.settle()
    assert _bridge(desk).is_even

    closing = Fill.objects.filter(plan=plan, order__role="close").latest("id")
    opening = Fill.objects.filter(plan=plan, order__role="entry").earliest("id")
    LedgerEntry.objects.filter(reference=closing.reference).delete()
    LedgerEntry.objects.filter(reference=opening.reference, kind="fee").update(change_usd=-opening.fee_usd - 1)
    nobody = LedgerEntry.objects.create(
        account=desk.account,
        kind="trade",
        symbol="ETHUSDT",
        change_usd=D("7.5"),
        reference="made-up",
        at=closing.executed_at,
    )
    desk.stop()
    somebody = {"action": "foreign_position", "symbol": "BTCUSDT", "side": "Buy", "qty": "0.05"}
    desk.simulator.sim("POST", "/sim/market", somebody)
    desk.simulator.sim("POST", "/sim/market", {"action": "transfer", "amount": "-123.45"})
    rows = _log(desk)
    foreign = next(row for row in rows if row.symbol == "BTCUSDT")
    transfer = next(row for row in rows if row.kind == "TRANSFER_OUT")

    found = _bridge(desk)
    named = {(line.part, line.cause, line.reference): line.gap_usd for line in found.lines}
    assert named == {
        (Part.TRADES, Cause.MISSED, closing.reference): closing.realised_pnl_usd,
        (Part.FEES, Cause.MISSED, closing.reference): -closing.fee_usd,
        (Part.FEES, Cause.AMOUNT, opening.reference): D(1),
        (Part.TRADES, Cause.UNKNOWN_TO_VENUE, nobody.reference): D("-7.5"),
        (Part.FEES, Cause.MISSED, f"{foreign.trade_id}/{foreign.order_id}"): -foreign.fee_usd,
        (Part.TRANSFERS, Cause.MISSED, transfer.row_id): D("-123.45"),
    }
    assert found.unexplained_usd == 0

    desk.start("execution-b")
    desk.execution.reconciler.run("full")  # type: ignore[union-attr]
    left = {(line.part, line.cause, line.reference) for line in _bridge(desk).lines}
    assert left == {key[:3] for key in named if key[2] in (closing.reference, opening.reference, nobody.reference)}
    told = ReconciliationFinding.objects.get(kind="wallet_off")
    assert closing.reference in " ".join(str(value) for value in told.details.values())
