"""Many bars of one symbol and interval as columns: how files, REST pages and the bulk writer hand bars around."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avigrid.kernel.market import Kline

Floats = npt.NDArray[np.float64]
Millis = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class KlineTable:
    """Columns of equal length, oldest first, starts unique; turnover is NaN where the source has none."""

    symbol: str
    interval_min: int
    start_ms: Millis
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    turnover: Floats
    was_descending: bool = False
    duplicates: int = 0

    def __len__(self) -> int:
        return len(self.start_ms)

    @property
    def interval_ms(self) -> int:
        return self.interval_min * 60_000

    def take(self, mask_or_slice: npt.NDArray[np.bool_] | npt.NDArray[np.int64] | slice) -> "KlineTable":
        return KlineTable(
            self.symbol,
            self.interval_min,
            self.start_ms[mask_or_slice],
            self.open[mask_or_slice],
            self.high[mask_or_slice],
            self.low[mask_or_slice],
            self.close[mask_or_slice],
            self.volume[mask_or_slice],
            self.turnover[mask_or_slice],
        )

    def between(self, start_ms: int | None, end_ms: int | None) -> "KlineTable":
        """Bars with start in [start_ms, end_ms)."""
        left = 0 if start_ms is None else int(np.searchsorted(self.start_ms, start_ms))
        right = len(self) if end_ms is None else int(np.searchsorted(self.start_ms, end_ms))
        return self.take(slice(left, right))

    def klines(self) -> Iterator[Kline]:
        columns = (self.start_ms, self.open, self.high, self.low, self.close, self.volume, self.turnover)
        for start_ms, open_, high, low, close, volume, turnover in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            yield Kline(
                self.symbol, self.interval_min, start_ms, open_, high, low, close, volume, turnover, confirmed=True
            )


def table_from_klines(bars: Sequence[Kline]) -> KlineTable:
    """One symbol and interval, any order; `bars` must not be empty."""
    first = bars[0]
    if any(bar.symbol != first.symbol or bar.interval_min != first.interval_min for bar in bars):
        raise ValueError("bars of more than one symbol or interval")
    return ordered_table(
        first.symbol,
        first.interval_min,
        np.array([bar.start_ms for bar in bars], dtype=np.int64),
        *(
            np.array([getattr(bar, name) for bar in bars], dtype=np.float64)
            for name in ("open", "high", "low", "close", "volume", "turnover")
        ),
    )


def ordered_table(symbol: str, interval_min: int, start_ms: Millis, *columns: Floats) -> KlineTable:
    """Sorts by start; of rows with one start the last is kept. `columns`: open high low close volume turnover."""
    descending = len(start_ms) > 1 and bool(start_ms[0] > start_ms[-1])
    order = np.argsort(start_ms, kind="stable")
    start_ms = start_ms[order]
    keep = np.ones(len(start_ms), dtype=np.bool_)
    keep[:-1] = start_ms[1:] != start_ms[:-1]
    order = order[keep]
    return columns_table(
        symbol,
        interval_min,
        start_ms[keep],
        [column[order] for column in columns],
        was_descending=descending,
        duplicates=int(len(keep) - keep.sum()),
    )


def columns_table(
    symbol: str,
    interval_min: int,
    start_ms: Millis,
    columns: Iterable[Floats],
    *,
    was_descending: bool = False,
    duplicates: int = 0,
) -> KlineTable:
    """`columns`: open, high, low, close, volume, turnover; ordered and of the length of `start_ms` already."""
    open_, high, low, close, volume, turnover = columns
    return KlineTable(
        symbol, interval_min, start_ms, open_, high, low, close, volume, turnover, was_descending, duplicates
    )
