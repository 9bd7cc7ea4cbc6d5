"""Placing a signal: everything checked again under the account's lock, then plan and entry intents in one commit."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from accounts.selectors.trading_accounts import trading_account
from accounts.services.audit import audit
from avigrid.common import push
from avigrid.kernel.errors import Rejected
from avigrid.kernel.money import plain
from risk.core.verdict import Ruling
from risk.selectors.limits import limits_of
from risk.services.decisions import decide
from trading.avi5.levels import planned_loss_with
from trading.avi5.spec import PlanSpec
from trading.avi5.state import MarketView
from trading.models import OPEN_PLAN_STATUSES, Plan, PlanOrigin, PlanStatus, Signal, SignalStatus
from trading.selectors.exchange_time import exchange_time
from trading.selectors.fee_rates import fee_rates_of
from trading.selectors.risk_view import MarkPrice, marks_of, open_request, snapshot_of
from trading.selectors.stages import stage_in_force
from trading.services.locking import account_transaction, wake_execution
from trading.services.plan_step import plan_step
from trading.services.times import from_ms, to_ms

if TYPE_CHECKING:
    from accounts.models import User
    from risk.models import RiskDecision

PLACEABLE = (SignalStatus.NEW, SignalStatus.QUEUED)
MAINTENANCE_MARGIN_RATIO = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Placement:
    """`plan_id` None: not placed, and `code`, `sentence`, `refused` say why. `decision_id` is the stored verdict."""

    placed: bool
    code: str
    sentence: str
    plan_id: int | None = None
    decision_id: int | None = None
    refused: tuple[str, ...] = ()
    available_at: datetime | None = None


def signal_place(
    *,
    signal_id: int,
    account_id: int,
    user: "User | None",
    now: datetime | None = None,
    origin: str = PlanOrigin.OPERATOR,
    actor: str = "auto",
) -> Placement:
    """`now` is exchange time, by default as the execution process measures it. A refusal is an answer, not an error.

    Of two clicks on one signal exactly one places it; of two signals that together break a limit, one passes.
    """
    clock = exchange_time(account_id)
    if now is None:
        if clock is None or clock.is_stale:
            return Placement(False, "execution_down", "The execution process does not answer: nothing can be placed.")
        now = from_ms(clock.now_ms)
    with account_transaction(account_id):
        signal = Signal.objects.select_for_update(of=("self",)).select_related("decision__strategy").get(pk=signal_id)
        refusal = not_placeable(signal, now)
        if refusal is not None:
            return refusal
        spec = PlanSpec.from_json(signal.spec)
        open_symbols = Plan.objects.filter(account_id=account_id, status__in=OPEN_PLAN_STATUSES).values_list(
            "symbol", flat=True
        )
        marks = marks_of({signal.symbol, *open_symbols})
        mark = marks.get(signal.symbol)
        if mark is None:
            return Placement(False, "no_price", f"No price of {signal.symbol} is known: nothing can be placed.")
        moved = price_moved(spec, mark)
        if moved is not None:
            return moved
        dearer = fees_refusal(spec, account_id)
        if dearer:
            return Placement(False, "fees_changed", dearer)
        now_ms = to_ms(now)
        stage = stage_in_force(signal.decision.strategy)
        decision = decide(
            account_id=account_id,
            request=open_request(
                f"signal:{signal.pk}",
                spec,
                mark_price=mark.mark,
                leverage=limits_of(account_id).max_leverage,
                maintenance_margin_ratio=MAINTENANCE_MARGIN_RATIO,
            ),
            snapshot=snapshot_of(
                account_id,
                symbol=signal.symbol,
                stage=stage,
                now_ms=now_ms,
                marks=marks,
                clock_offset_ms=clock_offset_ms(account_id, clock.offset_ms if clock else 0),
            ),
            now_ms=now_ms,
            actor=user,
        )
        if not decision.allowed:
            return _refused(signal, decision, user or actor)
        taken = position_taken(account_id, signal)
        if taken is not None:
            return taken
        plan = _plan_create(signal, spec, account_id, user, origin, now)
        plan_step(
            plan=plan,
            market=MarketView(now_ms=now_ms, price=mark.mark),
            now=timezone.now(),
            actor=user or actor,
        )
        signal.status = SignalStatus.PLACED
        signal.save(update_fields=["status"])
        audit(
            actor=user or actor,
            action="signal.placed",
            obj=signal,
            after={"plan_id": plan.pk, "decision_id": decision.pk, "origin": origin},
        )
        wake_execution(account_id)
        push.event(
            "signal",
            {"signal_id": signal.pk, "symbol": signal.symbol, "status": signal.status, "plan_id": plan.pk},
        )
        return Placement(True, "placed", "Placed.", plan_id=plan.pk, decision_id=decision.pk)


def not_placeable(signal: Signal, now: datetime) -> Placement | None:
    """What speaks against it whatever market and risk say; None: nothing does."""
    if signal.status == SignalStatus.PLACED:
        return Placement(False, "already_placed", "Somebody has placed this signal already.")
    if signal.status not in PLACEABLE:
        return Placement(False, f"signal_{signal.status}", f"This signal is {signal.status}. {signal.reason}".strip())
    if now >= signal.valid_until:
        return Placement(False, "signal_expired", f"This signal was valid until {signal.valid_until:%H:%M:%S} UTC.")
    if signal.queued_until is not None and now < signal.queued_until:
        return Placement(
            False,
            "signal_queued",
            f"This signal waits until {signal.queued_until:%H:%M:%S} UTC.",
            available_at=signal.queued_until,
        )
    if not PlanSpec.from_json(signal.spec).is_placeable:
        return Placement(False, "signal_below_minimum", signal.reason or "This signal cannot be placed.")
    return None


def price_moved(spec: PlanSpec, mark: MarkPrice) -> Placement | None:
    """The entry order would not fill any more: the market is beyond its limit."""
    limit = spec.rungs[0].limit_price
    taking = mark.ask if spec.direction > 0 else mark.bid
    if (taking - limit) * spec.direction <= 0:
        return None
    return Placement(False, "price_moved", f"The price {taking} has moved beyond the entry limit {limit}.")


def fees_refusal(spec: PlanSpec, account_id: int) -> str:
    """Why this account may not take a plan sized for lower fees than its own; empty where it still risks at most 1R."""
    fees = fee_rates_of(account_id, spec.symbol).rates
    loss = planned_loss_with(spec, fees)
    if fees.taker <= spec.taker_fee or loss <= spec.r_usd:
        return ""
    return (
        f"The account pays {plain(fees.taker * 100)} % on {spec.symbol} and this signal was sized for "
        f"{plain(spec.taker_fee * 100)} %: it would lose {loss:.2f} USD, more than its {spec.r_usd:.2f} USD."
    )


def _refused(signal: Signal, decision: "RiskDecision", actor: "User | str") -> Placement:
    """Anti-churn queues the signal until it frees up; every other refusal leaves it as it is, to be tried again.

    Offered again it stands as long as it did at first: the click looks at price and limits anew, and a newer signal
    of the symbol replaces it meanwhile.
    """
    code = "risk_refused"
    if decision.ruling == Ruling.QUEUE and decision.available_at is not None:
        code = "signal_queued"
        validity = signal.valid_until - (signal.queued_until or signal.created_at)
        signal.status, signal.queued_until = SignalStatus.QUEUED, decision.available_at
        signal.valid_until = max(signal.valid_until, decision.available_at + validity)
        signal.reason = decision.sentence[:300]
        signal.save(update_fields=["status", "queued_until", "valid_until", "reason"])
        audit(actor=actor, action="signal.queued", obj=signal, after={"until": decision.available_at})
        push.event(
            "signal", {"signal_id": signal.pk, "symbol": signal.symbol, "status": signal.status, "plan_id": None}
        )
    return Placement(
        False,
        code,
        decision.sentence,
        decision_id=decision.pk,
        refused=tuple(decision.refused),
        available_at=decision.available_at,
    )


def position_taken(account_id: int, signal: Signal) -> Placement | None:
    account = trading_account(account_id)
    idx = position_idx_for(signal.direction, hedge_mode=account is not None and account.hedge_mode)
    plans = Plan.objects.filter(account_id=account_id, symbol=signal.symbol, status__in=OPEN_PLAN_STATUSES)
    if not plans.filter(position_idx=idx).exists():
        return None
    return Placement(False, "position_taken", f"A plan on this side of {signal.symbol} is open already.")


def _plan_create(
    signal: Signal, spec: PlanSpec, account_id: int, user: "User | None", origin: str, now: datetime
) -> Plan:
    account = trading_account(account_id)
    if account is None:
        raise Rejected(f"There is no trading account {account_id}.", code="unknown_account")
    return Plan.objects.create(
        account_id=account_id,
        signal=signal,
        origin=origin,
        symbol=signal.symbol,
        direction=signal.direction,
        position_idx=position_idx_for(signal.direction, hedge_mode=account.hedge_mode),
        profile=spec.profile.value,
        spec=signal.spec,
        status=PlanStatus.PLACING,
        r_usd=spec.r_usd,
        placed_by=user,
        created_at=timezone.now(),
        opened_at=now,
    )


def position_idx_for(direction: int, *, hedge_mode: bool) -> int:
    if not hedge_mode:
        return 0
    return 1 if direction > 0 else 2


def clock_offset_ms(account_id: int, offset_ms: int) -> int:
    """A simulated exchange lives in a time of its own, which is no fault of ours."""
    account = trading_account(account_id)
    is_simulated = account is not None and account.environment == "simulated"
    return 0 if is_simulated or settings.AVIGRID.get("DEMO") else offset_ms
