"""Changing the trading state: anybody may tighten it, only a re-arm loosens it."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from accounts.services.audit import audit
from avigrid.kernel.errors import Rejected
from risk.core.states import State, StateSource
from risk.models import FlattenDone, TradingState, TradingStateChange
from risk.services import announce
from risk.services.account_lock import account_lock, account_lock_try
from risk.services.authority import require_admin

if TYPE_CHECKING:
    from accounts.models import User

_HALT_PATIENCE_MS = 2_000


def state_change(
    *,
    account_id: int,
    symbol: str | None,
    to: State,
    source: StateSource,
    reason: str,
    actor: "User | str | None",
    expected: State | None = None,
    flatten: bool = False,
    otp_used: bool = False,
    now: datetime | None = None,
) -> TradingStateChange | None:
    """Set the state of the account (`symbol` None) or a symbol to one as strict or stricter; None: it stood so already.

    `expected` makes it a compare-and-swap. Raises Rejected: `rearm_needed` (that would loosen), `state_moved`
    (`expected` is not what stands). With `flatten` the wish is recorded and announced even if the state stands.
    """
    with transaction.atomic():
        # A hanging placement delays the tightening by the patience only; every send checks the state once more.
        account_lock_try(account_id=account_id, wait_ms=_HALT_PATIENCE_MS)
        before = _state_of(account_id, symbol)
        if expected is not None and before is not expected:
            raise Rejected(f"The state is {before.name}, not {expected.name}.", code="state_moved", state=before.value)
        if before.is_stricter_than(to):
            raise Rejected(
                f"From {before.name} to {to.name} needs a re-arm.",
                code="rearm_needed",
                state=before.value,
                asked=to.value,
            )
        if before is to and not flatten:
            return None
        return _write(
            account_id=account_id,
            symbol=symbol,
            before=before,
            to=to,
            source=source,
            reason=reason,
            actor=actor,
            flatten=flatten,
            otp_used=otp_used,
            now=now,
        )


def tighten(
    *,
    account_id: int,
    symbol: str | None,
    to: State,
    source: StateSource,
    reason: str,
    actor: "User | str | None",
    flatten: bool = False,
    now: datetime | None = None,
) -> TradingStateChange | None:
    """For automatic triggers: like `state_change`, but where a stricter state stands it stays, without complaint."""
    with transaction.atomic():
        account_lock_try(account_id=account_id, wait_ms=_HALT_PATIENCE_MS)
        if _state_of(account_id, symbol).is_stricter_than(to):
            return None
        return state_change(
            account_id=account_id,
            symbol=symbol,
            to=to,
            source=source,
            reason=reason,
            actor=actor,
            flatten=flatten,
            now=now,
        )


def halt(
    *,
    account_id: int,
    symbol: str | None = None,
    source: StateSource = StateSource.OPERATOR,
    reason: str,
    actor: "User | str | None",
    flatten: bool = False,
    otp_used: bool = False,
    now: datetime | None = None,
) -> TradingStateChange | None:
    """HALTED. Cancelling what rests, and closing where `flatten`, is done by whoever listens to the announcement."""
    return state_change(
        account_id=account_id,
        symbol=symbol,
        to=State.HALTED,
        source=source,
        reason=reason,
        actor=actor,
        flatten=flatten,
        otp_used=otp_used,
        now=now,
    )


def rearm(
    *,
    account_id: int,
    symbol: str | None = None,
    to: State = State.ACTIVE,
    reason: str,
    actor: "User | str",
    otp_used: bool,
    now: datetime | None = None,
) -> TradingStateChange | None:
    """The only way to a looser state. The door has checked the one-time password and says so in `otp_used`.

    A peak that keeps entries refused after a drawdown is a matter of its own: `peak_reset`.
    Raises Rejected: `otp_needed`, `reason_needed`, `admin_needed`.
    """
    require_admin(actor, reason=reason, otp_used=otp_used)
    with transaction.atomic():
        account_lock(account_id=account_id)
        before = _state_of(account_id, symbol)
        if before is to:
            return None
        if to.is_stricter_than(before):
            raise Rejected(f"{to.name} is stricter than {before.name}: that is no re-arm.", code="not_a_rearm")
        return _write(
            account_id=account_id,
            symbol=symbol,
            before=before,
            to=to,
            source=StateSource.REARM,
            reason=reason,
            actor=actor,
            otp_used=True,
            now=now,
        )


def flatten_finish(
    *, account_id: int, symbol: str | None, actor: str, now: datetime | None = None
) -> FlattenDone | None:
    """The venue says flat. None where no flattening of this scope was left to finish."""
    with transaction.atomic():
        change = TradingStateChange.objects.filter(account_id=account_id, symbol=symbol).order_by("-id").first()
        if change is None or not change.flatten:
            return None
        done, is_new = FlattenDone.objects.get_or_create(change=change, defaults={"at": now or timezone.now()})
        if not is_new:
            return None
        after = {"symbol": symbol, "change": change.pk}
        audit(actor=actor, action="trading_state.flat", obj=f"trading_account:{account_id}", after=after)
        return done


def _state_of(account_id: int, symbol: str | None) -> State:
    value = (
        TradingState.objects.select_for_update()
        .filter(account_id=account_id, **_scope(symbol))
        .order_by()
        .values_list("state", flat=True)
        .first()
    )
    return State.ACTIVE if value is None else State(value)


def _scope(symbol: str | None) -> Mapping[str, str | bool]:
    return {"symbol__isnull": True} if symbol is None else {"symbol": symbol}


def _write(
    *,
    account_id: int,
    symbol: str | None,
    before: State,
    to: State,
    source: StateSource,
    reason: str,
    actor: "User | str | None",
    flatten: bool = False,
    otp_used: bool = False,
    now: datetime | None,
) -> TradingStateChange:
    at = now or timezone.now()
    person = None if actor is None or isinstance(actor, str) else actor
    name = actor if isinstance(actor, str) else ""
    TradingState.objects.bulk_create(
        [
            TradingState(
                account_id=account_id,
                symbol=symbol,
                state=to,
                source=source,
                reason=reason,
                changed_by=person,
                actor_name=name,
                changed_at=at,
            )
        ],
        update_conflicts=True,
        unique_fields=["account", "symbol"],
        update_fields=["state", "source", "reason", "changed_by", "actor_name", "changed_at"],
    )
    change = TradingStateChange.objects.create(
        account_id=account_id,
        symbol=symbol,
        before=before,
        after=to,
        source=source,
        reason=reason,
        flatten=flatten,
        otp_used=otp_used,
        changed_by=person,
        actor_name=name,
        at=at,
    )
    audit(
        actor=actor,
        action="trading_state.rearmed" if before.is_stricter_than(to) else "trading_state.tightened",
        obj=f"trading_account:{account_id}",
        before={"symbol": symbol, "state": before.value},
        after={"symbol": symbol, "state": to.value, "source": source.value, "flatten": flatten},
        reason=reason,
        otp_used=otp_used,
    )
    announce.state_changed(change)
    return change
