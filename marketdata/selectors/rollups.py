"""Rolled-up bars, and whether they agree with the venue's own."""

from dataclasses import dataclass
from typing import Any

from django.db import connection

from marketdata.selectors.times import to_datetime, to_ms

RELATIONS = {15: "marketdata_kline_15m", 60: "marketdata_kline_1h"}
_TOLERANCE = 1e-9
"""Relative, for sums of volume: the venue adds decimals, we add floats."""

_COMPARE = """
    SELECT r.start, r.bars, k.open - r.open, k.high - r.high, k.low - r.low, k.close - r.close,
           (k.volume - r.volume) / greatest(abs(k.volume), 1e-12)
    FROM {relation} r JOIN marketdata_kline k
        ON k.symbol = r.symbol AND k.start = r.start AND k.interval_min = %s
    WHERE r.symbol = %s AND r.start >= %s AND r.start < %s AND r.bars = %s
    ORDER BY r.start
"""


@dataclass(frozen=True, slots=True)
class RollupDifference:
    start_ms: int
    field: str
    difference: float
    """Venue's own minus ours; for volume as a ratio."""


def rollup_differences(
    symbol: str, interval_min: int, start_ms: int, end_ms: int
) -> tuple[int, list[RollupDifference]]:
    """How many whole buckets were compared with the venue's own bars of that interval, and where they differ."""
    params: list[Any] = [interval_min, symbol, to_datetime(start_ms), to_datetime(end_ms), interval_min // 5]
    with connection.cursor() as cursor:
        cursor.execute(_COMPARE.format(relation=RELATIONS[interval_min]), params)
        rows = cursor.fetchall()
    differences = [
        RollupDifference(to_ms(start), name, float(value))
        for start, _, *values in rows
        for name, value in zip(("open", "high", "low", "close", "volume"), values, strict=True)
        if abs(value) > _TOLERANCE
    ]
    return len(rows), differences
