"""From when to when bars of an interval are stored, symbol by symbol, found along the index without counting them."""

from dataclasses import dataclass

from django.db import connection

from marketdata.selectors.times import to_ms


@dataclass(frozen=True, slots=True)
class StoredRange:
    """Open times of the oldest and the newest stored bar."""

    symbol: str
    interval_min: int
    first_ms: int
    last_ms: int

    @property
    def bars(self) -> int:
        """As many as there are where none is missing."""
        return (self.last_ms - self.first_ms) // (self.interval_min * 60_000) + 1


def stored_ranges(interval_min: int) -> list[StoredRange]:
    """By symbol, those without a bar left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE walk AS (
                (SELECT symbol FROM marketdata_kline ORDER BY symbol LIMIT 1)
                UNION ALL
                SELECT n.symbol FROM walk, LATERAL (
                    SELECT k.symbol FROM marketdata_kline k WHERE k.symbol > walk.symbol ORDER BY k.symbol LIMIT 1
                ) n
            )
            SELECT walk.symbol, oldest.start, newest.start FROM walk,
            LATERAL (SELECT start FROM marketdata_kline k WHERE k.symbol = walk.symbol AND interval_min = %(interval)s
                     ORDER BY start LIMIT 1) oldest,
            LATERAL (SELECT start FROM marketdata_kline k WHERE k.symbol = walk.symbol AND interval_min = %(interval)s
                     ORDER BY start DESC LIMIT 1) newest
            ORDER BY walk.symbol
            """,
            {"interval": interval_min},
        )
        rows = cursor.fetchall()
    return [StoredRange(symbol, interval_min, to_ms(first), to_ms(last)) for symbol, first, last in rows]
