"""JSON from outside, read as RFC 7493 (I-JSON) asks of whoever wants to be understood: nothing a database, a float64 or
an answer in UTF-8 could not hold. Refused here once, so that no field behind has to think of it."""

import json
import math
from typing import NoReturn

from avigrid.common.fit_text import UNFIT_SENTENCE, is_fit
from avigrid.kernel.errors import Rejected

DEEPEST = 32
"""More than any of our shapes needs, and far from where Python gives up."""


class UnfitJson(Rejected):
    """`details["field"]`: the way to the value, or empty where the text as a whole is no JSON."""

    code = "unfit_json"


def read_json(raw: bytes) -> object:
    """Raises UnfitJson: no UTF-8, no JSON, NaN or a number beyond float64, half a surrogate pair, NUL, too deep."""
    try:
        found = json.loads(raw.decode(), parse_constant=_no_constant)
    except RecursionError:
        raise _too_deep("") from None
    except ValueError as error:
        raise UnfitJson(f"This is not JSON: {error}", field="") from None
    _check(found, "", 0)
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _check(value: object, field: str, depth: int) -> None:
    if depth > DEEPEST:
        raise _too_deep(field)
    if isinstance(value, str):
        if not is_fit(value):
            raise UnfitJson(UNFIT_SENTENCE, field=field)
    elif isinstance(value, int | float):
        if not _is_float64(value):
            raise UnfitJson("A number must be finite and at most 1.8e308.", field=field)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check(key, field, depth)
            _check(inner, f"{field}.{key}" if field else key, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, field, depth + 1)


def _is_float64(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _too_deep(field: str) -> UnfitJson:
    return UnfitJson(f"At most {DEEPEST} levels of nesting are understood.", field=field)
