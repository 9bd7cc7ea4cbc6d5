from dataclasses import replace
from decimal import Decimal

import pytest

from risk.core.request import OrderLine, RequestKind
from tests.support.risk import opening, outcome_of


def _line(price: str | None, quantity: str = "0.01") -> tuple[OrderLine, ...]:
    return (OrderLine(Decimal(quantity), None if price is None else Decimal(price)),)


@pytest.mark.parametrize(
    ("price", "passes"),
    [("63000", True), ("63000.1", False), ("57000", True), ("56999.9", False), ("60000", True), (None, True)],
)
def test_entries_lie_within_five_percent_of_mark(price: str | None, passes: bool) -> None:
    assert outcome_of("price_band", opening(lines=_line(price))).passed is passes


@pytest.mark.parametrize(
    ("direction", "price", "passes"),
    [(1, "57000", True), (1, "56999.9", False), (1, "90000", True), (-1, "63000", True), (-1, "63000.1", False)],
)
def test_exits_may_lie_far_in_profit_but_not_give_it_away(direction: int, price: str, passes: bool) -> None:
    request = opening(kind=RequestKind.EXIT, direction=direction, lines=_line(price))
    assert outcome_of("price_band", request).passed is passes


@pytest.mark.parametrize(
    ("quantity", "price", "passes"),
    [
        ("0.01", "60000.1", True),
        ("0.0105", "60000", False),
        ("0.01", "60000.05", False),
        ("0", "60000", False),
        ("-0.01", "60000", False),
        ("0.01", "0", False),
        ("0.01", None, True),
    ],
)
def test_sizes_and_prices_lie_on_their_steps(quantity: str, price: str | None, passes: bool) -> None:
    assert outcome_of("on_step", opening(lines=_line(price, quantity))).passed is passes


@pytest.mark.parametrize(("quantity", "passes"), [("0.029", True), ("0.030", True), ("0.031", False)])
def test_exits_together_never_exceed_the_position(quantity: str, passes: bool) -> None:
    request = opening(
        kind=RequestKind.EXIT,
        lines=_line("61000", quantity),
        position_qty=Decimal("0.05"),
        resting_exit_qty=Decimal("0.02"),
    )
    assert outcome_of("reduce_only", request).passed is passes


@pytest.mark.parametrize(("quantity", "passes"), [("0.05", True), ("0.051", False)])
def test_a_close_replaces_the_resting_exits(quantity: str, passes: bool) -> None:
    request = opening(
        kind=RequestKind.CLOSE,
        lines=_line(None, quantity),
        position_qty=Decimal("0.05"),
        resting_exit_qty=Decimal("0.05"),
    )
    assert outcome_of("reduce_only", request).passed is passes


@pytest.mark.parametrize(
    ("direction", "old", "new", "passes"),
    [
        (1, "59000", "59000", True),
        (1, "59000", "59000.1", True),
        (1, "59000", "58999.9", False),
        (-1, "61000", "60999.9", True),
        (-1, "61000", "61000.1", False),
        (1, None, "50000", True),
        (1, "59000", None, False),
    ],
)
def test_a_stop_only_moves_in_favour(direction: int, old: str | None, new: str | None, passes: bool) -> None:
    request = opening(
        kind=RequestKind.PROTECT,
        direction=direction,
        lines=(),
        stop_price=None if new is None else Decimal(new),
        current_stop_price=None if old is None else Decimal(old),
    )
    assert outcome_of("stop_move", request).passed is passes


@pytest.mark.parametrize(
    "changes",
    [
        {"direction": 0},
        {"mark_price": Decimal(0)},
        {"leverage": Decimal(0)},
        {"lines": ()},
        {"stop_price": None},
    ],
)
def test_a_request_that_makes_no_sense_cannot_be_made(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be|needs"):
        replace(opening(), **changes)
