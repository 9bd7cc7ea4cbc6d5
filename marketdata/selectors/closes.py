"""The last closes of many symbols at once, for small pictures."""

from collections import defaultdict
from collections.abc import Sequence

from django.db import connection

_CLOSES = """
    SELECT wanted.symbol, bar.close FROM unnest(%s::text[]) AS wanted(symbol)
    CROSS JOIN LATERAL (
        SELECT start, close FROM marketdata_kline
        WHERE symbol = wanted.symbol COLLATE "C" AND interval_min = %s ORDER BY start DESC LIMIT %s
    ) AS bar
    ORDER BY wanted.symbol, bar.start
"""


def recent_closes(symbols: Sequence[str], interval_min: int, count: int) -> dict[str, list[float]]:
    """Oldest first; a symbol without bars is missing."""
    found: dict[str, list[float]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_CLOSES, [list(symbols), interval_min, count])
        for symbol, close in cursor.fetchall():
            found[symbol].append(close)
    return dict(found)
