"""The venue takes requests and never answers: nobody waits long, and the process does not look dead meanwhile."""

from typing import Any

import pytest

from avigrid.common import heartbeats, leases
from tests.support.trading_desk import TradingDesk
from trading.models import Order, OutboxEvent
from trading.runtime import venue
from trading.runtime.cancelling import Cancelling
from trading.services.plan_commands import plan_cancel_entries

HANG_S = 0.3


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real three seconds would only make the tests slower."""
    monkeypatch.setattr(venue, "_WRITE_TIMEOUT_S", HANG_S)


def _statuses() -> list[str]:
    return sorted(Order.objects.filter(role="entry").values_list("status", flat=True))


def test_one_create_a_round_hangs_and_the_rest_of_the_round_goes_on(desk: TradingDesk) -> None:
    execution = desk.start()
    desk.fault("lost_ack", params={"mode": "hang"}, count=20, match={"path": "/v5/order/create"})
    desk.placed(symbol="SOLUSDT", profile="grid", rungs=4)
    desk.publish()
    execution.sender.entries_ready = True
    execution.sender.run()
    assert _statuses() == ["intent", "intent", "intent", "unknown"]
    execution.sender.run()
    assert _statuses().count("intent") == 2  # the first may be known by now: the stream goes on
    assert desk.struck("lost_ack") == 2
    desk.clear_faults()
    desk.until(lambda: "unknown" not in _statuses() and "intent" not in _statuses(), timeout_s=20, what="evidence")
    desk.settle()
    desk.assert_books_equal_venue()
    assert execution.protection.unprotected_qty_max == 0


@pytest.mark.parametrize(("path", "sent"), [("/v5/order/cancel-batch", 1), ("/v5/order/cancel", 5)])
def test_cancels_that_hang_go_a_handful_a_round(
    desk: TradingDesk, monkeypatch: pytest.MonkeyPatch, path: str, sent: int
) -> None:
    """Where the batch hangs nothing else is asked; it is one request."""
    if path.endswith("cancel"):
        monkeypatch.setattr(Cancelling, "_batch", lambda self, orders: list(orders))
    execution = desk.start()
    plan = desk.opened(symbol="SOLUSDT", profile="grid", rungs=12)
    desk.until(lambda: plan.orders.filter(role="entry", status="open").count() == 11, timeout_s=20, what="rungs")
    desk.fault("lost_ack", params={"mode": "hang"}, count=50, match={"path": path})
    plan_cancel_entries(plan_id=plan.pk, user="test")
    execution.sender.run()
    assert desk.struck("lost_ack") == sent
    desk.clear_faults()
    desk.until(lambda: not plan.orders.filter(role="entry", status="open").exists(), timeout_s=20, what="cancelled")
    desk.settle()
    desk.assert_books_equal_venue()


def test_lease_and_heartbeat_go_on_between_hanging_requests(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request of a round is preceded by both, so the longest silence is that of one request."""
    execution = desk.start()
    order_of_events: list[str] = []

    def noted(name: str, real: Any) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            order_of_events.append(name)
            return real(*args, **named)

        return call

    for timer in (execution._timers.lease, execution._timers.heartbeat):
        timer.every_s = 0.0
    monkeypatch.setattr(leases, "renew", noted("renew", leases.renew))
    monkeypatch.setattr(heartbeats, "beat", noted("beat", heartbeats.beat))
    gateway = execution.context.gateway
    gateway.place = noted("place", gateway.place)  # type: ignore[method-assign]
    gateway.order = noted("look", gateway.order)  # type: ignore[method-assign]
    desk.fault("lost_ack", params={"mode": "hang"}, count=3, match={"path": "/v5/order/create"})
    desk.placed(symbol="SOLUSDT")
    desk.placed(symbol="BTCUSDT")
    desk.placed(symbol="BTCUSDT", direction=-1)
    desk.until(lambda: Order.objects.filter(role="entry", status="filled").count() == 3, timeout_s=20, what="adopted")
    asked = [spot for spot, name in enumerate(order_of_events) if name in ("place", "look")]
    assert len(asked) >= 6
    for spot in asked:
        assert order_of_events[spot - 2 : spot] == ["renew", "beat"]
    assert not OutboxEvent.objects.filter(kind__startswith="kill_switch").exists()
