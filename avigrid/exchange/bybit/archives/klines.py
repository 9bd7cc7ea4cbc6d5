"""Kline files: CSV with a header (time in ms, s or ISO text) and Bybit's MetaTrader files without one."""

import csv
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

import numpy as np
import numpy.typing as npt

from avigrid.exchange.bybit.archives.detect import ArchiveKind, detect, name_parts
from avigrid.exchange.bybit.archives.errors import BadArchive, InverseContract
from avigrid.exchange.bybit.archives.opening import open_archive
from avigrid.exchange.kline_table import KlineTable, ordered_table

_PRICES = ("open", "high", "low", "close")
_SECONDS_BELOW = 100_000_000_000
"""A number smaller than this is seconds: as milliseconds it would be before 1973-03-03."""


def read_klines(
    path: Path, *, symbol: str | None = None, interval_min: int | None = None, utc_offset_min: int = 0
) -> KlineTable:
    """Reads a whole kline file, any row order.

    Symbol and interval come from the file name unless given. `utc_offset_min` is subtracted from MetaTrader times:
    their zone is disputed (UTC by some, UTC+3 by others), so it is the caller's to say.
    """
    kind = detect(path)
    if kind not in (ArchiveKind.KLINE_CSV, ArchiveKind.KLINE_MT4):
        raise BadArchive(f"{path.name} holds {kind.value}, not klines", path=str(path))
    name = name_parts(path)
    symbol = symbol or name.symbol
    interval_min = interval_min or name.interval_min
    if symbol is None or interval_min is None:
        raise BadArchive(f"{path.name}: the name tells no symbol and interval; give both", path=str(path))
    refuse_inverse(symbol, path)
    with open_archive(path) as stream:
        rows = csv.reader(TextIOWrapper(stream, "utf-8-sig", newline=""))
        if kind is ArchiveKind.KLINE_MT4:
            columns = _columns(rows, [0, 1, 2, 3, 4, 5, None], 0, path)
        else:
            header = [cell.strip().lower() for cell in next(rows)]
            columns = _columns(rows, _positions(header, path), 1, path)
    if not columns[0]:
        raise BadArchive(f"{path.name} holds no rows", path=str(path))
    start_ms = _starts(columns[0], path)
    if kind is ArchiveKind.KLINE_MT4:
        start_ms = start_ms - utc_offset_min * 60_000
    floats = [_floats(column, len(start_ms), path) for column in columns[1:]]
    return ordered_table(symbol, interval_min, start_ms, *floats)


def refuse_inverse(symbol: str, path: Path) -> None:
    if not symbol.endswith("USDT"):
        raise InverseContract(
            f"{path.name}: {symbol} is not a USDT perpetual (inverse and USDC contracts are not supported)",
            path=str(path),
            symbol=symbol,
        )


def _positions(header: Sequence[str], path: Path) -> list[int | None]:
    missing = [name for name in _PRICES if name not in header]
    if missing:
        raise BadArchive(f"{path.name}: column {missing[0]} is missing", path=str(path))

    def optional(name: str) -> int | None:
        return header.index(name) if name in header else None

    return [0, *(header.index(name) for name in _PRICES), optional("volume"), optional("turnover")]


def _columns(
    rows: Iterable[Sequence[str]], positions: Sequence[int | None], header_lines: int, path: Path
) -> list[list[str]]:
    table = [row for row in rows if row]
    try:
        return [[] if at is None else [row[at] for row in table] for at in positions]
    except IndexError:
        need = max(at for at in positions if at is not None) + 1
        line = next(index for index, row in enumerate(table) if len(row) < need) + 1 + header_lines
        raise BadArchive(f"{path.name} line {line}: fewer than {need} columns", path=str(path), line=line) from None


def _floats(cells: Sequence[str], count: int, path: Path) -> npt.NDArray[np.float64]:
    if not cells:
        return np.full(count, np.nan)
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError as error:
        raise BadArchive(f"{path.name}: not a number: {error}", path=str(path)) from error


def _starts(cells: Sequence[str], path: Path) -> npt.NDArray[np.int64]:
    sample = cells[0].strip()
    try:
        if sample.replace(".", "", 1).isdigit() and sample.count(".") <= 1:
            numbers = np.array(cells, dtype=np.float64)
            scale = 1000.0 if numbers[0] < _SECONDS_BELOW else 1.0
            return np.rint(numbers * scale).astype(np.int64)
        return np.array([_iso_ms(cell) for cell in cells], dtype=np.int64)
    except ValueError as error:
        raise BadArchive(f"{path.name}: not a time: {error}", path=str(path)) from error


def _iso_ms(text: str) -> int:
    """`2025-05-30 16:39:00+00:00` or MetaTrader's `2025.05.30 16:39`; UTC unless it says otherwise."""
    text = text.strip()
    if text[4:5] == ".":
        text = text[:10].replace(".", "-") + text[10:]
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
