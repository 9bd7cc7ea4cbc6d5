"""The kill switch pulled by itself: too many errors, prices that stop coming, a critical reconciliation by policy."""

from decimal import Decimal

import pytest

from accounts.models import AuditEntry
from risk.core.states import State
from risk.models import TradingStateChange
from risk.selectors.guards import effective_state
from risk.services.limits import limits_update
from risk.services.states import rearm
from tests.support.trading_desk import TradingDesk
from trading.models import Fill, Order, OutboxEvent, Plan, Position
from trading.runtime import triggers
from trading.selectors.risk_view import MarkPrice


def _tighten(desk: TradingDesk, **changes: int | bool) -> None:
    limits_update(account_id=desk.account.pk, changes=changes, actor="test", reason="stricter")


def _halted_by(desk: TradingDesk) -> list[tuple[str, str | None]]:
    rows = TradingStateChange.objects.filter(account=desk.account, after=State.HALTED).order_by("pk")
    return list(rows.values_list("source", "symbol"))


def test_an_error_rate_halts_once(desk: TradingDesk) -> None:
    _tighten(desk, halt_after_errors=2)
    execution = desk.start()
    grid = desk.opened(symbol="SOLUSDT", profile="grid", rungs=3)
    desk.until(lambda: grid.orders.filter(role="entry", status="open").count() == 2, what="rungs")
    desk.fault("ret_code", params={"code": 110007}, match={"path": "/v5/order/create"}, for_s=600)
    for _ in range(2):
        plan = desk.placed(symbol="SOLUSDT", direction=-1)
        desk.until(lambda plan=plan: Plan.objects.get(pk=plan.pk).status == "failed", what="refused")
    execution.triggers.look()
    assert _halted_by(desk) == [("error_rate", None)]
    desk.clear_faults()
    desk.until(lambda: not grid.orders.filter(role="entry", status="open").exists(), what="entries gone")
    assert desk.client.gateway.positions()[0].stop_loss is not None
    audit = AuditEntry.objects.filter(action="trading_state.tightened").latest("pk")
    assert (audit.actor_name, "2 orders failed" in audit.reason) == ("execution", True)
    assert OutboxEvent.objects.get(kind="kill_switch_error_rate").severity == "critical"

    rearm(account_id=desk.account.pk, reason="looked at", actor="test", otp_used=True)
    execution.triggers.look()
    assert effective_state(desk.account.pk) is State.ACTIVE


def test_a_silent_price_of_an_open_plan_halts(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = desk.start()
    desk.opened(symbol="SOLUSDT")
    ages = {"SOLUSDT": 59.0}

    def marks_of(symbols: set[str]) -> dict[str, MarkPrice]:
        return {symbol: MarkPrice(Decimal(1), Decimal(1), Decimal(1), ages[symbol]) for symbol in symbols & ages.keys()}

    monkeypatch.setattr(triggers, "marks_of", marks_of)
    execution.triggers.look()
    assert _halted_by(desk) == []
    ages["SOLUSDT"] = 61.0
    execution.context.redis_down = True
    execution.triggers.look()
    assert _halted_by(desk) == []  # nobody needs to re-arm because Redis was away
    execution.context.redis_down = False
    execution.triggers.look()
    assert _halted_by(desk) == [("stale_data", None)]
    assert OutboxEvent.objects.filter(kind="kill_switch_stale_data").count() == 1


def test_a_price_nobody_ever_heard_counts_from_the_plan_on(desk: TradingDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    execution = desk.start()
    desk.opened(symbol="SOLUSDT")
    monkeypatch.setattr(triggers, "marks_of", lambda symbols: {})
    execution.triggers.look()
    assert _halted_by(desk) == []
    since = execution.triggers._heard["SOLUSDT"]
    monkeypatch.setitem(execution.triggers._heard, "SOLUSDT", since - triggers.WINDOW * 2)
    execution.triggers.look()
    assert _halted_by(desk) == [("stale_data", None)]


@pytest.mark.parametrize(("policy", "scope"), [(False, "SOLUSDT"), (True, None)])
def test_an_unexplained_position_halts_its_symbol_or_by_policy_the_account(
    desk: TradingDesk, policy: bool, scope: str | None
) -> None:
    if policy:
        _tighten(desk, halt_on_critical=True)
    execution = desk.start()
    desk.opened(symbol="SOLUSDT")
    Position.objects.update(size=Decimal("0.1"))
    execution.reconciler.run("positions")
    assert _halted_by(desk) == [("reconciliation", scope)]
    assert effective_state(desk.account.pk, "BTCUSDT") is (State.HALTED if policy else State.ACTIVE)
    assert (Fill.objects.count() > 0, Order.objects.filter(status="unknown").count()) == (True, 0)


@pytest.mark.parametrize("policy", [False, True])
def test_a_foreign_position_halts_by_policy_only(desk: TradingDesk, policy: bool) -> None:
    if policy:
        _tighten(desk, halt_on_critical=True)
    body = {"action": "foreign_position", "symbol": "SOLUSDT", "side": "Buy", "qty": "2"}
    desk.simulator.sim("POST", "/sim/market", body)
    desk.start()
    assert _halted_by(desk) == ([("reconciliation", None)] if policy else [])
