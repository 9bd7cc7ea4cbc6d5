"""The position ledger against sums that need no ledger."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from avigrid.kernel.orders import Side
from trading.engine.ledger import FillFact, PositionState, book, fold, order_of

prices = st.decimals("0.0001", "100000", places=4)
quantities = st.decimals("0.001", "1000", places=3)


@st.composite
def fills(draw: st.DrawFn) -> list[FillFact]:
    rows = draw(st.lists(st.tuples(st.sampled_from(list(Side)), prices, quantities, st.integers(0, 50)), max_size=25))
    return [
        FillFact(f"x{number:03}", side, price, quantity, price * quantity * Decimal("0.00055"), time_ms)
        for number, (side, price, quantity, time_ms) in enumerate(rows)
    ]


@settings(max_examples=150, deadline=None)
@given(rows=fills())
def test_money_is_conserved(rows: list[FillFact]) -> None:
    """Cash out and in equals realised PnL plus the entry value still held, whatever the path."""
    booked = fold(rows)
    state = booked[-1].state if booked else PositionState()
    cash = sum((-row.price * row.quantity * row.side.sign for row in rows), Decimal(0))
    held = state.entry_value_usd * (1 if state.size > 0 else -1)
    assert abs(cash - (state.realised_pnl_usd - held)) < Decimal("1e-15")
    assert state.size == sum((row.quantity * row.side.sign for row in rows), Decimal(0))
    assert state.fees_usd == sum((row.fee_usd for row in rows), Decimal(0))
    assert state.entry_value_usd >= 0
    assert (state.size == 0) == (state.entry_value_usd == 0)


@settings(max_examples=150, deadline=None)
@given(rows=fills(), data=st.data())
def test_shuffles_and_repeats_fold_to_the_same_state(rows: list[FillFact], data: st.DataObject) -> None:
    mixed = data.draw(st.permutations(rows + rows[::2]))
    assert fold(mixed) == fold(rows)


@settings(max_examples=100, deadline=None)
@given(rows=fills())
def test_one_by_one_equals_all_at_once(rows: list[FillFact]) -> None:
    state = PositionState()
    for row in sorted(rows, key=order_of):
        state = book(state, row).state
    assert state == (fold(rows)[-1].state if rows else PositionState())
