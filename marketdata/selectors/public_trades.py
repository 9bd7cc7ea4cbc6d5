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


def newest_trade_ms(symbol: str, *, before_ms: int | None = None) -> int | None:
    rows = Row.objects.filter(symbol=symbol)
    if before_ms is not None:
        rows = rows.filter(time__lt=to_datetime(before_ms))
    time = rows.order_by("-time").values_list("time", flat=True).first()
    return None if time is None else to_ms(time)


def trade_is_stored(trade: PublicTrade) -> bool:
    return Row.objects.filter(symbol=trade.symbol, time=to_datetime(trade.time_ms), trade_id=trade.trade_id).exists()
