"""Slippage by symbol, side, entry or exit, maker or taker; expected values worked out by hand."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from avigrid.kernel.orders import Side
from tests.support.trading_rows import make_account, make_plan, make_slippage
from trading.selectors.slippage import entry_slippage_of, slippage_statistics, slippage_total

pytestmark = pytest.mark.django_db
D = Decimal
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_groups_have_count_mean_median_and_p95() -> None:
    account = make_account()
    for bps in ("1", "2", "3", "4", "10"):
        make_slippage(account, bps, NOW)
    make_slippage(account, "-2", NOW, side="Sell", is_entry=False, is_maker=True)
    make_slippage(account, "7", NOW, symbol="ETHUSDT")
    first, second, third = slippage_statistics(since=NOW - HOUR)
    assert (first.symbol, first.side, first.is_entry, first.is_maker) == ("BTCUSDT", Side.BUY, True, False)
    # p95 of five values lies 0.8 of the way from the fourth to the fifth: 4 + 0.8 * 6
    assert (first.count, first.mean_bps, first.median_bps, first.p95_bps) == (5, D(4), D(3), D("8.8"))
    assert first.worst_bps == D(10)
    assert (second.side, second.is_entry, second.is_maker, second.mean_bps) == (Side.SELL, False, True, D(-2))
    assert (third.symbol, third.count, third.p95_bps) == ("ETHUSDT", 1, D(7))


def test_the_window_holds_its_start_and_not_its_end() -> None:
    account = make_account()
    for hours, bps in ((0, "1"), (1, "2"), (2, "4")):
        make_slippage(account, bps, NOW + hours * HOUR)
    total = slippage_total(since=NOW, until=NOW + 2 * HOUR)
    assert total is not None
    assert (total.count, total.mean_bps) == (2, D("1.5"))


def test_accounts_symbols_and_takers_are_kept_apart() -> None:
    mine, other = make_account(), make_account()
    make_slippage(mine, "5", NOW)
    make_slippage(mine, "0", NOW, is_maker=True)
    make_slippage(other, "50", NOW)
    total = slippage_total(since=NOW, account_id=mine.pk, takers_only=True)
    assert total is not None
    assert (total.count, total.p95_bps) == (1, D(5))
    assert slippage_total(since=NOW, symbol="SOLUSDT") is None
    assert slippage_statistics(since=NOW + HOUR) == []


def test_what_a_plan_paid_to_get_in_is_weighted_by_quantity() -> None:
    account = make_account()
    plan, untouched = make_plan(account), make_plan(account)
    make_slippage(account, "1", NOW, plan=plan, quantity="3")
    make_slippage(account, "5", NOW, plan=plan, quantity="1")
    make_slippage(account, "99", NOW, plan=plan, is_entry=False)
    assert entry_slippage_of([plan.pk, untouched.pk]) == {plan.pk: D(2)}
