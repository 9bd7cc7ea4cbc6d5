"""Fills to positions and money; expected values worked out by hand."""

from dataclasses import replace
from decimal import Decimal

from avigrid.kernel.orders import Side
from trading.engine.ledger import FillFact, PositionState, book, fold, slippage_bps

D = Decimal


def fill(exec_id: str, side: Side, price: str, qty: str, time_ms: int, fee: str = "0") -> FillFact:
    return FillFact(exec_id, side, D(price), D(qty), D(fee), time_ms)


def test_average_price_of_two_buys_and_profit_of_a_partial_sell() -> None:
    booked = fold(
        [
            fill("a", Side.BUY, "100", "1", 1, "0.055"),
            fill("b", Side.BUY, "106", "2", 2, "0.1166"),
            fill("c", Side.SELL, "110", "1.5", 3, "0.09"),
        ]
    )
    last = booked[-1]
    assert booked[1].state.avg_price == D(104)
    assert last.realised_pnl_usd == D(9)  # 1.5 * (110 - 104)
    assert last.state.size == D("1.5")
    assert last.state.entry_value_usd == D(156)
    assert last.state.fees_usd == D("0.2616")


def test_short_profits_from_a_fall() -> None:
    booked = fold([fill("a", Side.SELL, "50", "4", 1), fill("b", Side.BUY, "48.5", "4", 2)])
    assert booked[-1].realised_pnl_usd == D(6)
    assert booked[-1].state.size == 0
    assert booked[-1].state.entry_value_usd == 0
    assert booked[-1].state.opened_ms is None


def test_flip_closes_first_and_opens_the_rest_at_the_fill_price() -> None:
    booked = fold([fill("a", Side.BUY, "10", "3", 1), fill("b", Side.SELL, "12", "5", 2)])
    assert booked[-1].realised_pnl_usd == D(6)
    assert booked[-1].closed_qty == D(3)
    assert booked[-1].state.size == D(-2)
    assert booked[-1].state.avg_price == D(12)
    assert booked[-1].state.opened_ms == 2


def test_in_one_millisecond_the_venues_sequence_counts_not_the_ids() -> None:
    """Bought first, so three are held at 95 when one is sold; the other way round it would have been sold at 80."""
    held, bought = fill("a", Side.BUY, "80", "1", 1), fill("z", Side.BUY, "102.5", "2", 5)
    sold = fill("b", Side.SELL, "110", "1", 5)
    booked = fold([held, replace(sold, seq=71), replace(bought, seq=70)])
    assert [row.fill.reference for row in booked] == ["a", "z", "b"]
    assert booked[-1].realised_pnl_usd == D(15)
    assert booked[-1].state.entry_value_usd == D(190)


def test_thirds_leave_no_dust_when_flat() -> None:
    fills = [fill("a", Side.BUY, "0.1", "1", 1), fill("b", Side.BUY, "0.2", "2", 2)]
    fills += [fill(f"c{i}", Side.SELL, "0.3", "1", 3 + i) for i in range(3)]
    booked = fold(fills)
    assert booked[-1].state.entry_value_usd == 0
    assert booked[-1].state.realised_pnl_usd == D("0.4")  # 0.9 received - 0.5 paid


def test_arrival_order_and_repeats_do_not_matter() -> None:
    a, b, c = fill("a", Side.BUY, "10", "1", 1), fill("b", Side.SELL, "11", "1", 2), fill("c", Side.BUY, "12", "1", 3)
    assert fold([c, a, b, a, c])[-1].state == fold([a, b, c])[-1].state


def test_one_booking_continues_a_stored_state() -> None:
    start = PositionState(size=D(2), entry_value_usd=D(200), realised_pnl_usd=D(5), fill_count=7, opened_ms=1)
    after = book(start, fill("x", Side.SELL, "90", "1", 9, "0.05"))
    assert after.realised_pnl_usd == D(-10)
    assert after.state.realised_pnl_usd == D(-5)
    assert after.state.fill_count == 8


def test_slippage_is_positive_when_it_costs() -> None:
    assert slippage_bps(side=Side.BUY, fill_price=D("100.1"), requested_price=D(100)) == D(10)
    assert slippage_bps(side=Side.SELL, fill_price=D("100.1"), requested_price=D(100)) == D(-10)
