"""The stored tape."""

from collections.abc import Iterator

from avigrid.kernel.market import PublicTrade
from marketdata.models import PublicTrade as Row
from marketdata.selectors.times import to_datetime, to_ms


def public_trades(symbol: str, start_ms: int, end_ms: int) -> Iterator[PublicTrade]:
    """In [start_ms, end_ms), in market order."""
    rows = (
        Row.objects.filter(symbol=symbol, time__gte=to_datetime(start_ms), time__lt=to_datetime(end_ms))
        .order_by("time", "seq", "id")
        .values_list("trade_id", "time", "price", "quantity", "taker_is_buyer", "seq")
    )
    for trade_id, time, price, quantity, buyer, seq in rows.iterator():
        yield PublicTrade(symbol, trade_id, to_ms(time), price, quantity, buyer, seq)


def newest_trade_ms(symbol: str) -> int | None:
    time = Row.objects.filter(symbol=symbol).order_by("-time").values_list("time", flat=True).first()
    return None if time is None else to_ms(time)
