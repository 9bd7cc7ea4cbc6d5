"""Wallet readings: money that came in or went out never looks like a gain or a loss."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from accounts.models import TradingAccount
from avigrid.kernel.portfolio import Wallet
from risk.core.states import State
from risk.selectors.guards import effective_state
from trading.models import EquitySnapshot, LedgerEntry
from trading.services.equity import balance_gap, equity_store
from trading.services.times import to_ms

pytestmark = pytest.mark.django_db
D = Decimal
START_MS = to_ms(datetime(2026, 1, 5, 12, tzinfo=UTC))


def wallet(balance: str) -> Wallet:
    usd = D(balance)
    return Wallet(usd, usd, usd, D(0), D(0), D(0))


@pytest.fixture
def account() -> TradingAccount:
    account = TradingAccount.objects.create(label="equity", environment="simulated", hedge_mode=True)
    equity_store(account_id=account.pk, wallet=wallet("10000"), at_ms=START_MS, transfer_usd=D(0))
    return account


def test_a_withdrawal_seen_in_a_frame_waits_for_its_ledger_row(account: TradingAccount) -> None:
    assert equity_store(account_id=account.pk, wallet=wallet("6000"), at_ms=START_MS + 60_000) is None
    assert EquitySnapshot.objects.count() == 1
    assert effective_state(account.pk) is State.ACTIVE

    look = equity_store(account_id=account.pk, wallet=wallet("6000"), at_ms=START_MS + 61_000, transfer_usd=D(-4000))
    assert look is not None
    assert look.drawdown_ratio == 0
    assert effective_state(account.pk) is State.ACTIVE
    newest = EquitySnapshot.objects.order_by("-at").first()
    assert newest is not None
    assert (newest.equity_usd, newest.adjusted_equity_usd) == (D(6000), D(10000))


def test_a_deposit_raises_no_peak_that_later_looks_like_a_loss(account: TradingAccount) -> None:
    assert equity_store(account_id=account.pk, wallet=wallet("13400"), at_ms=START_MS + 60_000) is None
    look = equity_store(account_id=account.pk, wallet=wallet("13400"), at_ms=START_MS + 61_000, transfer_usd=D(3400))
    assert look is not None
    assert look.drawdown_ratio == 0
    assert effective_state(account.pk) is State.ACTIVE


def test_a_booked_loss_explains_the_balance_and_counts(account: TradingAccount) -> None:
    LedgerEntry.objects.create(
        account=account, kind="trade", symbol="BTCUSDT", change_usd=D(-1600), reference="x",
        at=datetime(2026, 1, 5, 12, 0, 30, tzinfo=UTC),
    )  # fmt: skip
    assert balance_gap(account.pk, wallet("8400")) == 0
    look = equity_store(account_id=account.pk, wallet=wallet("8400"), at_ms=START_MS + 60_000)
    assert look is not None
    assert look.drawdown_ratio == D("0.16")
    assert effective_state(account.pk) is not State.ACTIVE


def test_a_transfer_is_never_dropped_for_being_young(account: TradingAccount) -> None:
    assert equity_store(account_id=account.pk, wallet=wallet("10000"), at_ms=START_MS + 1_000) is None
    look = equity_store(account_id=account.pk, wallet=wallet("10000"), at_ms=START_MS + 1_500, transfer_usd=D(500))
    assert look is not None
