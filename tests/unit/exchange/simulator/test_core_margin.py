"""Margin formulas against positions the real exchange showed, and the account arithmetic around them."""

from decimal import Decimal

import pytest

from avigrid.exchange.simulator import margin
from avigrid.exchange.simulator.specs import Tier, tiers_from_steps
from tests.support.simulated_venue import Floor

D = Decimal


def tier(mmr: str, deduction: str = "0") -> Tier:
    return Tier(D(10**9), D(mmr), D(100), D(deduction))


@pytest.mark.parametrize(
    ("size", "entry_value", "mark", "leverage", "taker", "mmr", "initial", "maintenance"),
    [
        # SOLUSDT, October 2025, an account that pays 18 % tax on fees
        ("0.2", "46.604", "233.029", "10", "0.000649", "0.005", "4.68780139", "0.26025039"),
        # BTCPERP, March 2026
        ("0.001", "66.4735", "66472.02", "10", "0.001", "0.004", "6.70702815", "0.32571423"),
        # ADAUSDT, December 2025, 75x
        ("43", "16.036", "0.3702", "75", "0.00055", "0.0075", "0.22095025", "0.12809175"),
    ],
)
def test_recorded_positions(
    size: str, entry_value: str, mark: str, leverage: str, taker: str, mmr: str, initial: str, maintenance: str
) -> None:
    fee = margin.fee_to_close(D(entry_value), D(leverage), D(taker), 1)
    shown = margin.initial_margin(D(size), D(mark), D(leverage), fee)
    held = margin.maintenance_margin(D(size), D(mark), tier(mmr), fee)
    assert abs(shown - D(initial)) <= D("1e-7")
    assert abs(held - D(maintenance)) <= D("1e-7")


def test_recorded_unrealised_pnl_is_exact() -> None:
    assert margin.unrealised(D(43), D("0.3702"), D("16.036"), 1) == D("-0.1174")
    assert margin.unrealised(D("0.2"), D("233.029"), D("46.604"), 1) == D("0.0018")


def test_recorded_break_even_price() -> None:
    price = margin.break_even(D("0.001"), D("66.4735"), D("-0.0664735"), D("0.001"), 1)
    assert price.quantize(D("1e-8")) == D("66606.58008008")


def test_recorded_liquidation_price_in_cross() -> None:
    """USD figures of the wallet frame; a single position."""
    price = margin.cross_liquidation(D("0.2"), D("233.029"), D("11.48691986"), D("0.26041992"), 1)
    assert price == D("176.8965003")


def test_short_positions_mirror() -> None:
    # 1 short at 100, 10x: bankrupt at 110, fee there 110 x 0.00055
    assert margin.fee_to_close(D(100), D(10), D("0.00055"), -1) == D("0.0605")
    assert margin.bankruptcy_price(D(100), D(10), -1) == D(110)
    assert margin.unrealised(D(1), D(90), D(100), -1) == D(10)


def test_isolated_liquidation_by_hand() -> None:
    # long 1 at 100, 10x, MMR 0.5 %: (100 x 0.9) / 0.995
    price = margin.isolated_liquidation(D(1), D(100), D(10), tier("0.005"), D(0), D("0.00055"), 1)
    assert price.quantize(D("0.0001")) == D("90.4523")
    # short: (100 x 1.1) / 1.005
    price = margin.isolated_liquidation(D(1), D(100), D(10), tier("0.005"), D(0), D("0.00055"), -1)
    assert price.quantize(D("0.0001")) == D("109.4527")


def test_order_cost_by_hand() -> None:
    # 0.1 x 50 000 = 5 000: margin 500, open fee 2.75, close fee at 45 000 2.475
    assert margin.order_cost(D("0.1"), D(50_000), D(10), D("0.00055"), 1) == D("505.225")
    # the short closes at 55 000: 3.025
    assert margin.order_cost(D("0.1"), D(50_000), D(10), D("0.00055"), -1) == D("505.775")


def test_tier_deductions_as_recorded_for_btc() -> None:
    rows = (
        ("2000000", "0.005", "100"),
        ("2600000", "0.0056", "90"),
        ("3200000", "0.0063", "80"),
        ("3800000", "0.0067", "75"),
    )
    assert [row.mm_deduction_usd for row in tiers_from_steps(rows)] == [0, 1200, 3020, 4300]


@pytest.mark.parametrize(("notional", "index"), [("0", 0), ("2000000", 0), ("2000000.01", 1), ("99999999", 2)])
def test_tier_of_a_notional(notional: str, index: int) -> None:
    tiers = tiers_from_steps((("2000000", "0.005", "100"), ("2600000", "0.0056", "90"), ("3200000", "0.0063", "80")))
    assert margin.tier_for(tiers, D(notional))[0] == index


