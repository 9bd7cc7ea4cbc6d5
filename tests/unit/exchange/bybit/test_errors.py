"""The table of refusals: code by code, for calls that change something and for reads."""

import pytest

from avigrid.exchange.bybit.errors import RULES, error_for_code, error_for_silence, error_for_status
from avigrid.kernel.errors import (
    AviGridError,
    DuplicateOrder,
    NotModified,
    OperatorNeeded,
    OrderNotFound,
    OutcomeUnknown,
    Rejected,
    Retryable,
)


def kind(venue_code: int, *, writes: bool = True) -> type[AviGridError]:
    return type(error_for_code(venue_code, "text", writes=writes, call="create"))


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ((-1, 10002, 10006, 10018, 110005, 110063, 110066, 110074, 110079, 110095, 110118), Retryable),
        ((429, 10000, 10014, 10016, 10019, 10429, 20006, 40004, 110064, 170007, 500000), OutcomeUnknown),
        ((10001, 10017, 10029, 110003, 110007, 110012, 110017, 110020, 110094, 110120, 181017, 3400139), Rejected),
        ((34040, 110025, 110026, 110027, 110043), NotModified),
        ((110001, 110008, 110010), OrderNotFound),
        ((110072,), DuplicateOrder),
        (
            (10003, 10004, 10005, 10007, 10008, 10010, 10024, 10028, 33004, -2015, 110011, 110023, 110123),
            OperatorNeeded,
        ),
    ],
)
def test_class_of_each_code_for_a_write(codes: tuple[int, ...], expected: type[AviGridError]) -> None:
    assert {code: kind(code) for code in codes} == dict.fromkeys(codes, expected)


@pytest.mark.parametrize("code", [429, 10000, 10016, 10014])
def test_an_unknown_outcome_of_a_read_is_simply_tried_again(code: int) -> None:
    assert kind(code, writes=False) is Retryable


def test_details_carry_the_venues_code_and_the_wait() -> None:
    error = error_for_code(10006, "Too many visits", writes=True, call="create")
    assert (error.code, error.details["venue_code"], error.details["retry_after_s"]) == ("rate_limited", 10006, 1.5)
    assert error.details["call"] == "create"


def test_an_order_cannot_be_assumed_unsent_on_a_code_nobody_knows() -> None:
    assert kind(777_777) is OutcomeUnknown
    assert kind(777_777, writes=False) is Rejected
    assert kind(110_999) is Rejected  # the trading engine's own range: it looked and refused


def test_a_symbol_that_closes_stops_the_symbol() -> None:
    error = error_for_code(110023, "only reduce", writes=True, call="create")
    assert isinstance(error, OperatorNeeded)
    assert error.details["scope"] == "symbol"


@pytest.mark.parametrize(
    ("status", "write", "read"),
    [
        (400, Rejected, Rejected),
        (401, OperatorNeeded, OperatorNeeded),
        (403, OperatorNeeded, OperatorNeeded),
        (404, Rejected, Rejected),
        (429, OutcomeUnknown, Retryable),
        (500, OutcomeUnknown, Retryable),
        (502, OutcomeUnknown, Retryable),
        (504, OutcomeUnknown, Retryable),
    ],
)
def test_statuses(status: int, write: type[AviGridError], read: type[AviGridError]) -> None:
    assert type(error_for_status(status, writes=True, call="create")) is write
    assert type(error_for_status(status, writes=False, call="kline")) is read


@pytest.mark.parametrize(
    ("sent", "writes", "expected"),
    [(True, True, OutcomeUnknown), (True, False, Retryable), (False, True, Retryable), (False, False, Retryable)],
)
def test_silence(sent: bool, writes: bool, expected: type[AviGridError]) -> None:
    assert type(error_for_silence("ReadTimeout", sent=sent, writes=writes, call="create")) is expected


def test_codes_are_stable_snake_case() -> None:
    assert all(rule.code.replace("_", "").isalpha() and rule.code.islower() for rule in RULES.values())
