"""Auto mode: a policy clicks Place instead of the operator, for one symbol and a limited time.

The click is the same service as a person's, with the same checks and the same audit row; only who clicked differs.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from accounts.services.audit import audit
from avigrid.common import push
from avigrid.kernel.errors import Rejected
from marketdata.selectors.instruments import whitelist
from risk.core.states import State
from risk.selectors.guards import effective_state
from trading.models import AutoMode, PlanOrigin, Signal, SignalStatus
from trading.selectors.auto_mode import auto_mode_of, auto_modes_overtaken, auto_modes_standing
from trading.services.locking import account_transaction
from trading.services.placing import Placement, signal_place

if TYPE_CHECKING:
    from accounts.models import User

SHORTEST_MIN, LONGEST_MIN = 5, 24 * 60
ACTOR = "auto"


def auto_mode_grant(
    *, account_id: int, symbol: str, minutes: int, reason: str, user: "User", otp_used: bool, now: datetime
) -> AutoMode:
    """From now on for `minutes`; a permission that stands is replaced by this one.

    Raises Rejected: `otp_needed`, `reason_needed`, `auto_minutes` (outside 5 minutes to a day), `unknown_symbol`,
    `halted`.
    """
    if not otp_used:
        raise Rejected("This needs a one-time password.", code="otp_needed")
    if not reason.strip():
        raise Rejected("This needs a reason.", code="reason_needed")
    if not SHORTEST_MIN <= minutes <= LONGEST_MIN:
        raise Rejected(
            f"Auto mode lasts {SHORTEST_MIN} to {LONGEST_MIN} minutes, not {minutes}.",
            code="auto_minutes",
            minutes=minutes,
        )
    if symbol not in whitelist():
        raise Rejected(f"{symbol} is not traded here.", code="unknown_symbol", symbol=symbol)
    auto_modes_halted(account_id=account_id, now=now)
    with account_transaction(account_id):
        if effective_state(account_id, symbol) is State.HALTED:
            raise Rejected(f"{symbol} is halted: re-arm first, then grant auto mode.", code="halted", symbol=symbol)
        before = auto_mode_of(account_id, symbol, now=now)
        AutoMode.objects.filter(account_id=account_id, symbol=symbol, revoked_at__isnull=True).update(
            revoked_at=now, revoked_by=user
        )
        mode = AutoMode.objects.create(
            account_id=account_id,
            symbol=symbol,
            granted_by=user,
            granted_at=now,
            until=now + timedelta(minutes=minutes),
            reason=reason.strip()[:300],
        )
        audit(
            actor=user,
            action="auto_mode.granted",
            obj=mode,
            before={"until": before.until if before else None},
            after={"symbol": symbol, "until": mode.until},
            reason=mode.reason,
            otp_used=otp_used,
        )
        push.event("auto_mode", {"symbol": symbol, "until": mode.until.isoformat()})
    return mode


def auto_mode_revoke(*, account_id: int, symbol: str, user: "User", now: datetime, reason: str = "") -> bool:
    """Off, at once. False where it was off already. What it has placed stays and is closed like any other plan."""
    with account_transaction(account_id):
        mode = auto_mode_of(account_id, symbol, now=now)
        if mode is None:
            return False
        mode.revoked_at, mode.revoked_by = now, user
        mode.save(update_fields=["revoked_at", "revoked_by"])
        audit(
            actor=user,
            action="auto_mode.revoked",
            obj=mode,
            before={"symbol": symbol, "until": mode.until},
            after={"until": None},
            reason=reason,
        )
        push.event("auto_mode", {"symbol": symbol, "until": None})
    return True


def auto_modes_halted(*, account_id: int, now: datetime) -> int:
    """A HALT ends every permission it overtakes, for good: after the re-arm somebody grants anew. Answers how many."""
    if not auto_modes_overtaken(account_id, now=now):
        return 0
    with account_transaction(account_id):
        overtaken = auto_modes_overtaken(account_id, now=now)
        for mode in overtaken:
            mode.revoked_at = now
            mode.save(update_fields=["revoked_at"])
            audit(
                actor="halt",
                action="auto_mode.revoked",
                obj=mode,
                before={"symbol": mode.symbol, "until": mode.until},
                after={"until": None},
                reason="HALT",
            )
            push.event("auto_mode", {"symbol": mode.symbol, "until": None})
    return len(overtaken)


def signals_due(*, account_id: int, exchange_now: datetime, now: datetime) -> list[tuple[int, datetime | None]]:
    """(signal, queued until) of every offer that a standing permission covers and that could be placed now.

    One that was queued longer than it was good for at first is left to a person: the market has moved on unlooked at.
    """
    symbols = [mode.symbol for mode in auto_modes_standing(account_id, now=now)]
    if not symbols:
        return []
    offers = Signal.objects.filter(
        symbol__in=symbols, status__in=(SignalStatus.NEW, SignalStatus.QUEUED), valid_until__gt=exchange_now
    ).exclude(queued_until__gt=exchange_now)
    rows = offers.order_by("pk").values_list("pk", "created_at", "valid_until", "queued_until")
    return [
        (pk, queued)
        for pk, created, valid, queued in rows
        if queued is None or exchange_now < created + (valid - queued)
    ]


def auto_place(*, signal_id: int, account_id: int, now: datetime) -> Placement:
    """The permission is looked at under the lock that a revocation takes too: after that, nothing more is placed."""
    with account_transaction(account_id):
        symbol = Signal.objects.values_list("symbol", flat=True).get(pk=signal_id)
        if auto_mode_of(account_id, symbol, now=now) is None:
            return Placement(False, "auto_mode_off", f"Auto mode is off for {symbol}.")
        return signal_place(signal_id=signal_id, account_id=account_id, user=None, origin=PlanOrigin.AUTO, actor=ACTOR)