def test_price_band_follows_the_newer_page() -> None:
    low, high = margin.price_band(D(100), D("100.5"), D("0.3"), D("0.01"), D("0.02"))
    assert (low, high) == (D(99), D("101.3"))
    low, high = margin.price_band(D(100), D(103), D(-1), D("0.01"), D("0.02"))
    assert (low, high) == (D(98), D(102))


# -- the account ------------------------------------------------------------------------------------------------
def test_a_resting_order_holds_its_cost_and_gives_it_back() -> None:
    floor = Floor()
    order_id = floor.limit("Buy", "0.1", "49000")
    # 4 900 of value: 490 + 2.695 + 2.4255
    assert floor.wallet()["totalInitialMargin"] == "495.1205"
    assert floor.wallet()["totalAvailableBalance"] == "9504.8795"
    floor.venue.cancel_order(floor.body(orderId=order_id))
    assert floor.wallet()["totalInitialMargin"] == "0"
    assert floor.wallet()["totalAvailableBalance"] == "10000"


def test_orders_that_close_hold_nothing_and_the_excess_does() -> None:
    floor = Floor()
    floor.market("Buy", "0.1")
    before = D(floor.wallet()["coin"][0]["totalOrderIM"])
    floor.limit("Sell", "0.1", "51000")
    assert before == 0
    assert floor.wallet()["coin"][0]["totalOrderIM"] == "0"
    floor.limit("Sell", "0.05", "52000")
    # the part beyond the position: 0.05 x 52 000 = 2 600: 260 + 1.43 + 1.573
    assert floor.wallet()["coin"][0]["totalOrderIM"] == "263.003"


def test_hedge_mode_counts_each_side() -> None:
    floor = Floor(hedge=True)
    floor.market("Buy", "0.1", positionIdx=1)
    floor.limit("Sell", "0.1", "51000", positionIdx=2)
    assert D(floor.wallet()["coin"][0]["totalOrderIM"]) > 500
    floor.limit("Sell", "0.1", "51000", positionIdx=1)
    assert D(floor.wallet()["coin"][0]["totalOrderIM"]) < 520


def test_too_little_margin_refuses_and_changes_nothing() -> None:
    floor = Floor(balance_usdt=D(100))
    refusal = floor.refusal("create_order", side="Buy", orderType="Limit", qty="0.1", price="49000")
    assert (refusal.code, refusal.message) == (110007, "ab not enough for new order")
    assert floor.opens() == []
    assert floor.wallet()["totalAvailableBalance"] == "100"
    assert floor.venue.drain_private() == []


def test_leverage_decides_what_fits() -> None:
    floor = Floor(balance_usdt=D(100))
    floor.venue.set_leverage(floor.body(buyLeverage="100", sellLeverage="100"))
    assert floor.limit("Buy", "0.1", "49000")


def test_losses_of_a_position_lower_what_is_available() -> None:
    floor = Floor()
    floor.market("Buy", "0.1")
    floor.mark("49000")
    wallet = floor.wallet()
    # bought at 50 000.1, fee 2.7500055
    assert wallet["totalPerpUPL"] == "-100.01"
    assert wallet["totalWalletBalance"] == "9997.2499945"
    assert wallet["totalMarginBalance"] == "9897.2399945"
    # margin 490 and fee to close 5 000.01 x 0.9 x 0.00055
    assert wallet["totalInitialMargin"] == "492.47500495"
    assert wallet["totalAvailableBalance"] == "9404.76498955"


def test_a_larger_tier_needs_less_leverage() -> None:
    floor = Floor(balance_usdt=D(1_000_000))
    floor.venue.set_leverage(floor.body(buyLeverage="100", sellLeverage="100"))
    refusal = floor.refusal("create_order", side="Buy", orderType="Limit", qty="45", price="49000")
    assert refusal.code == 110090
    floor.venue.set_leverage(floor.body(buyLeverage="50", sellLeverage="50"))
    floor.limit("Buy", "45", "49000")
    assert floor.position()["riskLimitValue"] == "2600000"
    assert floor.refusal("set_leverage", buyLeverage="95", sellLeverage="95").code == 110086
    assert floor.refusal("set_leverage", buyLeverage="50", sellLeverage="50").code == 110043
    assert floor.refusal("set_leverage", buyLeverage="101", sellLeverage="101").code == 110013
