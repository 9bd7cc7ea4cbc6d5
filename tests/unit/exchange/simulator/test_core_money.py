"""Where money goes: fees, realised results, funding, closed PnL, the transaction log, liquidation, isolated margin."""

from decimal import Decimal

import pytest

from avigrid.exchange.simulator.refusals import Refusal
from avigrid.exchange.simulator.specs import Fees
from tests.support.simulated_venue import START_MS, Floor

D = Decimal
FIRST_FUNDING_MS = 1_700_006_400_000
"""2023-11-15 00:00 UTC."""


def test_a_round_trip_to_the_last_digit() -> None:
    floor = Floor()
    floor.market("Buy", "0.1")  # at 50 000.1: 5 000.01, fee 2.7500055
    floor.quote("51000")
    floor.market("Sell", "0.1")  # at 50 999.9: 5 099.99, fee 2.8049945
    assert floor.balance() == D("10000") + D("99.98") - D("2.7500055") - D("2.8049945")
    row = floor.venue.closed_pnl(floor.body())["list"][0]
    assert (row["cumEntryValue"], row["cumExitValue"], row["closedPnl"]) == ("5000.01", "5099.99", "94.425")
    assert (row["openFee"], row["closeFee"], row["fillCount"], row["side"]) == ("2.7500055", "2.8049945", "1", "Sell")
    assert (row["avgEntryPrice"], row["avgExitPrice"], row["leverage"]) == ("50000.1", "50999.9", "10")


def test_entry_value_is_exact_over_additions_and_shrinks_in_proportion() -> None:
    floor = Floor(fees=Fees.none())
    floor.market("Buy", "0.1")
    floor.quote("50300")
    floor.market("Buy", "0.2")
    row = floor.position()
    assert row["positionValue"] == "15060.03"  # 5 000.01 + 10 060.02
    assert row["avgPrice"] == "50200.1"
    floor.market("Sell", "0.1")
    row = floor.position()
    assert (row["positionValue"], row["avgPrice"]) == ("10040.02", "50200.1")
    assert row["curRealisedPnl"] == "9.98"  # 5 029.99 - 5 020.01


def test_realised_results_of_a_holding_start_with_its_opening_fee() -> None:
    floor = Floor()
    floor.market("Buy", "0.1")
    row = floor.position()
    assert (row["curRealisedPnl"], row["cumRealisedPnl"]) == ("-2.7500055", "-2.7500055")


def test_maker_and_taker_fees() -> None:
    floor = Floor()
    floor.book({"49990": "1"}, {"50010": "1"})
    floor.limit("Buy", "0.1", "50000")
    floor.trade("Sell", "50000", "0.1")
    row = floor.executions()[0]
    assert (row["execFee"], row["feeRate"], row["isMaker"]) == ("1", "0.0002", True)
    assert floor.venue.fee_rate(floor.body())["list"] == [
        {"symbol": "BTCUSDT", "takerFeeRate": "0.00055", "makerFeeRate": "0.0002", "baseCoin": ""}
    ]


# -- funding -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("side", "rate", "paid"), [("Buy", "0.0001", "0.5"), ("Sell", "0.0001", "-0.5"), ("Buy", "-0.0002", "-1")]
)
def test_funding_is_size_times_mark_times_rate(side: str, rate: str, paid: str) -> None:
    floor = Floor(fees=Fees.none())
    floor.market(side, "0.1")
    floor.mark("50000", rate=rate)
    before = floor.balance()
    floor.venue.drain_private()
    floor.venue.advance(FIRST_FUNDING_MS + 5)
    assert before - floor.balance() == D(paid)
    row = floor.executions()[-1]
    assert (row["execType"], row["orderType"], row["execFee"], row["execQty"]) == ("Funding", "UNKNOWN", paid, "0.1")
    assert (row["execTime"], row["execPrice"], row["orderQty"]) == (str(FIRST_FUNDING_MS), "50000", "0")
    assert [event.topic for event in floor.venue.drain_private()] == ["execution", "position", "wallet"]
    log = floor.venue.transaction_log({"type": "SETTLEMENT"})["list"][0]
    assert (log["funding"], log["change"], log["fee"]) == (str(-D(paid)), str(-D(paid)), "0")
    assert D(log["feeRate"]) == D(rate) * (1 if side == "Buy" else -1)
    assert floor.position()["curRealisedPnl"] == str(-D(paid))


