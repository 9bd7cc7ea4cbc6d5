"""The chance of a signal: of thirty traded ones in its tenth of the score, and of nothing else."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest

from accounts.models import TradingAccount
from tests.support.trading_rows import make_account, make_decision, make_plan, make_signal, make_version
from trading.models import Fill, Order, Plan, StrategyVersion
from trading.selectors.win_rate import p_win

pytestmark = pytest.mark.django_db
D = Decimal
NOW = datetime(2026, 1, 5, tzinfo=UTC)
_numbers = count(1)


@pytest.fixture
def account() -> TradingAccount:
    return make_account()


@pytest.fixture
def version() -> StrategyVersion:
    return make_version(NOW)


def traded(
    account: TradingAccount,
    version: StrategyVersion,
    gross: str,
    *,
    score: float = 0.65,
    status: str = "closed",
    is_filled: bool = True,
) -> Plan:
    """A plan with 1 USD of fees and 0.5 USD of funding received."""
    signal = make_signal(make_decision(version, NOW + timedelta(minutes=5 * next(_numbers))))
    signal.score = score
    signal.save()
    plan = make_plan(account, gross=gross, fees="1", funding="0.5", closed_at=NOW, signal=signal)
    plan.status = status
    plan.save()
    order = Order.objects.create(
        order_link_id=f"win-{next(_numbers)}",
        plan=plan,
        account=account,
        role="entry",
        symbol=plan.symbol,
        side="Buy",
        position_idx=1,
        order_type="Limit",
        time_in_force="IOC",
        quantity=D(1),
        price=D(100),
        status="filled" if is_filled else "cancelled",
        created_at=NOW,
        closed_at=NOW,
    )
    if is_filled:
        Fill.objects.create(
            exec_id=f"win-{next(_numbers)}",
            account=account,
            order=order,
            plan=plan,
            symbol=plan.symbol,
            position_idx=1,
            side="Buy",
            price=D(100),
            quantity=D(1),
            fee_usd=D(1),
            is_maker=False,
            executed_at=NOW,
            received_at=NOW,
            booked_at=NOW,
        )
    return plan


def test_absent_below_thirty_and_smoothed_from_there(account: TradingAccount, version: StrategyVersion) -> None:
    for number in range(29):
        traded(account, version, "3" if number < 11 else "-2")
    assert p_win(0.65) is None
    traded(account, version, "-2")
    assert p_win(0.65) == 12 / 32


def test_what_is_left_after_fees_and_funding_decides(account: TradingAccount, version: StrategyVersion) -> None:
    for gross in ["0.5"] * 10 + ["0.51"] * 20:  # 0.5 + 0.5 - 1 is nothing, and nothing is no win
        traded(account, version, gross)
    assert p_win(0.65) == 21 / 32


def test_losers_that_filled_too_little_count_and_what_never_filled_does_not(
    account: TradingAccount, version: StrategyVersion
) -> None:
    for _ in range(20):
        traded(account, version, "3")
    for status in ("failed_underfill", "failed"):
        for _ in range(5):
            traded(account, version, "-1", status=status)
    assert p_win(0.65) == 21 / 32
    for status in ("closed", "failed", "failed_underfill"):
        traded(account, version, "0", status=status, is_filled=False)
    for status in ("placing", "active", "closing"):
        traded(account, version, "9", status=status)
    assert p_win(0.65) == 21 / 32


def test_other_versions_and_accounts_count_too(account: TradingAccount, version: StrategyVersion) -> None:
    for _ in range(15):
        traded(account, version, "3")
    other, newer = make_account(), make_version(NOW)
    for _ in range(15):
        traded(other, newer, "-3")
    assert p_win(0.65) == 16 / 32


def test_a_tenth_has_its_lower_edge_and_the_last_one_both(account: TradingAccount, version: StrategyVersion) -> None:
    for score in (0.3, 0.39999999, 0.9, 1.0):
        for _ in range(15):
            traded(account, version, "3" if score < 0.9 else "-3", score=score)
    assert [p_win(score) for score in (0.3, 0.35, 0.39999999)] == [31 / 32] * 3
    assert [p_win(score) for score in (0.9, 0.95, 1.0)] == [1 / 32] * 3
    assert [p_win(score) for score in (0.0, 0.29999999, 0.4, 0.89999999)] == [None] * 4
