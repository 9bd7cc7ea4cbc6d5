"""The books' money against the venue's transaction log: trades, fees and a funding, to the cent."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.support.simulator_server import START_MS, eventually
from tests.support.trading_desk import TradingDesk, trading_desk
from trading.models import LedgerEntry, Plan, ReconciliationFinding
from trading.services.plan_commands import plan_close

MINUTE_MS = 60_000


@pytest.fixture
def morning_desk(transactional_db: None) -> Iterator[TradingDesk]:
    """Ten minutes before the funding at 08:00 UTC."""
    with trading_desk(start_ms=START_MS + 470 * MINUTE_MS) as desk:
        yield desk


def _leap(desk: TradingDesk, minutes: int) -> None:
    execution = desk.execution
    assert execution is not None
    for clock in (desk.client.clock, execution.venue.clock):
        clock.set_rate(1.0)  # a leap is no speed
    target_ms = desk.simulator.sim("GET", "/sim/clock")["now_ms"] + minutes * MINUTE_MS
    desk.simulator.sim("POST", "/sim/clock", {"speed": 0})  # only a stepped clock never falls back behind its market
    desk.simulator.sim("POST", "/sim/clock", {"step_ms": minutes * MINUTE_MS})
    eventually(lambda: desk.simulator.sim("GET", "/sim/clock")["now_ms"] >= target_ms, timeout_s=60)
    desk.simulator.sim("POST", "/sim/clock", {"speed": 1})
    for clock in (desk.client.clock, execution.venue.clock):
        clock.measure()
    desk.publish()


def test_every_cent_of_the_venues_log_is_in_the_ledger(morning_desk: TradingDesk) -> None:
    """A long and a short held over a funding; one is closed by hand, the other by its stop; a second long after."""
    desk = morning_desk
    execution = desk.start()
    long = desk.opened(symbol="BTCUSDT", atr_ratio=0.01)
    desk.opened(symbol="SOLUSDT", direction=-1, atr_ratio=0.002)
    _leap(desk, 12)
    desk.until(lambda: LedgerEntry.objects.filter(kind="funding").count() == 2, timeout_s=20, what="funding")
    plan_close(plan_id=long.pk, user="test")
    desk.jump(0.05, "SOLUSDT")
    desk.until(lambda: Plan.objects.filter(status="closed").count() == 2, what="both over")
    desk.opened(symbol="BTCUSDT", direction=-1)
    execution.reconciler.run("full")
    desk.settle(20)

    now_ms = desk.client.clock.now_ms()
    rows = desk.client.gateway.ledger(start_ms=now_ms - 60 * MINUTE_MS, end_ms=now_ms + MINUTE_MS)
    theirs = {
        "trade": sum((row.cash_flow_usd for row in rows), Decimal(0)),
        "fee": -sum((row.fee_usd for row in rows), Decimal(0)),
        "funding": sum((row.funding_usd for row in rows), Decimal(0)),
    }
    ours = {kind: sum((row.change_usd for row in LedgerEntry.objects.filter(kind=kind)), Decimal(0)) for kind in theirs}
    for kind, value in theirs.items():
        assert abs(ours[kind] - value) < Decimal("0.01"), (kind, ours, theirs)
    assert ours["funding"] != 0
    wallet = desk.client.gateway.wallet()
    assert abs(wallet.wallet_balance_usd - Decimal(10_000) - sum(ours.values())) < Decimal("0.01")
    assert not ReconciliationFinding.objects.filter(kind="wallet_off").exists()
    assert Plan.objects.get(pk=long.pk).funding_usd != 0
    desk.assert_books_equal_venue()
