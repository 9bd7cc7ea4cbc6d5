"""Drop what is too old to keep. Bars, features, funding and gaps are kept for ever."""

from dataclasses import dataclass

import structlog
from django.db import connection

from marketdata.selectors.times import to_datetime, to_ms

_DAY_MS = 86_400_000
_TABLES = {"order_book_log": ("marketdata_orderbooklog", "start"), "public_trades": ("marketdata_publictrade", "time")}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    order_book_log_days: int = 30
    public_trades_days: int = 90


def retention_apply(*, now_ms: int, keep: Retention = Retention()) -> dict[str, int]:  # noqa: B008
    """Deletes a day at a time, so that no statement holds its locks for long; returns rows removed per kind.

    With TimescaleDB its own policies drop whole chunks first and this finds little to do.
    """
    removed = {
        kind: _delete_before(table, column, now_ms - getattr(keep, f"{kind}_days") * _DAY_MS)
        for kind, (table, column) in _TABLES.items()
    }
    log.info("retention_applied", **removed)
    return removed


def _delete_before(table: str, column: str, before_ms: int) -> int:
    """Symbol by symbol and day by day along the index, never through the whole table."""
    removed = 0
    symbol = ""
    with connection.cursor() as cursor:
        while True:
            cursor.execute(f"SELECT symbol FROM {table} WHERE symbol > %s ORDER BY symbol LIMIT 1", [symbol])  # noqa: S608
            row = cursor.fetchone()
            if row is None:
                return removed
            symbol = row[0]
            removed += _delete_symbol(table, column, symbol, before_ms)


def _delete_symbol(table: str, column: str, symbol: str, before_ms: int) -> int:
    removed = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(f"SELECT min({column}) FROM {table} WHERE symbol = %s", [symbol])  # noqa: S608
            oldest = cursor.fetchone()[0]
            if oldest is None or to_ms(oldest) >= before_ms:
                return removed
            until = to_datetime(min(to_ms(oldest) + _DAY_MS, before_ms))
            cursor.execute(f"DELETE FROM {table} WHERE symbol = %s AND {column} < %s", [symbol, until])  # noqa: S608
            removed += cursor.rowcount
