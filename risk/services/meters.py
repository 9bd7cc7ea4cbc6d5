"""Noting what happened to an account: its equity, its stops, its entries; and acting on drawdown and daily loss."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import transaction

from accounts.services.audit import audit
from avigrid.kernel.money import ZERO
from risk.core.drawdown import DrawdownLevel, drawdown_level, drawdown_ratio, peak_after
from risk.core.limits import RiskLimits
from risk.core.outcome import share, shown
from risk.core.states import State, StateSource
from risk.models import AccountMeter, EntryMark, TradingStateChange
from risk.selectors.limits import limits_of
from risk.services.account_lock import account_lock
from risk.services.authority import require_admin
from risk.services.states import tighten

if TYPE_CHECKING:
    from accounts.models import User

_ACTOR = "risk"


@dataclass(frozen=True, slots=True)
class EquityLook:
    """`changes` are the states this look tightened; one with `flatten` asks trading to close everything."""

    level: DrawdownLevel
    drawdown_ratio: Decimal
    day_loss_usd: Decimal
    changes: tuple[TradingStateChange, ...]


def equity_note(
    *,
    account_id: int,
    equity_usd: Decimal,
    open_loss_usd: Decimal,
    realised_today_usd: Decimal,
    now_ms: int,
    transfer_usd: Decimal = ZERO,
) -> EquityLook:
    """A look at the account: call it with every wallet reading, at least once a minute.

    `equity_usd` at mark prices, open loss included; `open_loss_usd` >= 0 over the losing positions;
    `realised_today_usd` since 00:00 UTC, fees and funding included; `transfer_usd` what came in (> 0) or went out since
    the last look and is contained in this equity. Each trigger acts once, when its level is crossed.
    """
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    with transaction.atomic():
        account_lock(account_id=account_id)
        limits = limits_of(account_id)
        meter, _ = AccountMeter.objects.get_or_create(account_id=account_id)
        if meter.day is None or meter.day < now.date():
            meter.day, meter.day_equity_usd, meter.day_open_loss_usd = now.date(), equity_usd, open_loss_usd
        peak_usd = peak_after(meter.peak_usd, equity_usd, transfer_usd=transfer_usd)
        if peak_usd != meter.peak_usd:
            meter.peak_usd, meter.peak_at = peak_usd, now
        meter.equity_usd, meter.equity_at = equity_usd, now
        level = drawdown_level(equity_usd, peak_usd, limits)
        day_loss_usd = open_loss_usd - meter.day_open_loss_usd - realised_today_usd
        changes = [
            _act_on_drawdown(meter, level, limits, now),
            _act_on_daily_loss(meter, day_loss_usd, limits, now),
        ]
        meter.save()
    look = tuple(change for change in changes if change is not None)
    return EquityLook(level, drawdown_ratio(equity_usd, peak_usd), day_loss_usd, look)


def peak_reset(*, account_id: int, reason: str, actor: "User | str", otp_used: bool) -> Decimal | None:
    """Let the peak start again from the last seen equity, which ends a drawdown; for admins, after a re-arm."""
    require_admin(actor, reason=reason, otp_used=otp_used)
    with transaction.atomic():
        account_lock(account_id=account_id)
        meter = AccountMeter.objects.filter(account_id=account_id).first()
        if meter is None or meter.equity_usd is None or meter.equity_usd == meter.peak_usd:
            return None
        before_usd = meter.peak_usd
        meter.peak_usd, meter.peak_at, meter.drawdown_level = meter.equity_usd, meter.equity_at, DrawdownLevel.NONE
        meter.save(update_fields=["peak_usd", "peak_at", "drawdown_level"])
        audit(
            actor=actor,
            action="drawdown.peak_reset",
            obj=f"trading_account:{account_id}",
            before={"peak_usd": before_usd},
            after={"peak_usd": meter.peak_usd},
            reason=reason,
            otp_used=otp_used,
        )
        return meter.peak_usd


def loss_streak_note(*, account_id: int, stopped: bool, at: datetime) -> int:
    """A plan is over: by its stop with a loss (`stopped`), which lengthens the streak, or otherwise, which ends it.

    `at` in the time `decide` gets as `now_ms`: the exchange's. Call it once per plan; returns the streak.
    """
    with transaction.atomic():
        account_lock(account_id=account_id)
        meter, _ = AccountMeter.objects.get_or_create(account_id=account_id)
        meter.stop_streak = meter.stop_streak + 1 if stopped else 0
        if stopped:
            meter.last_stop_at = at if meter.last_stop_at is None else max(at, meter.last_stop_at)
        meter.save(update_fields=["stop_streak", "last_stop_at"])
        return meter.stop_streak


def entry_note(*, account_id: int, symbol: str, direction: int, at: datetime) -> None:
    """An entry happened (first fill of a plan): the anti-churn wait of this symbol and side counts from here.

    `at` in the time `decide` gets as `now_ms`: the exchange's.
    """
    with transaction.atomic():
        account_lock(account_id=account_id)
        mark, created = EntryMark.objects.get_or_create(
            account_id=account_id, symbol=symbol, direction=direction, defaults={"entered_at": at}
        )
        if not created and at > mark.entered_at:
            mark.entered_at = at
            mark.save(update_fields=["entered_at"])


def _act_on_drawdown(
    meter: AccountMeter, level: DrawdownLevel, limits: RiskLimits, now: datetime
) -> TradingStateChange | None:
    deeper = level.depth > DrawdownLevel(meter.drawdown_level).depth
    meter.drawdown_level = level
    if not deeper or level.demands is State.ACTIVE:
        return None
    lost = share(drawdown_ratio(meter.equity_usd or ZERO, meter.peak_usd))
    return tighten(
        account_id=meter.account_id,
        symbol=None,
        to=level.demands,
        source=StateSource.DRAWDOWN,
        reason=f"Equity is {lost} below its peak: level {level}.",
        actor=_ACTOR,
        flatten=level is DrawdownLevel.RED and limits.flatten_on_red,
        now=now,
    )


def _act_on_daily_loss(
    meter: AccountMeter, day_loss_usd: Decimal, limits: RiskLimits, now: datetime
) -> TradingStateChange | None:
    if day_loss_usd < limits.daily_loss_r * limits.r_usd or meter.loss_halt_day == meter.day:
        return None
    meter.loss_halt_day = meter.day
    lost_r, limit_r = shown(day_loss_usd / limits.r_usd), shown(limits.daily_loss_r)
    return tighten(
        account_id=meter.account_id,
        symbol=None,
        to=State.HALTED,
        source=StateSource.DAILY_LOSS,
        reason=f"Today's loss of {lost_r} R reached the limit of {limit_r} R.",
        actor=_ACTOR,
        now=now,
    )
