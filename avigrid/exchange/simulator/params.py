"""Reads Bybit's parameter objects: numbers come as text or as numbers, absent means missing, None or ""."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from avigrid.exchange.simulator.refusals import Refusal, bad_parameter, missing

Params = Mapping[str, Any]
CATEGORIES = ("linear", "inverse", "spot", "option")
_TRUE = (True, 1, "1", "true", "True", "TRUE")
_FALSE = (False, 0, "0", "false", "False", "FALSE")


def text(params: Params, name: str, default: str = "") -> str:
    value = params.get(name)
    if value is None or value == "":
        return default
    if isinstance(value, (dict, list)):
        raise bad_parameter(f"{name} invalid")
    return str(value)


def required(params: Params, name: str) -> str:
    value = text(params, name)
    if not value:
        raise missing(name)
    return value


def number(params: Params, name: str) -> Decimal | None:
    value = params.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise bad_parameter(f"{name} invalid")
    written = str(value)
    if len(written) > 40:
        raise bad_parameter(f"{name} invalid")
    try:
        result = Decimal(written)
    except InvalidOperation as error:
        raise bad_parameter(f"{name} invalid") from error
    if not result.is_finite() or abs(result) > Decimal("1e15") or (result and abs(result) < Decimal("1e-15")):
        raise bad_parameter(f"{name} invalid")
    return result


def integer(params: Params, name: str) -> int | None:
    value = number(params, name)
    if value is None:
        return None
    if value != value.to_integral_value():
        raise bad_parameter(f"{name} invalid")
    return int(value)


def boolean(params: Params, name: str) -> bool:
    value = params.get(name)
    if value is None or value == "":
        return False
    if isinstance(value, (dict, list)):
        raise bad_parameter(f"{name} invalid")
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise bad_parameter(f"{name} invalid")


def choice(params: Params, name: str, allowed: tuple[str, ...], default: str = "") -> str:
    value = text(params, name, default)
    if value and value not in allowed:
        raise bad_parameter(f"{name} invalid")
    return value


def limit(params: Params, low: int, high: int, default: int) -> int:
    """Bybit clamps a limit that is too large and refuses one below the least."""
    value = integer(params, "limit")
    if value is None:
        return default
    if value < low:
        raise bad_parameter("limit invalid")
    return min(value, high)


def category(params: Params, default: str = "") -> str:
    value = text(params, "category", default)
    if not value:
        raise missing("category")
    if value not in CATEGORIES:
        raise Refusal(10001, "Illegal category")
    return value
