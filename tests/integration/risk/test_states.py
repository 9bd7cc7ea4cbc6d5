"""Tightening, re-arming, history, audit, and who is told."""

from datetime import datetime

import pytest
from django.core.cache import cache
from django.db import DatabaseError, IntegrityError, transaction

from accounts.models import AuditEntry, TradingAccount, User
from avigrid.kernel.errors import Rejected
from risk.core.states import State, StateSource
from risk.models import TradingState, TradingStateChange
from risk.selectors import effective_state, state_changes, states_of
from risk.services import halt, rearm, state_change, tighten
from risk.services.announce import mirror_key


def _halt(account: TradingAccount, **changes: object) -> TradingStateChange | None:
    return halt(**{"account_id": account.pk, "reason": "the market is mad", "actor": "watchdog", **changes})


def test_an_account_nobody_spoke_about_is_active(account: TradingAccount) -> None:
    assert effective_state(account.pk, "BTCUSDT") is State.ACTIVE
    assert states_of(account.pk) == []


def test_the_stricter_of_account_and_symbol_holds(account: TradingAccount, django_assert_num_queries) -> None:
    _halt(account, symbol="BTCUSDT")
    state_change(
        account_id=account.pk,
        symbol=None,
        to=State.REDUCING,
        source=StateSource.DRAWDOWN,
        reason="orange",
        actor="risk",
    )
    with django_assert_num_queries(1):
        assert effective_state(account.pk, "BTCUSDT") is State.HALTED
    assert effective_state(account.pk, "ETHUSDT") is State.REDUCING
    assert effective_state(account.pk) is State.REDUCING


def test_a_halt_is_written_once_with_history_and_audit(account: TradingAccount, trader: User, now: datetime) -> None:
    change = _halt(account, actor=trader, now=now)
    assert change is not None
    assert (change.before, change.after, change.source, change.at) == ("active", "halted", "operator", now)
    row = TradingState.objects.get(account=account)
    assert (row.symbol, row.state, row.changed_by, row.changed_at) == (None, "halted", trader, now)
    entry = AuditEntry.objects.get(action="trading_state.tightened")
    assert entry.actor == trader
    assert entry.after == {"symbol": None, "state": "halted", "source": "operator", "flatten": False}

    assert _halt(account, actor=trader) is None
    assert state_changes(account.pk).count() == 1
    assert AuditEntry.objects.filter(action="trading_state.tightened").count() == 1


def test_a_flatten_is_recorded_even_where_the_halt_stands(account: TradingAccount) -> None:
    _halt(account)
    again = _halt(account, flatten=True)
    assert again is not None
    assert (again.before, again.after, again.flatten) == ("halted", "halted", True)


def test_loosening_is_refused_and_changes_nothing(account: TradingAccount) -> None:
    _halt(account)
    with pytest.raises(Rejected) as caught:
        state_change(
            account_id=account.pk,
            symbol=None,
            to=State.REDUCING,
            source=StateSource.OPERATOR,
            reason="calm again",
            actor="operator",
        )
    assert caught.value.code == "rearm_needed"
    assert effective_state(account.pk) is State.HALTED
    assert state_changes(account.pk).count() == 1


def test_an_automatic_trigger_leaves_a_stricter_state_alone(account: TradingAccount) -> None:
    _halt(account)
    wish = {"symbol": None, "to": State.REDUCING, "source": StateSource.DRAWDOWN, "reason": "orange", "actor": "risk"}
    assert tighten(account_id=account.pk, **wish) is None
    assert TradingState.objects.get(account=account).reason == "the market is mad"


def test_compare_and_swap(account: TradingAccount) -> None:
    with pytest.raises(Rejected) as caught:
        state_change(
            account_id=account.pk,
            symbol=None,
            to=State.HALTED,
            expected=State.REDUCING,
            source=StateSource.API,
            reason="",
            actor="api",
        )
    assert caught.value.code == "state_moved"
    assert effective_state(account.pk) is State.ACTIVE


@pytest.mark.parametrize(
    ("who", "reason", "otp", "code"),
    [
        ("admin", "looked into it", False, "otp_needed"),
        ("admin", "  ", True, "reason_needed"),
        ("trader", "looked into it", True, "admin_needed"),
    ],
)
def test_rearming_needs_admin_password_and_reason(
    account: TradingAccount, request: pytest.FixtureRequest, who: str, reason: str, otp: bool, code: str
) -> None:
    _halt(account)
    with pytest.raises(Rejected) as caught:
        rearm(account_id=account.pk, reason=reason, actor=request.getfixturevalue(who), otp_used=otp)
    assert caught.value.code == code
    assert effective_state(account.pk) is State.HALTED


def test_rearm_frees_its_own_scope_only(account: TradingAccount, admin: User) -> None:
    _halt(account)
    _halt(account, symbol="BTCUSDT")
    change = rearm(account_id=account.pk, reason="checked by hand", actor=admin, otp_used=True)
    assert change is not None
    assert (change.before, change.after, change.source, change.otp_used) == ("halted", "active", "rearm", True)
    assert effective_state(account.pk, "ETHUSDT") is State.ACTIVE
    assert effective_state(account.pk, "BTCUSDT") is State.HALTED
    assert AuditEntry.objects.get(action="trading_state.rearmed").otp_used
    assert rearm(account_id=account.pk, reason="again", actor=admin, otp_used=True) is None


def test_a_rearm_never_tightens(account: TradingAccount, admin: User) -> None:
    with pytest.raises(Rejected) as caught:
        rearm(account_id=account.pk, to=State.HALTED, reason="no", actor=admin, otp_used=True)
    assert caught.value.code == "not_a_rearm"


def test_an_unknown_account_is_refused(account: TradingAccount) -> None:
    with pytest.raises(Rejected) as caught:
        halt(account_id=account.pk + 1, reason="typo", actor="command")
    assert caught.value.code == "unknown_account"


def test_the_mirror_follows_the_commit(account: TradingAccount, django_capture_on_commit_callbacks) -> None:
    key = mirror_key(account.pk, None)
    cache.delete(key)
    with django_capture_on_commit_callbacks(execute=True):
        _halt(account)
        assert cache.get(key) is None
    assert cache.get(key) == "halted"
    cache.delete(key)


def test_a_dead_cache_does_not_undo_a_halt(
    account: TradingAccount, django_capture_on_commit_callbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no redis")

    monkeypatch.setattr("risk.services.announce.cache.set", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        _halt(account)
    assert effective_state(account.pk) is State.HALTED


def test_history_cannot_be_rewritten(account: TradingAccount) -> None:
    change = _halt(account)
    assert change is not None
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
        TradingStateChange.objects.filter(pk=change.pk).update(reason="it was not me")
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
        TradingStateChange.objects.filter(pk=change.pk).delete()


def test_one_row_per_scope_also_for_the_whole_account(account: TradingAccount) -> None:
    _halt(account)
    with pytest.raises(IntegrityError), transaction.atomic():
        TradingState.objects.create(account=account, symbol=None, state="active", source="api", reason="")
    with pytest.raises(IntegrityError), transaction.atomic():
        TradingState.objects.create(account=account, symbol="X", state="asleep", source="api", reason="")
