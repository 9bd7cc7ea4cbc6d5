"""Settled funding rates."""

from decimal import Decimal

from marketdata.models import FundingRate
from marketdata.selectors.times import to_datetime, to_ms


def funding_rates(symbol: str, start_ms: int, end_ms: int) -> list[tuple[int, Decimal]]:
    """(settlement ms, ratio) in [start_ms, end_ms), oldest first."""
    rows = (
        FundingRate.objects.filter(symbol=symbol, time__gte=to_datetime(start_ms), time__lt=to_datetime(end_ms))
        .order_by("time")
        .values_list("time", "rate")
    )
    return [(to_ms(time), rate) for time, rate in rows]
