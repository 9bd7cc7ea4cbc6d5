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
from trading.backtest.times import utc

LONGEST_MS_DIGITS = 14


class UnreadableFile(Rejected):
    code = "unreadable_file"


def read_bars(path: Path) -> Bars:
    """Sorted by time, exact duplicates dropped; raises UnreadableFile with the row that cannot be read or that tells
    another bar of a time that a row before it told."""
    told: dict[int, tuple[float, ...]] = {}
    for number, row in _rows(path):
        try:
            start = _millis(row[0])
            bar = float(row[1]), float(row[2]), float(row[3]), float(row[4]), float(row[5])
        except (ValueError, IndexError):
            raise UnreadableFile(
                f"{path.name} row {number}: want start,open,high,low,close,volume, got {','.join(row)[:80]}"
            ) from None
        if told.setdefault(start, bar) != bar:
            raise UnreadableFile(
                f"{path.name} row {number}: {utc(start)} ({start}) is told twice with other values", code="told_twice"
            )
    if not told:
        raise UnreadableFile(f"{path.name} holds no bars: want rows start,open,high,low,close,volume")
    times = np.array(list(told), dtype=np.int64)
    order = np.argsort(times)
    table = np.array(list(told.values()), dtype=np.float64)[order]
    return Bars(times[order], *(np.ascontiguousarray(table[:, column]) for column in range(5)))


def read_funding(path: Path) -> FundingHistory:
    rates: dict[int, float] = {}
    for number, row in _rows(path):
        try:
            time_ms, rate = _millis(row[0]), float(row[1])
        except (ValueError, IndexError):
            raise UnreadableFile(f"{path.name} row {number}: want time_ms,funding_rate") from None
        if rates.setdefault(time_ms, rate) != rate:
            raise UnreadableFile(
                f"{path.name} row {number}: {utc(time_ms)} ({time_ms}) is told twice with other rates",
                code="told_twice",
            )
    return FundingHistory.of(list(rates.items()))


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
