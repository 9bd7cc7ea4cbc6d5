"""Keep the settled funding rates complete."""

from collections.abc import Iterable
from decimal import Decimal

from avigrid.exchange.ports import MarketReader
from marketdata.models import FundingRate
from marketdata.selectors.times import to_datetime, to_ms

_DAY_MS = 86_400_000


def funding_refresh(*, reader: MarketReader, symbol: str, now_ms: int, lookback_days: int = 90) -> int:
    """Fetch what was settled since the newest stored rate (at first: `lookback_days`); returns how many were new."""
    newest = FundingRate.objects.filter(symbol=symbol).order_by("-time").values_list("time", flat=True).first()
    start_ms = now_ms - lookback_days * _DAY_MS if newest is None else to_ms(newest) + 1
    return funding_store(symbol=symbol, rates=reader.funding_history(symbol, start_ms=start_ms, end_ms=now_ms))


def funding_store(*, symbol: str, rates: Iterable[tuple[int, Decimal]]) -> int:
    before = FundingRate.objects.filter(symbol=symbol).count()
    FundingRate.objects.bulk_create(
        [FundingRate(symbol=symbol, time=to_datetime(time_ms), rate=rate) for time_ms, rate in rates],
        ignore_conflicts=True,
    )
    return FundingRate.objects.filter(symbol=symbol).count() - before
