from decimal import Decimal

import pytest

from risk.core.limits import RiskLimits
from risk.core.liquidation import cross_liquidation_price, isolated_liquidation_price
from risk.core.request import OrderLine
from tests.support.risk import opening, outcome_of, plan, snapshot


@pytest.mark.parametrize(("setting", "passes"), [("4.99", True), ("5", True), ("5.01", False)])
def test_leverage_setting(setting: str, passes: bool) -> None:
    assert outcome_of("leverage", opening(leverage=Decimal(setting))).passed is passes


@pytest.mark.parametrize(("open_usd", "passes"), [("49399.99", True), ("49400", True), ("49400.01", False)])
def test_leverage_of_the_account(open_usd: str, passes: bool) -> None:
    # 5 x 10,000 of equity = 50,000; the new plan brings 600
    seen = snapshot(open_plans=(plan(notional_usd=open_usd),))
    assert outcome_of("leverage", seen=seen).passed is passes


def test_no_equity_carries_nothing() -> None:
    found = outcome_of("leverage", seen=snapshot(equity_usd=Decimal(0)))
    assert not found.passed
    assert "undefined without equity" in found.sentence


@pytest.mark.parametrize(("usd", "passes"), [("24999", True), ("25000", True), ("25002", False)])
def test_notional_of_one_plan(usd: str, passes: bool) -> None:
    assert outcome_of("notional", opening(lines=(OrderLine(Decimal(1), Decimal(usd)),))).passed is passes


@pytest.mark.parametrize(("open_usd", "passes"), [("49399", True), ("49400", True), ("49401", False)])
def test_notional_on_one_symbol(open_usd: str, passes: bool) -> None:
    mine = plan(1, base="BTC", direction=-1, notional_usd=open_usd)
    seen = snapshot(open_plans=(mine, plan(2, notional_usd=40_000)))
    assert outcome_of("notional", seen=seen).passed is passes


@pytest.mark.parametrize(("available", "passes"), [("119.99", False), ("120", True), ("121", True)])
def test_margin_must_be_free(available: str, passes: bool) -> None:
    assert outcome_of("margin", seen=snapshot(available_usd=Decimal(available))).passed is passes  # 600 / 5


@pytest.mark.parametrize(("used", "passes"), [("4879", True), ("4880", True), ("4881", False)])
def test_margin_in_use_stays_below_half_of_equity(used: str, passes: bool) -> None:
    found = outcome_of("margin", seen=snapshot(initial_margin_usd=Decimal(used)))
    assert found.passed is passes
    assert found.numbers["used_usd"] == Decimal(used) + 120


def test_margin_of_orders_the_venue_has_not_seen_is_reserved() -> None:
    # the wallet shows 100 in use and 300 free, our plans will need 290: 190 of the 300 are spoken for
    seen = snapshot(available_usd=Decimal(300), initial_margin_usd=Decimal(100), open_plans=(plan(margin_usd=290),))
    found = outcome_of("margin", seen=seen)
    assert found.numbers["free_usd"] == 110
    assert not found.passed


@pytest.mark.parametrize(("equity", "passes"), [("22.9", False), ("23", True), ("24", True)])
def test_liquidation_lies_two_stop_distances_away(equity: str, passes: bool) -> None:
    # 0.01 BTC falls 2,000 for 20 USD; maintenance takes 600 x 0.005 = 3
    seen = snapshot(equity_usd=Decimal(equity))
    found = outcome_of("liquidation", seen=seen)
    assert found.passed is passes
    assert found.numbers["limit_distance"] == 2_000


def test_liquidation_counts_what_others_may_lose_first() -> None:
    seen = snapshot(equity_usd=Decimal(33), open_plans=(plan(risk_usd=10),))
    assert outcome_of("liquidation", seen=seen).numbers["liquidation_price"] == 58_000
    worse = snapshot(equity_usd=Decimal(33), open_plans=(plan(risk_usd=11),))
    assert not outcome_of("liquidation", seen=worse).passed


def test_liquidation_counts_the_whole_position_of_the_symbol_and_side() -> None:
    # (43 - 3) / 0.02 BTC = 2,000; the other side and other symbols do not add to it
    held = (plan(1, base="BTC", quantity="0.01"), plan(2, base="BTC", direction=-1, quantity=9), plan(3, quantity=9))
    found = outcome_of("liquidation", seen=snapshot(equity_usd=Decimal(43), open_plans=held))
    assert found.numbers["liquidation_price"] == 58_000
    assert found.passed


def test_an_account_large_enough_is_never_liquidated_by_a_small_long() -> None:
    found = outcome_of("liquidation")
    assert found.passed
    assert found.numbers["liquidation_price"] is None


def test_isolated_margin_uses_the_leverage() -> None:
    # 5x long with 0.5 % maintenance: 60,000 x (1 - 0.2 + 0.005) = 48,300
    seen = snapshot(isolated_margin=True)
    assert outcome_of("liquidation", seen=seen).numbers["liquidation_price"] == Decimal(48_300)
    wide = opening(stop_price=Decimal(54_000), lines=(OrderLine(Decimal("0.001"), Decimal(60_000)),))
    assert not outcome_of("liquidation", wide, seen).passed  # 2 x 6,000 > 11,700
    assert outcome_of("liquidation", wide, seen, RiskLimits(liquidation_stop_multiple=Decimal("1.95"))).passed


def test_liquidation_prices_of_a_short() -> None:
    cross = cross_liquidation_price(direction=-1, mark_price=Decimal(100), quantity=Decimal(2), free_usd=Decimal(50))
    assert cross == 125
    isolated = isolated_liquidation_price(
        direction=-1, entry_price=Decimal(100), leverage=Decimal(5), maintenance_margin_ratio=Decimal("0.01")
    )
    assert isolated == Decimal(119)


def test_nothing_free_liquidates_at_the_mark() -> None:
    price = cross_liquidation_price(direction=1, mark_price=Decimal(100), quantity=Decimal(1), free_usd=Decimal(-5))
    assert price == 100
