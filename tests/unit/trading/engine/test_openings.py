"""What was held before the history begins."""

from decimal import Decimal

import pytest

from avigrid.kernel.orders import Side
from trading.engine.ledger import FillFact, fold
from trading.engine.openings import Opening, opening_of

D = Decimal


def fill(side: str, quantity: str, price: str, at_ms: int) -> FillFact:
    return FillFact(
        reference=f"e{at_ms}", side=Side(side), price=D(price), quantity=D(quantity), fee_usd=D(0), time_ms=at_ms
    )


def test_a_history_that_explains_all_needs_none() -> None:
    fills = [fill("Buy", "3", "100", 1), fill("Sell", "1", "110", 2)]
    assert opening_of(fills, held_size=D(2), held_price=D(100)) is None
    assert opening_of([], held_size=D(0), held_price=None) is None


def test_a_position_reduced_since() -> None:
    """5 long at 90 before; 2 sold: 3 are left, at the same average."""
    found = opening_of([fill("Sell", "2", "100", 5)], held_size=D(3), held_price=D(90))
    assert found == Opening(D(5), D(90), is_held_still=True)


def test_a_position_added_to_and_reduced() -> None:
    """4 short at 100, 4 more at 110 (average 105), 2 bought back: 6 left at 105."""
    fills = [fill("Sell", "4", "110", 1), fill("Buy", "2", "108", 2)]
    assert opening_of(fills, held_size=D(-6), held_price=D(105)) == Opening(D(-4), D(100), is_held_still=True)


def test_a_flip_in_one_way_mode_leaves_nothing_of_it() -> None:
    """3 long before, 5 sold at 80: 2 short from the history itself."""
    found = opening_of([fill("Sell", "5", "80", 1)], held_size=D(-2), held_price=D(80))
    assert found == Opening(D(3), D(80), is_held_still=False)


def test_flat_today() -> None:
    assert opening_of([fill("Sell", "5", "80", 1)], held_size=D(0), held_price=None) == Opening(
        D(5), D(80), is_held_still=False
    )


def test_a_hedge_position_is_never_the_other_way_round() -> None:
    assert opening_of([fill("Buy", "5", "80", 1)], held_size=D(2), held_price=D(80), direction=1) is None


@pytest.mark.parametrize("opening", ["5", "-5"])
def test_folded_before_the_history_it_gives_todays_position(opening: str) -> None:
    fills = [fill("Sell", "2", "101", 1), fill("Buy", "1", "99", 2), fill("Sell", "1", "107", 3)]
    start = fill("Buy" if D(opening) > 0 else "Sell", "5", "93.7", 0)
    today = fold([start, *fills])[-1].state
    average = today.entry_value_usd / abs(today.size)
    found = opening_of(fills, held_size=today.size, held_price=average)
    assert found == Opening(D(opening), D("93.7"), is_held_still=True)
