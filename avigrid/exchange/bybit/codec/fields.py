"""How Bybit writes single values: numbers as text, nothing as "" (or null), and what a broken message is called."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from math import isfinite, nan

import msgspec

from avigrid.kernel.errors import Retryable
from avigrid.kernel.money import ZERO
from avigrid.kernel.orders import Side

Number = str | int | float | None
"""A numeric field as it may arrive. "" and null both mean "none"."""


class MalformedMessage(Retryable):
    """A message lacks a required field or holds the wrong kind of value. Reading again is harmless."""

    code = "malformed_message"


def rows[Row](items: object, row_type: type[Row]) -> list[Row]:
    """A REST list as typed rows."""
    return read(items, list[row_type])  # type: ignore[valid-type]


def read[Row](value: object, row_type: type[Row]) -> Row:
    """Parsed JSON (dicts, lists) as a typed struct; unknown fields are ignored."""
    try:
        return msgspec.convert(value, row_type)
    except msgspec.ValidationError as error:
        raise MalformedMessage(f"{row_type}: {error}", reason=str(error)) from error


def result_of(reply: Mapping[str, object]) -> dict[str, object]:
    result = reply.get("result")
    if not isinstance(result, dict):
        raise MalformedMessage("a reply without a result object", reason="no result")
    return result


def decimal_or_none(value: Number) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise MalformedMessage(f"not a number: {value!r}", reason="number") from error
    if not number.is_finite():
        raise MalformedMessage(f"not a finite number: {value!r}", reason="number")
    return number


def decimal(value: Number) -> Decimal:
    """A number that must be there."""
    number = decimal_or_none(value)
    if number is None:
        raise MalformedMessage("an empty number where one is required", reason="number")
    return number


def decimal_or_zero(value: Number) -> Decimal:
    number = decimal_or_none(value)
    return ZERO if number is None else number


def positive_or_none(value: Number) -> Decimal | None:
    """Prices that Bybit writes as "" or "0" when there is none (stops, triggers, averages, liquidation)."""
    number = decimal_or_none(value)
    return number if number else None


def real(value: Number) -> float:
    """float64 for market data; NaN where the venue gives nothing."""
    if value is None or value == "":
        return nan
    try:
        number = float(value)
    except ValueError as error:
        raise MalformedMessage(f"not a number: {value!r}", reason="number") from error
    if not isfinite(number):
        raise MalformedMessage(f"not a finite number: {value!r}", reason="number")
    return number


def whole(value: Number) -> int:
    """Times and ids; 0 where the venue gives nothing."""
    if value is None or value == "":
        return 0
    try:
        return int(value)
    except ValueError as error:
        raise MalformedMessage(f"not a whole number: {value!r}", reason="number") from error


def side(value: str) -> Side:
    try:
        return Side(value)
    except ValueError as error:
        raise MalformedMessage(f"not a side: {value!r}", reason="side") from error
