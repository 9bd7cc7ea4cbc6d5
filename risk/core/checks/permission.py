"""May this account, stage and symbol do such a thing at all?"""

from risk.core.limits import RiskLimits
from risk.core.outcome import Outcome, not_asked
from risk.core.request import RequestKind, RiskRequest
from risk.core.snapshot import Snapshot
from risk.core.states import Environment, Stage, State

_PERMITTED = {
    State.ACTIVE: frozenset(RequestKind),
    State.REDUCING: frozenset(RequestKind) - {RequestKind.OPEN},
    # No working order is added while halted; what takes risk off, or protects what is held, must stay possible.
    State.HALTED: frozenset({RequestKind.CLOSE, RequestKind.PROTECT, RequestKind.CANCEL}),
}


def kill_switch(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("kill_switch", request)
    account, symbol = snapshot.guards.account_state, snapshot.guards.state_of(request.symbol)
    numbers = {"account_state": account.value, "symbol_state": symbol.value}
    if account is State.HALTED:
        return Outcome("kill_switch", False, "The kill switch is engaged for the account.", numbers)
    if symbol is State.HALTED:
        return Outcome("kill_switch", False, f"The kill switch is engaged for {request.symbol}.", numbers)
    return Outcome("kill_switch", True, "The kill switch is not engaged.", numbers)


def trading_state(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    state = snapshot.guards.effective_state(request.symbol)
    passed = request.kind in _PERMITTED[state]
    verb = "permits" if passed else "forbids"
    sentence = f"{request.symbol} is {state.name}, which {verb} a request to {request.kind}."
    return Outcome("trading_state", passed, sentence, {"state": state.value, "kind": request.kind.value})


def stage(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("stage", request)
    numbers = {"stage": snapshot.stage.value, "environment": snapshot.environment.value}
    refusal = stage_refusal(snapshot.stage, snapshot.environment)
    if refusal:
        return Outcome("stage", False, refusal, numbers)
    return Outcome("stage", True, f"Stage {snapshot.stage} may trade on {snapshot.environment}.", numbers)


def stage_refusal(stage: Stage, environment: Environment) -> str:
    """Why nothing may be entered; empty where it may. Asked at the click and again when an entry is sent."""
    if stage == Stage.VALIDATION:
        return "A strategy in stage validation sends no orders."
    if environment == Environment.MAINNET and stage != Stage.LIVE:
        return f"Mainnet needs stage live, the strategy is in {stage}."
    return ""


def symbol_open(request: RiskRequest, snapshot: Snapshot, limits: RiskLimits, now_ms: int) -> Outcome:
    if not request.opens:
        return not_asked("symbol_open", request)
    reasons = sorted(block.reason for block in snapshot.blocked_symbols if block.symbol == request.symbol)
    if reasons:
        sentence = f"No new risk on {request.symbol}: {'; '.join(reasons)}."
        return Outcome("symbol_open", False, sentence, {"reasons": "; ".join(reasons)})
    return Outcome("symbol_open", True, f"Nothing blocks {request.symbol}.")
