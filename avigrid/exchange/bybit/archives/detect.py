"""Tell what a file holds from its first line, and which symbol and interval from its name."""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from avigrid.exchange.bybit.archives.errors import BadArchive
from avigrid.exchange.bybit.archives.opening import first_line

_INTERVAL_MIN = {"m": 1, "h": 60, "d": 1440}
_NAME = re.compile(
    r"(?P<symbol>[A-Z0-9]{2,20}(?:USDT|USDC|USD|PERP))[_-](?P<number>\d{1,4})(?P<unit>[mhd])?(?=[_.\-]|$)"
)
_MT4_LINE = re.compile(r"^\d{4}\.\d{2}\.\d{2} \d{2}:\d{2},")
_TRADE_HEADER = "timestamp,symbol,side,size,price"
_TIME_COLUMNS = ("start_ms", "timestamp", "open_time", "start", "time_ms", "time", "date")


class ArchiveKind(Enum):
    KLINE_CSV = "kline_csv"
    KLINE_MT4 = "kline_mt4"
    TRADES = "trades"
    ORDER_BOOK = "order_book"


@dataclass(frozen=True, slots=True)
class ArchiveName:
    """What a file name says: `BTCUSDT_5m.csv.gz` or Bybit's `BTCUSDT_5_2024-01-01_2024-01-31.csv.gz`."""

    symbol: str | None
    interval_min: int | None


def detect(path: Path) -> ArchiveKind:
    line = first_line(path)
    if line.startswith("{") and '"topic"' in line:
        return ArchiveKind.ORDER_BOOK
    lowered = line.lower().replace(" ", "") if "," in line else ""
    if lowered.startswith(_TRADE_HEADER):
        return ArchiveKind.TRADES
    if _MT4_LINE.match(line):
        return ArchiveKind.KLINE_MT4
    columns = lowered.split(",")
    if columns[0] in _TIME_COLUMNS and {"open", "high", "low", "close"} <= set(columns):
        return ArchiveKind.KLINE_CSV
    raise BadArchive(
        f"{path.name} is none of: kline CSV (time,open,high,low,close,volume), MetaTrader klines, "
        f"Bybit trades, Bybit order book",
        path=str(path),
    )


def name_parts(path: Path) -> ArchiveName:
    match = _NAME.search(path.name)
    if not match:
        return ArchiveName(None, None)
    return ArchiveName(match["symbol"], int(match["number"]) * _INTERVAL_MIN[match["unit"] or "m"])
