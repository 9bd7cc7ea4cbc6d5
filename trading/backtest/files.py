"""Reads bars and funding from CSV files, plain or gzipped: start (ms or ISO time), open, high, low, close, volume."""

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from avigrid.kernel.errors import Rejected
from trading.avi5.window import Bars
from trading.backtest.data import FundingHistory

LONGEST_MS_DIGITS = 14


class UnreadableFile(Rejected):
    code = "unreadable_file"


def read_bars(path: Path) -> Bars:
    """Sorted by time, exact duplicates dropped; raises UnreadableFile with the row that cannot be read."""
    starts: list[int] = []
    values: list[tuple[float, float, float, float, float]] = []
    for number, row in _rows(path):
        try:
            starts.append(_millis(row[0]))
            values.append((float(row[1]), float(row[2]), float(row[3]), float(row[4]), float(row[5])))
        except (ValueError, IndexError):
            raise UnreadableFile(
                f"{path.name} row {number}: want start,open,high,low,close,volume, got {','.join(row)[:80]}"
            ) from None
    if not starts:
        raise UnreadableFile(f"{path.name} holds no bars: want rows start,open,high,low,close,volume")
    times = np.array(starts, dtype=np.int64)
    table = np.array(values, dtype=np.float64).reshape(len(values), 5)
    times, first = np.unique(times, return_index=True)
    table = table[first]
    return Bars(times, *(np.ascontiguousarray(table[:, column]) for column in range(5)))


def read_funding(path: Path) -> FundingHistory:
    pairs = []
    for number, row in _rows(path):
        try:
            pairs.append((_millis(row[0]), float(row[1])))
        except (ValueError, IndexError):
            raise UnreadableFile(f"{path.name} row {number}: want time_ms,funding_rate") from None
    return FundingHistory.of(pairs)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Data rows with their line number; a first row that does not start with a time is a header."""
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            for number, row in enumerate(csv.reader(file), start=1):
                if not row or (number == 1 and not row[0][:1].isdigit()):
                    continue
                yield number, row
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"{path.name} cannot be read: {error}") from error


def _millis(text: str) -> int:
    if text.isdigit():
        if len(text) > LONGEST_MS_DIGITS:
            raise ValueError(text)
        return int(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
