"""Settlements before the start, where none were recorded: a quiet past, so that a client finds a history."""

import random
from decimal import Decimal

_BASE = Decimal("0.0001")
_UNIT = Decimal("0.00000001")


def quiet_past(start_ms: int, interval_min: int, *, count: int = 90, seed: int = 0) -> list[tuple[int, Decimal]]:
    """(time_ms, rate), oldest first: mostly the interest rate, sometimes less."""
    rng = random.Random(seed)
    length_ms = interval_min * 60_000
    last_ms = (start_ms - 1) // length_ms * length_ms
    rows = []
    for back in range(count - 1, -1, -1):
        rate = _BASE if rng.random() < 0.7 else (_BASE * Decimal(str(rng.uniform(-0.6, 1.4)))).quantize(_UNIT)
        rows.append((last_ms - back * length_ms, rate))
    return rows
