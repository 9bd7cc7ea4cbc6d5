"""What an account held before anybody of ours looked at it, and what happened while nobody did."""

import pytest

from tests.support.trading_desk import TradingDesk, trading_desk
from trading.models import Fill, Plan, Position, ReconciliationFinding, ReconciliationRun
from trading.runtime import history

WINDOW_MS = 100_000
"""A minute of it lies ahead of now."""


@pytest.fixture(autouse=True)
def short_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "HISTORY_MS", WINDOW_MS)


def _trade(desk: TradingDesk, side: str, quantity: str, *, reduce: bool = False) -> None:
    desk.simulator.http().place_order(
        category="linear", symbol="SOLUSDT", side=side, orderType="Market", qty=quantity,
        positionIdx=1 if desk.account.hedge_mode else 0, reduceOnly=reduce,
    )  # fmt: skip


def _long_ago(desk: TradingDesk) -> None:
    before_ms = desk.client.clock.now_ms()
    while desk.client.clock.now_ms() < before_ms + WINDOW_MS:
        desk.simulator.sim("POST", "/sim/clock", {"step_ms": 15_000})  # more at once, and its market lags behind
        desk.client.clock.measure()


def _fills() -> list[tuple[str, str, str]]:
    return [
        (row.source, row.side, f"{row.quantity.normalize():f}") for row in Fill.objects.order_by("executed_at", "pk")
    ]


def test_a_position_older_than_the_history_and_reduced_since_is_adopted(desk: TradingDesk) -> None:
    _trade(desk, "Buy", "3")
    before = desk.client.gateway.positions()[0]
    _long_ago(desk)
    _trade(desk, "Sell", "1", reduce=True)
    desk.start()
    assert _fills() == [("adopted", "Buy", "3"), ("rest", "Sell", "1")]
    assert Fill.objects.get(source="adopted").price == before.avg_price
    assert Position.objects.get().size == 2
    desk.until(lambda: Plan.objects.get().stop_confirmed is not None, what="protected")
    assert not ReconciliationFinding.objects.filter(kind="position_mismatch").exists()
    assert ReconciliationFinding.objects.get(kind="position_old").resolution == "repaired"
    desk.execution.reconciler.run("full")  # type: ignore[union-attr]
    assert len(_fills()) == 2


def test_a_position_older_than_the_history_and_closed_since_leaves_the_symbol_free(desk: TradingDesk) -> None:
    _trade(desk, "Buy", "3")
    _long_ago(desk)
    _trade(desk, "Sell", "3", reduce=True)
    desk.start()
    assert _fills() == [("adopted", "Buy", "3"), ("rest", "Sell", "3")]
    assert not ReconciliationFinding.objects.filter(is_open=True, severity="critical").exists()
    desk.opened(symbol="SOLUSDT")


def test_a_flip_in_one_way_mode_is_explained_and_shown_as_foreign(transactional_db: None) -> None:
    with trading_desk(hedge=False) as desk:
        _trade(desk, "Buy", "3")
        _long_ago(desk)
        _trade(desk, "Sell", "5")
        desk.start()
        assert _fills() == [("adopted", "Buy", "3"), ("rest", "Sell", "5")]
        assert Position.objects.get().size == -2
        assert Plan.objects.count() == 0
        open_ones = ReconciliationFinding.objects.filter(is_open=True, severity="critical")
        assert [row.kind for row in open_ones] == ["position_foreign"]


@pytest.mark.parametrize("is_marked", [True, False])
def test_however_long_nobody_looked_what_happened_meanwhile_is_booked(desk: TradingDesk, is_marked: bool) -> None:
    """`is_marked` False: the runs are of the days before they wrote down how far they had looked."""
    desk.start()
    desk.opened(symbol="BTCUSDT")
    desk.stop()
    if not is_marked:
        ReconciliationRun.objects.update(executions_until_ms=0)
    _trade(desk, "Buy", "3")
    _trade(desk, "Sell", "1", reduce=True)
    _long_ago(desk)
    desk.start()
    assert Position.objects.get(symbol="SOLUSDT").size == 2
    assert not ReconciliationFinding.objects.filter(kind="position_mismatch").exists()


def test_the_second_look_of_an_account_that_never_traded_goes_back_to_the_first(desk: TradingDesk) -> None:
    desk.start()
    desk.stop()
    _trade(desk, "Buy", "3")
    _trade(desk, "Sell", "1", reduce=True)
    _long_ago(desk)
    desk.start()
    assert _fills() == [("rest", "Buy", "3"), ("rest", "Sell", "1")]
    assert Position.objects.get().size == 2
