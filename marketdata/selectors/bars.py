"""Stored bars, oldest first."""

from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection

from avigrid.exchange.kline_table import KlineTable, columns_table
from avigrid.kernel.market import Kline
from marketdata.selectors.binary_copy import copy_out, from_pg_time, packed_out
from marketdata.selectors.times import to_datetime, to_ms

VALUES = ("open", "high", "low", "close", "volume", "turnover")
FIELDS = {"start": ">i8", **dict.fromkeys(VALUES, ">f8")}

_NEWEST = """
    SELECT start, open, high, low, close, volume, turnover FROM marketdata_kline
    WHERE symbol = %s AND interval_min = %s AND start < %s ORDER BY start DESC LIMIT %s
"""
_RANGE = """
    SELECT start, open, high, low, close, volume, turnover FROM marketdata_kline
    WHERE symbol = %s AND interval_min = %s AND start >= %s AND start < %s ORDER BY start
"""


def bars(symbol: str, interval_min: int, end_ms: int, count: int) -> tuple[Kline, ...]:
    """The newest `count` bars that had closed at or before `end_ms`; fewer where there are no more."""
    return tuple(newest_table(symbol, interval_min, end_ms, count).klines())


def newest_table(symbol: str, interval_min: int, end_ms: int, count: int) -> KlineTable:
    """`bars` as columns; gaps are not filled, so check `start_ms` where continuity matters."""
    before = to_datetime(end_ms - interval_min * 60_000 + 1)
    records = packed_out(_NEWEST, [symbol, interval_min, before, count], FIELDS)
    return _table(symbol, interval_min, records[::-1])


def range_table(symbol: str, interval_min: int, start_ms: int, end_ms: int) -> KlineTable:
    """Bars with start in [start_ms, end_ms)."""
    params = [symbol, interval_min, to_datetime(start_ms), to_datetime(end_ms)]
    return _table(symbol, interval_min, copy_out(_RANGE, params, FIELDS))


def bar(symbol: str, interval_min: int, start_ms: int) -> Kline | None:
    return next(iter(range_table(symbol, interval_min, start_ms, start_ms + 1).klines()), None)


def newest_start_ms(symbol: str, interval_min: int) -> int | None:
    return _edge("max", symbol, interval_min)


def oldest_start_ms(symbol: str, interval_min: int) -> int | None:
    return _edge("min", symbol, interval_min)


def _edge(which: str, symbol: str, interval_min: int) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {which}(start) FROM marketdata_kline WHERE symbol = %s AND interval_min = %s",  # noqa: S608
            [symbol, interval_min],
        )
        moment = cursor.fetchone()[0]
    return None if moment is None else to_ms(moment)


def _table(symbol: str, interval_min: int, records: npt.NDArray[Any]) -> KlineTable:
    return columns_table(
        symbol,
        interval_min,
        from_pg_time(records["start"]),
        (records[name].astype(np.float64) for name in VALUES),
    )


def bar_count() -> int:
    """How many bars of all symbols and intervals are stored."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM marketdata_kline")
        count: int = cursor.fetchone()[0]
    return count
