"""Decisions are stored whole, whatever they say, and look at what the database knows."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import DatabaseError, transaction
from prometheus_client import REGISTRY

from accounts.models import TradingAccount, User
from avigrid.kernel.errors import Rejected
from risk.core.snapshot import Guards
from risk.core.states import Stage, State
from risk.core.verdict import Ruling
from risk.models import RiskDecision
from risk.selectors import decisions
from risk.services import decide, entry_note, halt, limits_update, preview
from tests.support.risk import NOW_MS, opening, plan, snapshot


def _decide(account: TradingAccount, **changes: object) -> RiskDecision:
    facts = {"account_id": account.pk, "request": opening(), "snapshot": snapshot(), "now_ms": NOW_MS, **changes}
    return decide(**facts)


def test_an_allow_is_stored_with_all_checks(account: TradingAccount, trader: User, now: datetime) -> None:
    decision = _decide(account, actor=trader)
    stored = RiskDecision.objects.get(pk=decision.pk)
    assert decision.allowed
    assert (stored.ruling, stored.kind, stored.symbol, stored.direction) == ("allow", "open", "BTCUSDT", 1)
    assert (stored.reference, stored.decided_by, stored.decided_at) == ("signal:1", trader, now)
    assert stored.refused == []
    assert len(stored.checks) == 26
    assert stored.checks[10] == {
        "code": "max_total_risk_r",
        "passed": True,
        "applies": True,
        "warning": False,
        "sentence": "Open risk would be 0.57 R, the limit is 5 R.",
        "numbers": {"risk_r": "0.566", "limit_r": "5", "risk_usd": "11.32", "r_usd": "20"},
    }
    assert stored.request["lines"] == [{"quantity": "0.01", "price": "60000"}]
    assert stored.request["notional_usd"] == "600"
    assert stored.took_ms > 0


def test_a_denial_is_stored_too_and_says_why(account: TradingAccount) -> None:
    stored = _decide(account, snapshot=snapshot(open_plans=(plan(1, base="BTC"),)))
    assert (stored.ruling, stored.refused) == (Ruling.DENY, ["per_base"])
    assert stored.sentence == "A long plan on BTC is open already."
    assert list(decisions(account.pk, ruling="deny")) == [stored]
    assert list(decisions(account.pk, ruling="allow")) == []


def test_decisions_and_refusals_are_counted(account: TradingAccount) -> None:
    def counts() -> tuple[float, float]:
        return (
            REGISTRY.get_sample_value("avigrid_risk_decisions_total", {"kind": "open", "ruling": "deny"}) or 0,
            REGISTRY.get_sample_value("avigrid_risk_refusals_total", {"code": "per_base"}) or 0,
        )

    denied, refused = counts()
    _decide(account, snapshot=snapshot(open_plans=(plan(1, base="BTC"),)))
    assert counts() == (denied + 1, refused + 1)


def test_a_queued_signal_names_its_time(account: TradingAccount, now: datetime) -> None:
    entry_note(account_id=account.pk, symbol="BTCUSDT", direction=1, at=now - timedelta(minutes=5))
    stored = _decide(account)
    assert (stored.ruling, stored.refused) == ("queue", ["anti_churn"])
    assert stored.available_at == now + timedelta(minutes=10)


def test_the_databases_word_on_states_counts_not_the_callers(account: TradingAccount) -> None:
    halt(account_id=account.pk, symbol="BTCUSDT", reason="wild", actor="watchdog")
    seen = snapshot(guards=Guards(account_state=State.ACTIVE))
    assert _decide(account, snapshot=seen).refused == ["kill_switch", "trading_state"]
    assert not preview(account_id=account.pk, request=opening(), snapshot=seen, now_ms=NOW_MS).allowed
    assert RiskDecision.objects.count() == 1


def test_the_environment_is_the_accounts_own(account: TradingAccount) -> None:
    TradingAccount.objects.filter(pk=account.pk).update(environment="mainnet")
    assert _decide(account).refused == ["stage"]
    assert _decide(account, snapshot=snapshot(stage=Stage.LIVE)).allowed


def test_a_switched_off_account_opens_nothing(account: TradingAccount) -> None:
    TradingAccount.objects.filter(pk=account.pk).update(active=False)
    assert _decide(account).refused == ["symbol_open"]


def test_new_limits_hold_for_the_next_decision(account: TradingAccount, admin: User) -> None:
    assert _decide(account).limits_version == 0
    limits_update(account_id=account.pk, changes={"max_concurrent": 0}, actor=admin, reason="stop for today")
    refused = _decide(account)
    assert (refused.refused, refused.limits_version) == (["max_concurrent"], 1)


def test_decisions_cannot_be_rewritten(account: TradingAccount) -> None:
    stored = _decide(account)
    with pytest.raises(DatabaseError, match="written once"), transaction.atomic():
        RiskDecision.objects.filter(pk=stored.pk).update(ruling="allow")


def test_an_unknown_account_is_refused(account: TradingAccount) -> None:
    with pytest.raises(Rejected) as caught:
        decide(account_id=account.pk + 1, request=opening(), snapshot=snapshot(), now_ms=NOW_MS)
    assert caught.value.code == "unknown_account"


def test_queries_of_a_decision_do_not_grow_with_plans(account: TradingAccount, django_assert_num_queries) -> None:
    many = tuple(replace(plan(1), plan_id=number) for number in range(50))
    with django_assert_num_queries(2):  # lock, limits, guards, record
        _decide(account, snapshot=snapshot(open_plans=many))
