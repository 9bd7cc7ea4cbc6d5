"""Deciding: read what risk remembers, evaluate, store. Inside the transaction that commits what was asked for."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from time import perf_counter
from typing import TYPE_CHECKING

from avigrid.kernel.money import plain
from risk.core.outcome import Number, Outcome
from risk.core.request import RiskRequest
from risk.core.snapshot import BlockedSymbol, Snapshot
from risk.core.states import Stage
from risk.core.verdict import Verdict, evaluate
from risk.models import RiskDecision
from risk.selectors.guards import guards_of
from risk.selectors.limits import current_limits
from risk.services import metrics
from risk.services.standing import Standing, standing_of

if TYPE_CHECKING:
    from accounts.models import User


def decide(
    *, account_id: int, request: RiskRequest, snapshot: Snapshot, now_ms: int, actor: "User | None" = None
) -> RiskDecision:
    """The stored decision; look at `.allowed`, `.ruling`, `.sentence`, `.available_at`, `.refused`.

    Call it inside your transaction, after `account_lock` and after building the snapshot under that lock. A denial is
    a return value, not an error: raising would roll back its record. The snapshot's environment and guards are
    replaced by what the database says.
    """
    started = perf_counter()
    standing = standing_of(account_id, request.symbol, now_ms)
    verdict = evaluate(request, _completed(standing, request, snapshot), standing.limits, now_ms)
    took_ms = (perf_counter() - started) * 1000
    metrics.DECISION_SECONDS.observe(took_ms / 1000)
    metrics.DECISIONS.labels(kind=request.kind, ruling=verdict.ruling).inc()
    for outcome in verdict.refusals:
        metrics.REFUSALS.labels(code=outcome.code).inc()
    return RiskDecision.objects.create(
        account_id=account_id,
        kind=request.kind,
        symbol=request.symbol,
        direction=request.direction,
        reference=request.reference,
        ruling=verdict.ruling,
        refused=[outcome.code for outcome in verdict.refusals],
        sentence=verdict.sentence,
        available_at=None if verdict.available_at_ms is None else _time(verdict.available_at_ms),
        request=request_record(request),
        checks=checks_record(verdict),
        limits_version=standing.limits_version,
        decided_by=actor,
        decided_at=_time(now_ms),
        took_ms=took_ms,
    )


def preview(*, account_id: int, request: RiskRequest, snapshot: Snapshot, now_ms: int) -> Verdict:
    """What `decide` would say now, without lock and record: for the modal that asks before the click."""
    _, limits = current_limits(account_id)
    guards = guards_of(account_id, request.symbol, now_ms)
    return evaluate(request, replace(snapshot, stage=Stage(snapshot.stage), guards=guards), limits, now_ms)


def _completed(standing: Standing, request: RiskRequest, snapshot: Snapshot) -> Snapshot:
    account = standing.account
    blocked = snapshot.blocked_symbols
    if not account.active:
        blocked = (*blocked, BlockedSymbol(request.symbol, "the account is switched off"))
    return replace(
        snapshot,
        account_id=account.account_id,
        environment=account.environment,
        stage=Stage(snapshot.stage),
        blocked_symbols=blocked,
        guards=standing.guards,
    )


def checks_record(verdict: Verdict) -> list[dict[str, object]]:
    return [_outcome_record(outcome) for outcome in verdict.outcomes]


def _outcome_record(outcome: Outcome) -> dict[str, object]:
    return {
        "code": outcome.code,
        "passed": outcome.passed,
        "applies": outcome.applies,
        "warning": outcome.warning,
        "sentence": outcome.sentence,
        "numbers": _numbers(outcome.numbers),
    }


def request_record(request: RiskRequest) -> dict[str, object]:
    return {
        "kind": request.kind.value,
        "symbol": request.symbol,
        "base_coin": request.base_coin,
        "direction": request.direction,
        "lines": [
            {"quantity": plain(line.quantity), "price": None if line.price is None else plain(line.price)}
            for line in request.lines
        ],
        **_numbers(
            {
                "mark_price": request.mark_price,
                "risk_usd": request.full_risk_usd,
                "notional_usd": request.notional_usd,
                "stop_price": request.stop_price,
                "current_stop_price": request.current_stop_price,
                "leverage": request.leverage,
                "position_qty": request.position_qty,
                "resting_exit_qty": request.resting_exit_qty,
            }
        ),
    }


def _numbers(numbers: Mapping[str, Number]) -> dict[str, object]:
    return {name: plain(value) if isinstance(value, Decimal) else value for name, value in numbers.items()}


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
