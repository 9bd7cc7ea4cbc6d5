"""The newest 5m bars and 15m closes of a symbol in one question: what a decision at a bar's close is taken on.

Of a stretch without holes the database only tells its two ends, and each column as one array in the wire's own form;
where bars are missing the rows are asked for one by one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psycopg
from django.db import connection

from marketdata.selectors.bars import newest_table
from marketdata.selectors.binary_copy import float_array, pg_integer
from marketdata.selectors.times import PG_EPOCH_MS, to_datetime

type Floats = npt.NDArray[np.float64]
type Millis = npt.NDArray[np.int64]

_VALUES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, eq=False)
class RecentBars:
    """Oldest first. `values` by name: of a 5m bar open, high, low, close, volume; of a 15m bar its close only."""

    start_ms: Millis
    values: dict[str, Floats]


def recent_bars(symbol: str, close_ms: int, count_5m: int, count_15m: int) -> tuple[RecentBars, RecentBars]:
    """Bars that had closed at `close_ms`, at most so many of each; holes stay holes in `start_ms`."""
    before = [to_datetime(close_ms - interval_min * 60_000 + 1) for interval_min in (5, 15)]
    query = _QUERY.format(count_5m=int(count_5m), count_15m=int(count_15m))
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        # prepared: planning it takes as long as answering it
        cursor.execute(query, [symbol, before[0], symbol, before[1]], prepare=True, binary=True)
        assert cursor.pgresult is not None
        cells = [cursor.pgresult.get_value(0, at) for at in range(cursor.pgresult.nfields)]
    fine = _stretch(cells[: 3 + len(_VALUES)], _VALUES, 5)
    trend = _stretch(cells[3 + len(_VALUES) :], ("close",), 15)
    return (
        fine or _one_by_one(symbol, 5, close_ms, count_5m, _VALUES),
        trend or _one_by_one(symbol, 15, close_ms, count_15m, ("close",)),
    )


def _stretch(cells: list[bytes | None], names: tuple[str, ...], interval_min: int) -> RecentBars | None:
    """None where a bar is missing between the first and the last one."""
    first, last, count, *columns = cells
    if first is None or last is None or count is None:
        return RecentBars(np.empty(0, np.int64), {name: np.empty(0) for name in names})
    first_ms, last_ms = (pg_integer(cell) // 1000 + PG_EPOCH_MS for cell in (first, last))
    step_ms = interval_min * 60_000
    if last_ms - first_ms != (pg_integer(count) - 1) * step_ms:
        return None
    start_ms = np.arange(first_ms, last_ms + 1, step_ms, dtype=np.int64)
    return RecentBars(start_ms, {name: float_array(cell)[::-1] for name, cell in zip(names, columns, strict=True)})


def _one_by_one(symbol: str, interval_min: int, close_ms: int, count: int, names: tuple[str, ...]) -> RecentBars:
    table = newest_table(symbol, interval_min, close_ms, count)
    return RecentBars(table.start_ms, {name: getattr(table, name) for name in names})


def _newest(names: tuple[str, ...], interval_min: int, limit: str) -> str:
    arrays = ", ".join(f"array_agg({name})" for name in names)
    return (
        f"(SELECT min(start), max(start), count(*), {arrays} FROM "  # noqa: S608
        f"(SELECT start, {', '.join(names)} FROM marketdata_kline WHERE symbol = %s AND interval_min = "
        f"{interval_min}::int2 AND start < %s ORDER BY start DESC LIMIT {limit}) newest_{interval_min})"
    )


_QUERY = f"SELECT * FROM {_newest(_VALUES, 5, '{count_5m}')} fine, {_newest(('close',), 15, '{count_15m}')} trend"  # noqa: S608
