"""Every row that makes the difference between ledger and log is named, and the names add up to it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avigrid.kernel.portfolio import LedgerRow
from trading.engine.bridge import BookedMoney, Bridge, Cause, Part, bridge

D = Decimal


def row(number: int, kind: str = "TRADE", *, cash: str = "0", fee: str = "0", funding: str = "0") -> LedgerRow:
    change = D(cash) + D(funding) - D(fee)
    trade_id = "" if kind.startswith("TRANSFER") else f"x{number}"
    return LedgerRow(
        f"r{number}",
        "BTCUSDT",
        kind,
        number,
        D(1),
        D(100),
        D(fee),
        D(funding),
        D(cash),
        change,
        D(0),
        "v1",
        "",
        trade_id,
    )


def entry(part: Part, reference: str, change: str, *, foreign: bool = False) -> BookedMoney:
    return BookedMoney(part, reference, "BTCUSDT", D(change), 1, foreign)


def named(found: Bridge) -> set[tuple[Part, Cause, str, Decimal]]:
    return {(line.part, line.cause, line.reference, line.gap_usd) for line in found.lines}


ROWS = [row(1, cash="5", fee="0.5"), row(2, "SETTLEMENT", funding="-0.2"), row(3, "TRANSFER_IN", cash="100")]
BOOKS = [
    entry(Part.TRADES, "x1/v1", "5"),
    entry(Part.FEES, "x1/v1", "-0.5", foreign=True),
    entry(Part.FUNDING, "x2/another id", "-0.2"),
    entry(Part.TRANSFERS, "r3", "100"),
]


def test_equal_sides_have_no_lines() -> None:
    found = bridge(ROWS, BOOKS)
    assert (found.is_even, found.lines, found.gap_usd, found.foreign_usd) == (True, (), 0, D("-0.5"))
    assert found.venue == {Part.TRADES: D(5), Part.FEES: D("-0.5"), Part.FUNDING: D("-0.2"), Part.TRANSFERS: D(100)}


@pytest.mark.parametrize(
    ("left_out", "line"),
    [
        (0, (Part.TRADES, Cause.MISSED, "x1/v1", D(5))),
        (1, (Part.FEES, Cause.MISSED, "x1/v1", D("-0.5"))),
        (2, (Part.FUNDING, Cause.MISSED, "x2", D("-0.2"))),
        (3, (Part.TRANSFERS, Cause.MISSED, "r3", D(100))),
    ],
)
def test_what_the_books_lack_is_named(left_out: int, line: tuple[Part, Cause, str, Decimal]) -> None:
    found = bridge(ROWS, [item for number, item in enumerate(BOOKS) if number != left_out])
    assert named(found) == {line}
    assert not found.is_even


def test_one_amount_under_two_ids_is_no_difference() -> None:
    again = [row(4, "SETTLEMENT", funding="-0.3"), row(5, "SETTLEMENT", funding="-0.3")]
    found = bridge([*ROWS, *again], [*BOOKS, entry(Part.FUNDING, "some other id", "-0.3")])
    assert named(found) in (
        {(Part.FUNDING, Cause.MISSED, "x4", D("-0.3"))},
        {(Part.FUNDING, Cause.MISSED, "x5", D("-0.3"))},
    )


def test_two_errors_that_cancel_out_both_show() -> None:
    found = bridge(ROWS, [entry(Part.TRADES, "x1/v1", "6"), entry(Part.FEES, "x1/v1", "-1.5"), *BOOKS[2:]])
    assert found.gap_usd == 0
    assert not found.is_even
    assert named(found) == {
        (Part.TRADES, Cause.AMOUNT, "x1/v1", D(-1)),
        (Part.FEES, Cause.AMOUNT, "x1/v1", D(1)),
    }


amounts = st.integers(-500, 500).map(lambda cents: Decimal(cents) / 100)


@given(st.dictionaries(st.integers(0, 8), amounts), st.dictionaries(st.integers(0, 8), amounts))
def test_the_names_add_up_to_the_difference(theirs: dict[int, Decimal], ours: dict[int, Decimal]) -> None:
    rows = [row(number, cash=str(amount)) for number, amount in theirs.items()]
    found = bridge(rows, [entry(Part.TRADES, f"x{number}/v1", str(amount)) for number, amount in ours.items()])
    assert found.gap_usd == sum(theirs.values()) - sum(ours.values())
    assert found.unexplained_usd == 0