def test_funding_comes_every_interval_and_only_for_what_is_open_then() -> None:
    floor = Floor(fees=Fees.none())
    assert floor.venue.ticker("BTCUSDT")["nextFundingTime"] == str(FIRST_FUNDING_MS)
    floor.market("Buy", "0.1")
    floor.venue.advance(FIRST_FUNDING_MS + 2 * 8 * 3_600_000 + 1)
    assert len([row for row in floor.executions() if row["execType"] == "Funding"]) == 3
    floor.market("Sell", "0.1")
    floor.venue.advance(FIRST_FUNDING_MS + 4 * 8 * 3_600_000)
    assert len([row for row in floor.executions() if row["execType"] == "Funding"]) == 3
    rows = floor.venue.funding_history(floor.body())["list"]
    assert [int(row["fundingRateTimestamp"]) for row in rows] == [
        FIRST_FUNDING_MS + n * 8 * 3_600_000 for n in range(4, -1, -1)
    ]
    assert floor.refusal("funding_history", startTime="1").code == 10001


def test_the_rate_is_capped() -> None:
    floor = Floor()
    floor.mark("50000", rate="0.9")
    assert floor.venue.ticker("BTCUSDT")["fundingRate"] == "0.005"


def test_the_transaction_log_explains_the_wallet() -> None:
    floor = Floor()
    floor.market("Buy", "0.1")
    floor.venue.advance(FIRST_FUNDING_MS)
    floor.market("Sell", "0.04")
    rows = floor.venue.transaction_log({})["list"]
    assert [row["type"] for row in rows] == ["TRADE", "SETTLEMENT", "TRADE"]
    for row in rows:
        funding = D(row["funding"] or 0)
        assert D(row["change"]) == D(row["cashFlow"]) + funding - D(row["fee"])
    assert D(10_000) + sum(D(row["change"]) for row in rows) == floor.balance() == D(rows[0]["cashBalance"])
    assert [row["size"] for row in rows] == ["0.06", "0.1", "0.1"]


# -- liquidation ---------------------------------------------------------------------------------------------
def long_with_little(balance: str = "600") -> Floor:
    """0.5 BTC long on 600 USDT at 50x: gone some 1 % lower."""
    floor = Floor(balance_usdt=D(balance))
    floor.venue.set_leverage(floor.body(buyLeverage="50", sellLeverage="50"))
    floor.market("Buy", "0.5")
    floor.limit("Sell", "0.5", "52000", reduceOnly=True)
    floor.venue.drain_private()
    return floor


def test_cross_liquidation_cancels_orders_and_takes_the_position_over() -> None:
    floor = long_with_little()
    shown = D(floor.position()["liqPrice"])
    floor.mark(str(shown.quantize(D("0.1")) + 20))
    assert floor.position()["size"] == "0.5"
    floor.mark(str(shown.quantize(D("0.1")) - 20))
    assert floor.position()["size"] == "0"
    assert floor.opens() == []
    history = floor.venue.order_history(floor.body())["list"]
    assert history[0]["createType"] == "CreateByTakeOver_PassThrough"
    assert "CancelAllBeforeLiq" in {row["cancelType"] for row in history}
    assert floor.executions()[-1]["execType"] == "BustTrade"
    assert abs(floor.balance()) < D("0.1")
    assert floor.balance() >= 0
    event = floor.venue.drain_liquidations()[0]
    assert (event["S"], event["v"], event["s"]) == ("Buy", "0.500", "BTCUSDT")
    assert floor.venue.transaction_log({"type": "LIQUIDATION"})["list"][0]["qty"] == "0.5"


def test_enough_margin_survives_the_same_fall() -> None:
    floor = long_with_little(balance="5000")
    floor.mark("49000")
    assert floor.position()["size"] == "0.5"


