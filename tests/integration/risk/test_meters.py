"""Equity, peaks, days, streaks and entries, and what they set off."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from accounts.models import AuditEntry, TradingAccount, User
from avigrid.kernel.errors import Rejected
from risk.core.drawdown import DrawdownLevel
from risk.core.snapshot import LastEntry
from risk.core.states import State
from risk.models import AccountMeter
from risk.selectors import anti_churn_until, effective_state, guards_of, locks_of
from risk.services import (
    EquityLook,
    entry_note,
    equity_note,
    limits_update,
    loss_streak_note,
    peak_reset,
    rearm,
)
from tests.support.risk import NOW_MS

DAY_MS = 86_400_000
MIDNIGHT_MS = NOW_MS - NOW_MS % DAY_MS


def _look(
    account: TradingAccount,
    equity: int,
    *,
    open_loss: int = 0,
    realised: int = 0,
    transfer: int = 0,
    now_ms: int = NOW_MS,
) -> EquityLook:
    return equity_note(
        account_id=account.pk,
        equity_usd=Decimal(equity),
        open_loss_usd=Decimal(open_loss),
        realised_today_usd=Decimal(realised),
        transfer_usd=Decimal(transfer),
        now_ms=now_ms,
    )


def test_peak_rises_with_equity_and_is_what_the_checks_see(account: TradingAccount) -> None:
    _look(account, 10_000)
    _look(account, 10_500)
    look = _look(account, 9_975)
    assert look.drawdown_ratio == Decimal("0.05")
    assert look.changes == ()
    assert guards_of(account.pk, "BTCUSDT", NOW_MS).peak_equity_usd == 10_500


def test_orange_reduces_and_red_halts_each_once(account: TradingAccount, admin: User) -> None:
    _look(account, 10_000)
    assert _look(account, 8_900).level is DrawdownLevel.YELLOW
    assert effective_state(account.pk) is State.ACTIVE

    orange = _look(account, 8_400)
    assert [(change.after, change.source) for change in orange.changes] == [("reducing", "drawdown")]
    assert orange.changes[0].reason == "Equity is 16 % below its peak: level orange."
    assert _look(account, 8_300).changes == ()

    red = _look(account, 7_400)
    assert [(change.after, change.flatten) for change in red.changes] == [("halted", False)]
    rearm(account_id=account.pk, reason="we know", actor=admin, otp_used=True)
    assert _look(account, 7_300).changes == ()  # a re-arm is not undone by the level it answered
    assert effective_state(account.pk) is State.ACTIVE


def test_red_flattens_where_the_policy_says_so(account: TradingAccount, admin: User) -> None:
    limits_update(account_id=account.pk, changes={"flatten_on_red": True}, actor=admin, reason="safer")
    _look(account, 10_000)
    assert [change.flatten for change in _look(account, 7_000).changes] == [True]


def test_transfers_neither_hide_nor_make_a_drawdown(account: TradingAccount) -> None:
    _look(account, 10_000)
    _look(account, 9_000)
    assert _look(account, 18_000, transfer=9_000).drawdown_ratio == Decimal("0.1")
    assert _look(account, 4_500, transfer=-13_500).drawdown_ratio == Decimal("0.1")
    assert effective_state(account.pk) is State.ACTIVE


def test_peak_reset_is_for_admins_and_ends_the_drawdown(account: TradingAccount, admin: User, trader: User) -> None:
    _look(account, 10_000)
    _look(account, 8_000)
    with pytest.raises(Rejected, match="admin"):
        peak_reset(account_id=account.pk, reason="new start", actor=trader, otp_used=True)
    assert peak_reset(account_id=account.pk, reason="new start", actor=admin, otp_used=True) == 8_000
    rearm(account_id=account.pk, reason="new start", actor=admin, otp_used=True)
    assert AuditEntry.objects.filter(action="drawdown.peak_reset", actor=admin).count() == 1
    assert _look(account, 7_900).level is DrawdownLevel.NONE
    assert [change.after for change in _look(account, 6_700).changes] == ["reducing"]  # 16.25 % of 8,000


def test_daily_loss_halts_once_a_day(account: TradingAccount, admin: User) -> None:
    first = MIDNIGHT_MS + 1_000
    _look(account, 10_000, open_loss=30, now_ms=first)
    assert _look(account, 9_930, open_loss=60, realised=-69, now_ms=first + 1_000).changes == ()  # 99 lost today
    halted = _look(account, 9_929, open_loss=60, realised=-70, now_ms=first + 2_000)
    assert halted.day_loss_usd == 100
    assert [(change.after, change.source) for change in halted.changes] == [("halted", "daily_loss")]
    assert halted.changes[0].reason == "Today's loss of 5 R reached the limit of 5 R."
    rearm(account_id=account.pk, reason="one more try", actor=admin, otp_used=True)
    assert _look(account, 9_900, open_loss=60, realised=-100, now_ms=first + 3_000).changes == ()


def test_the_day_begins_with_its_first_look(account: TradingAccount) -> None:
    _look(account, 10_000, open_loss=30, now_ms=MIDNIGHT_MS - 1)
    _look(account, 9_990, open_loss=40, now_ms=MIDNIGHT_MS + 5)
    look = _look(account, 9_980, open_loss=50, now_ms=MIDNIGHT_MS + 10)
    assert look.day_loss_usd == 10
    assert guards_of(account.pk, "BTCUSDT", MIDNIGHT_MS + 10).open_loss_at_midnight_usd == 40
    assert guards_of(account.pk, "BTCUSDT", MIDNIGHT_MS + DAY_MS).open_loss_at_midnight_usd == 0


def test_loss_streak_pauses_and_a_winner_ends_it(account: TradingAccount, now: datetime) -> None:
    for number in range(3):
        assert loss_streak_note(account_id=account.pk, stopped=True, at=now) == number + 1
    assert locks_of(account.pk, now) == []
    loss_streak_note(account_id=account.pk, stopped=True, at=now)
    (lock,) = locks_of(account.pk, now)
    assert (lock.kind, lock.until) == ("loss_streak", now + timedelta(minutes=60))
    assert locks_of(account.pk, now + timedelta(minutes=60)) == []
    assert loss_streak_note(account_id=account.pk, stopped=False, at=now) == 0
    assert locks_of(account.pk, now) == []


def test_entries_start_the_wait_of_their_symbol_and_side(account: TradingAccount, now: datetime) -> None:
    entry_note(account_id=account.pk, symbol="BTCUSDT", direction=1, at=now)
    entry_note(account_id=account.pk, symbol="BTCUSDT", direction=1, at=now - timedelta(minutes=5))
    free = now + timedelta(minutes=15)
    assert anti_churn_until(account.pk, symbol="BTCUSDT", direction=1, now=now) == free
    assert anti_churn_until(account.pk, symbol="BTCUSDT", direction=1, now=free) is None
    assert anti_churn_until(account.pk, symbol="BTCUSDT", direction=-1, now=now) is None
    assert guards_of(account.pk, "BTCUSDT", NOW_MS).entries == (LastEntry("BTCUSDT", 1, NOW_MS),)
    assert [(lock.kind, lock.symbol, lock.direction, lock.until) for lock in locks_of(account.pk, now)] == [
        ("anti_churn", "BTCUSDT", 1, free)
    ]


def test_changed_limits_move_running_locks(account: TradingAccount, admin: User, now: datetime) -> None:
    entry_note(account_id=account.pk, symbol="BTCUSDT", direction=1, at=now)
    limits_update(account_id=account.pk, changes={"anti_churn_s": 60}, actor=admin, reason="faster", otp_used=True)
    assert locks_of(account.pk, now)[0].until == now + timedelta(seconds=60)


def test_one_meter_per_account(account: TradingAccount, now: datetime) -> None:
    _look(account, 1)
    loss_streak_note(account_id=account.pk, stopped=True, at=now)
    assert AccountMeter.objects.filter(account=account).count() == 1
