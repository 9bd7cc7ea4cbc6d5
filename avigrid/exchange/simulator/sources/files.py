"""Reading market recordings: which kind a file is, and its rows, with file and line named where one is broken."""

import gzip
import io
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path

from avigrid.exchange.simulator.feed import HistoryBar
from avigrid.exchange.simulator.sources.errors import BadSource

_SYMBOL = re.compile(r"^(?:\d{4}-\d{2}-\d{2}_)?([A-Z0-9]{2,20}?USDT?)(?![A-Z])")
_NUMBER = re.compile(r"^\d{1,15}(\.\d{1,12})?$")
_FIVE_NUMBERS = re.compile(r"(?:,\d{1,15}(?:\.\d{1,12})?){5}$")
_SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".data", ".data.zip")
KLINE_HEADS = ("start_ms,open,high,low,close,volume", "timestamp,open,high,low,close,volume")


class FileKind(Enum):
    KLINES = "klines"
    TRADES = "trades"
    BOOK = "order book"
    CAPTURE = "socket capture"


def recordings(path: Path) -> list[Path]:
    """The file itself, or the recordings directly inside a directory."""
    if not path.exists():
        raise BadSource(f"there is no file or directory {path}")
    if path.is_file():
        return [path]
    found = sorted(child for child in path.iterdir() if child.is_file() and child.name.endswith(_SUFFIXES))
    if not found:
        inside = ", ".join(sorted(child.name for child in path.iterdir() if child.is_dir()))
        hint = f"; it holds the directories {inside}" if inside else ""
        raise BadSource(f"{path} holds no recording (csv, csv.gz, jsonl, jsonl.gz, data.zip){hint}")
    return found


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, text without its end); plain, gzip or the single member of a zip."""
    try:
        with _opened(path) as stream:
            for number, line in enumerate(stream, start=1):
                yield number, line.rstrip("\r\n")
    except (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise BadSource(f"{path} cannot be read: {error}") from error


def _opened(path: Path) -> io.TextIOWrapper:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8")
    if path.suffix == ".zip":
        archive = zipfile.ZipFile(path)
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise BadSource(f"{path} must hold exactly one file, holds {len(names)}")
        return io.TextIOWrapper(archive.open(names[0]), encoding="utf-8")
    return io.TextIOWrapper(path.open("rb"), encoding="utf-8")


def kind_of(path: Path) -> FileKind:
    """By the first line, not by the name."""
    first = next((text for _, text in lines(path)), "")
    if first in KLINE_HEADS:
        return FileKind.KLINES
    if first.startswith("timestamp,symbol,side,size,price"):
        return FileKind.TRADES
    if first.startswith("{") and '"orderbook.' in first[:60]:
        return FileKind.BOOK
    if first.startswith("{") and '"t"' in first[:20]:
        return FileKind.CAPTURE
    raise BadSource(
        f"{path}: line 1: neither klines, trades, an order-book recording nor a socket capture: {first[:60]!r}"
    )


def symbol_of(path: Path) -> str:
    match = _SYMBOL.match(path.name)
    if match is None:
        raise BadSource(f"{path}: the file name must begin with the symbol, as in BTCUSDT_5m.csv.gz")
    return match.group(1)


class KlineFile:
    """Bars of one file, checked once, kept as text and parsed when played."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.symbol = symbol_of(path)
        self.starts: list[int] = []
        self.price_decimals = 0
        self.volume_decimals = 0
        self._texts: list[str] = []
        self._load()
        gaps = [after - before for before, after in zip(self.starts, self.starts[1:], strict=False)]
        if not gaps:
            raise BadSource(f"{path} needs at least two bars, has {len(self.starts)}")
        self.interval_ms = min(gaps)
        if self.interval_ms % 60_000 or self.interval_ms > 86_400_000:
            raise BadSource(f"{path}: bars are {self.interval_ms} ms apart; whole minutes up to a day are wanted")

    def _load(self) -> None:
        for number, text in lines(self.path):
            if number == 1 or not text:
                continue
            parts = text.split(",")
            if len(parts) != 6:
                raise self._bad(number, f"6 columns are wanted, {len(parts)} found")
            try:
                start_ms = _start_ms(parts[0])
            except ValueError:
                raise self._bad(number, f"{parts[0]!r} is no time") from None
            if _FIVE_NUMBERS.match(text, len(parts[0])) is None:
                wrong = next(part for part in parts[1:] if not _NUMBER.match(part))
                raise self._bad(number, f"{wrong!r} is no number")
            first, high, low, close = map(float, parts[1:5])
            if not (0 < low <= first <= high and low <= close <= high):
                raise self._bad(
                    number, f"open {parts[1]}, high {parts[2]}, low {parts[3]}, close {parts[4]} do not fit"
                )
            if self.starts and start_ms <= self.starts[-1]:
                raise self._bad(number, "the time does not go forward")
            for part in parts[1:5]:
                if len(part) - part.find(".") - 1 > self.price_decimals and "." in part:
                    self.price_decimals = max(self.price_decimals, _decimals(part))
            self.volume_decimals = max(self.volume_decimals, _decimals(parts[5]))
            self.starts.append(start_ms)
            self._texts.append(text.split(",", 1)[1])

    def _bad(self, number: int, what: str) -> BadSource:
        return BadSource(f"{self.path}: line {number}: {what}")

    def bar(self, index: int) -> HistoryBar:
        first, high, low, close, volume = map(Decimal, self._texts[index].split(","))
        turnover = (volume * (high + low + close) / 3).quantize(Decimal("0.0001"))
        return HistoryBar(self.starts[index], first, high, low, close, volume, turnover)

    def __len__(self) -> int:
        return len(self.starts)


def _decimals(text: str) -> int:
    return len(text.partition(".")[2].rstrip("0"))


def _start_ms(text: str) -> int:
    if text.isdigit():
        return int(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000)


def funding_rates(path: Path, symbol: str) -> list[tuple[int, Decimal]]:
    """(time_ms, rate) from a `funding` directory beside the recordings, where there is one; oldest first."""
    home = path if path.is_dir() else path.parent
    for name in (f"{symbol}_funding.csv.gz", f"{symbol}_funding.csv"):
        candidate = home.parent / "funding" / name
        if not candidate.is_file():
            continue
        rows = []
        for number, text in lines(candidate):
            if number == 1 or not text:
                continue
            try:
                time_text, rate_text = text.split(",")
                rows.append((int(time_text), Decimal(rate_text)))
            except (ValueError, ArithmeticError):
                raise BadSource(
                    f"{candidate}: line {number}: time_ms,funding_rate is wanted, got {text[:60]!r}"
                ) from None
        return rows
    return []