def test_a_position_in_a_high_tier_steps_down_first() -> None:
    floor = Floor(balance_usdt=D(75_000))
    floor.venue.set_leverage(floor.body(buyLeverage="50", sellLeverage="50"))
    floor.quote("50000", size="100")
    floor.market("Buy", "50")  # 2.5 million: second tier
    floor.quote("48750", size="100")
    floor.mark("48750")
    steps = [row["createType"] for row in floor.venue.order_history(floor.body())["list"]]
    assert "CreateByLiq" in steps
    assert floor.venue.account().balance >= 0


def test_isolated_positions_fall_alone() -> None:
    floor = Floor(isolated=True)
    floor.venue.set_leverage(floor.body(buyLeverage="50", sellLeverage="50"))
    floor.market("Buy", "0.5")
    row = floor.position()
    assert (row["tradeMode"], floor.venue.account_info({})["marginMode"]) == (1, "ISOLATED_MARGIN")
    # 50 000.1 x 0.98 / 0.995
    assert abs(D(row["liqPrice"]) - D("49246.33")) < 1
    floor.mark("49260")
    assert floor.position()["size"] == "0.5"
    floor.mark("49200")
    assert floor.position()["size"] == "0"
    # what is lost is the position's own margin and the fees
    assert D("9450") < floor.balance() < D("9500")


def test_added_margin_moves_the_liquidation_price_away() -> None:
    floor = Floor(isolated=True)
    floor.market("Buy", "0.1")
    before = D(floor.position()["liqPrice"])
    floor.venue.add_margin(floor.body(margin="100", positionIdx=0))
    assert D(floor.position()["liqPrice"]) < before - 900
    assert floor.refusal("add_margin", margin="-200", positionIdx=0).code == 110045
    assert Floor().refusal("add_margin", margin="10", positionIdx=0).code == 110076


def test_margin_mode_changes_only_when_nothing_is_open() -> None:
    floor = Floor()
    floor.market("Buy", "0.01")
    assert floor.venue.set_margin_mode({"setMarginMode": "ISOLATED_MARGIN"})["reasons"] != []
    floor.market("Sell", "0.01")
    assert floor.venue.set_margin_mode({"setMarginMode": "ISOLATED_MARGIN"})["reasons"] == []
    assert floor.refusal("set_margin_mode", setMarginMode="ISOLATED_MARGIN").code == 110026


def test_price_jump_moves_everything_at_once_and_wakes_stops() -> None:
    floor = Floor()
    floor.market("Buy", "0.01", stopLoss="49000")
    floor.venue.price_jump("BTCUSDT", D("-0.04"))
    row = floor.venue.ticker("BTCUSDT")
    assert (row["lastPrice"], row["markPrice"], row["indexPrice"]) != ("50000.10", "50000.00", "50000.00")
    assert row["markPrice"] == "48000.00"
    assert floor.position()["size"] == "0"


def test_the_start_is_106_minutes_before_funding() -> None:
    assert (FIRST_FUNDING_MS - START_MS) // 60_000 == 106


# -- transfers -----------------------------------------------------------------------------------------------


def test_a_transfer_moves_the_balance_and_is_logged() -> None:
    floor = Floor()
    floor.market("Buy", "0.1")
    floor.venue.transfer(D(500))
    floor.venue.transfer(D("-200.5"))
    assert floor.balance() == D("10296.7499945")  # 10 000 - 2.7500055 + 500 - 200.5
    rows = floor.venue.transaction_log({"currency": "USDT"})["list"]
    moved = [(row["type"], row["change"], row["cashBalance"]) for row in rows if row["type"].startswith("TRANSFER")]
    assert set(moved) == {
        ("TRANSFER_IN", "500", "10497.2499945"),
        ("TRANSFER_OUT", "-200.5", "10296.7499945"),
    }


def test_what_a_position_holds_cannot_be_taken_out() -> None:
    floor = Floor()
    floor.market("Buy", "0.1")
    with pytest.raises(Refusal):
        floor.venue.transfer(-floor.balance())
    assert len(floor.venue.transaction_log({})["list"]) == 1
