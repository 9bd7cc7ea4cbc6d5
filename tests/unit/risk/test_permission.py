from dataclasses import replace

import pytest

from risk.core.request import RequestKind
from risk.core.snapshot import BlockedSymbol, Guards, Snapshot, SymbolState
from risk.core.states import Environment, Stage, State, strictest
from tests.support.risk import opening, outcome_of, snapshot


def _guarded(account: State = State.ACTIVE, symbol: State = State.ACTIVE, name: str = "BTCUSDT") -> Snapshot:
    return snapshot(guards=Guards(account_state=account, symbol_states=(SymbolState(name, symbol),)))


def test_kill_switch_is_off_while_nothing_is_halted() -> None:
    assert outcome_of("kill_switch").passed
    assert outcome_of("kill_switch", seen=_guarded(State.REDUCING, State.REDUCING)).passed


def test_kill_switch_of_the_account_and_of_the_symbol_each_refuse() -> None:
    assert "for the account" in outcome_of("kill_switch", seen=_guarded(account=State.HALTED)).sentence
    refused = outcome_of("kill_switch", seen=_guarded(symbol=State.HALTED))
    assert not refused.passed
    assert "for BTCUSDT" in refused.sentence
    assert refused.numbers == {"account_state": "active", "symbol_state": "halted"}


def test_another_symbol_halted_is_no_matter() -> None:
    assert outcome_of("kill_switch", seen=_guarded(symbol=State.HALTED, name="ETHUSDT")).passed


PERMITTED = {
    State.ACTIVE: {"open", "exit", "close", "protect", "cancel"},
    State.REDUCING: {"exit", "close", "protect", "cancel"},
    State.HALTED: {"close", "protect", "cancel"},
}


@pytest.mark.parametrize("kind", list(RequestKind))
@pytest.mark.parametrize("account", list(State))
@pytest.mark.parametrize("symbol", list(State))
def test_trading_state_permits_by_the_stricter_of_the_two(account: State, symbol: State, kind: RequestKind) -> None:
    order = ["active", "reducing", "halted"]
    stricter = State(order[max(order.index(account), order.index(symbol))])
    request = replace(opening(), kind=kind)
    assert outcome_of("trading_state", request, _guarded(account, symbol)).passed is (kind in PERMITTED[stricter])


def test_strictest_of_nothing_is_active() -> None:
    assert strictest([]) is State.ACTIVE
    assert strictest([State.REDUCING, State.HALTED, State.ACTIVE]) is State.HALTED


@pytest.mark.parametrize(
    ("environment", "stage", "passes"),
    [
        (Environment.MAINNET, Stage.LIVE, True),
        (Environment.MAINNET, Stage.PAPER, False),
        (Environment.MAINNET, Stage.VALIDATION, False),
        (Environment.DEMO, Stage.PAPER, True),
        (Environment.TESTNET, Stage.PAPER, True),
        (Environment.SIMULATED, Stage.LIVE, True),
        (Environment.SIMULATED, Stage.VALIDATION, False),
    ],
)
def test_stage(environment: Environment, stage: Stage, passes: bool) -> None:
    assert outcome_of("stage", seen=snapshot(environment=environment, stage=stage)).passed is passes


def test_a_blocked_symbol_names_every_reason() -> None:
    blocks = (
        BlockedSymbol("BTCUSDT", "plan 4 is closing"),
        BlockedSymbol("BTCUSDT", "a foreign position lies there"),
        BlockedSymbol("ETHUSDT", "other"),
    )
    refused = outcome_of("symbol_open", seen=snapshot(blocked_symbols=blocks))
    assert refused.sentence == "No new risk on BTCUSDT: a foreign position lies there; plan 4 is closing."
    assert not refused.passed
    assert outcome_of("symbol_open", seen=snapshot(blocked_symbols=blocks[2:])).passed
