"""What is there and what is missing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import connection

from marketdata.models import DataGap
from marketdata.selectors.binary_copy import copy_out, from_pg_time
from marketdata.selectors.times import to_datetime, to_ms

Range = tuple[int, int]
"""[start_ms, end_ms): the open time of the first missing bar, and of the first bar after the hole."""


@dataclass(frozen=True, slots=True)
class Coverage:
    symbol: str
    interval_min: int
    bars: int
    first_ms: int
    last_ms: int
    """Open time of the newest bar."""
    holes: tuple[Range, ...]

    @property
    def expected(self) -> int:
        return (self.last_ms - self.first_ms) // (self.interval_min * 60_000) + 1

    @property
    def missing(self) -> int:
        return self.expected - self.bars

    @property
    def ratio(self) -> float:
        return self.bars / self.expected


def coverage(symbol: str, interval_min: int) -> Coverage | None:
    """From the oldest to the newest stored bar; None where there is none."""
    starts = stored_starts(symbol, interval_min)
    if not len(starts):
        return None
    return Coverage(
        symbol,
        interval_min,
        len(starts),
        int(starts[0]),
        int(starts[-1]),
        tuple(holes_between(starts, interval_min * 60_000)),
    )


def series() -> list[tuple[str, int]]:
    """Every (symbol, interval) with bars, found by skipping along the index instead of reading the table."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE walk AS (
                (SELECT symbol, interval_min FROM marketdata_kline ORDER BY symbol, interval_min LIMIT 1)
                UNION ALL
                SELECT n.symbol, n.interval_min FROM walk, LATERAL (
                    SELECT k.symbol, k.interval_min FROM marketdata_kline k
                    WHERE (k.symbol, k.interval_min) > (walk.symbol, walk.interval_min)
                    ORDER BY k.symbol, k.interval_min LIMIT 1
                ) n
            )
            SELECT symbol, interval_min FROM walk
            """
        )
        return [(row[0], row[1]) for row in cursor.fetchall()]


def missing_ranges(symbol: str, interval_min: int, start_ms: int, end_ms: int) -> list[Range]:
    """Holes among the bars with start in [start_ms, end_ms), both edges included; bounds are rounded inwards."""
    step_ms = interval_min * 60_000
    start_ms = -(-start_ms // step_ms) * step_ms
    end_ms = -(-end_ms // step_ms) * step_ms
    if end_ms <= start_ms:
        return []
    starts = stored_starts(symbol, interval_min, start_ms, end_ms)
    fenced = np.concatenate(([start_ms - step_ms], starts, [end_ms]))
    return holes_between(fenced, step_ms)


def stored_starts(
    symbol: str, interval_min: int, start_ms: int | None = None, end_ms: int | None = None
) -> npt.NDArray[np.int64]:
    query = "SELECT start FROM marketdata_kline WHERE symbol = %s AND interval_min = %s"
    params: list[object] = [symbol, interval_min]
    if start_ms is not None:
        query += " AND start >= %s"
        params.append(to_datetime(start_ms))
    if end_ms is not None:
        query += " AND start < %s"
        params.append(to_datetime(end_ms))
    records = copy_out(query + " ORDER BY start", params, {"start": ">i8"})
    return from_pg_time(records["start"])


def holes_between(starts: npt.NDArray[np.int64], step_ms: int) -> list[Range]:
    """`starts`: int64[n] open times, rising."""
    at = np.flatnonzero(np.diff(starts) > step_ms)
    return [(int(starts[index]) + step_ms, int(starts[index + 1])) for index in at.tolist()]


def open_gaps(symbol: str | None = None) -> list[tuple[str, int, int, int, str]]:
    """Recorded holes that nobody could fill yet: symbol, interval_min, start_ms, end_ms, reason."""
    query = DataGap.objects.filter(filled_at__isnull=True).order_by("symbol", "interval_min", "start")
    if symbol is not None:
        query = query.filter(symbol=symbol)
    return [
        (name, interval_min, to_ms(start), to_ms(end), reason)
        for name, interval_min, start, end, reason in query.values_list(
            "symbol", "interval_min", "start", "end", "reason"
        )
    ]
