"""How numbers look on pages."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.utils import translation

from avigrid.common.templatetags import desk

NARROW = "\u202f"


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Whatever language a request before this left behind."""
    with translation.override("en"):
        yield


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0124, "12 ms"), (1.44, "1.4 s"), (59.6, "60 s"), (150, "2 min"), (7_300, "2 h"), (200_000, "2 d"), (None, "–")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert desk.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0904321, "0.090432"),
        (-0.144, "−0.144"),
        (106387.94, f"106{NARROW}387.9"),
        (50_000, f"50{NARROW}000"),
        (1_119_276.3, f"1{NARROW}119{NARROW}276"),
        (float("nan"), "–"),
    ],
)
def test_measures_are_never_in_exponents(value: float, text: str) -> None:
    assert desk.measure(value) == text


def test_signs_and_colours() -> None:
    assert desk.change(Decimal("-0.0123")) == '<span class="money loss">−1.23 %</span>'
    assert desk.change(0) == '<span class="money ">0.00 %</span>'
    assert desk.signed(Decimal("-50.93"), 1) == "−50.9"
    assert desk.signed(0.25, 2) == "+0.25"
    assert desk.signed(None) == "–"
    assert desk.fixed(105439, 1) == "105439.0"
    assert desk.price_round(Decimal("105851.53333333")) == "105851.53"
    assert desk.words("take_profit") == "take profit"
    assert desk.words("") == "–"
    assert desk.size(0.1) == "0.1"
    assert desk.plain_float(1e-7) == "0.0000001"
    assert desk.magnitude(-0.21) == "0.21"
    assert desk.json_lines({"stop_price": "97.5"}) == 'stop_price: "97.5"'
    assert desk.json_lines(None) == ""


def test_no_line_ends_between_a_number_and_its_percent_sign() -> None:
    assert desk.percent(Decimal("0.5")) == "50\u00a0%"
    assert desk.percent_fine(Decimal("-0.02174")) == "-2.17\u00a0%"
    assert desk.said_filter("close 1001 to 1100 (+9.89 %)") == "close 1001 to 1100 (+9.89\u00a0%)"
    with translation.override("ru"):
        assert "2.17\u00a0%" in desk.said_filter("close 1 to 2 (2.17 %)")
