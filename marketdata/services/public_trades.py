"""Keep the public tape of the symbols that store it."""

from collections.abc import Sequence

from django.db import connection

from avigrid.kernel.market import PublicTrade
from marketdata.selectors.times import to_datetime


def public_trades_store(trades: Sequence[PublicTrade]) -> int:
    """Any symbols, any order; repeats change nothing. Returns how many were new."""
    if not trades:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO marketdata_publictrade (symbol, time, trade_id, price, quantity, taker_is_buyer, seq)
            SELECT * FROM unnest(%s::text[], %s::timestamptz[], %s::text[], %s::float8[], %s::float8[], %s::bool[],
                                 %s::bigint[])
            ON CONFLICT (symbol, time, trade_id) DO NOTHING
            """,
            [
                [trade.symbol for trade in trades],
                [to_datetime(trade.time_ms) for trade in trades],
                [trade.trade_id for trade in trades],
                [trade.price for trade in trades],
                [trade.quantity for trade in trades],
                [trade.taker_is_buyer for trade in trades],
                [trade.seq for trade in trades],
            ],
        )
        return int(cursor.rowcount)
