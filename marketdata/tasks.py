"""Market data's background jobs. Each may run twice, late or beside itself: it then finds nothing to do."""

from celery import shared_task

from avigrid.common.archive import archive_folder
from marketdata.runtime.venue import public_venue
from marketdata.selectors.bars import oldest_start_ms
from marketdata.selectors.instruments import whitelist
from marketdata.services.funding import funding_refresh
from marketdata.services.gaps import gap_fill
from marketdata.services.retention import retention_apply
from marketdata.services.rollups import rollups_refresh
from marketdata.services.verification import bars_verify, rollups_verify

INTERVALS_MIN = (1, 5, 15)
HOUR_MS = 3_600_000
SETTLING_MS = 600_000
"""The newest bars are the stream's business; the sweep looks only at what should be long there."""


@shared_task(name="marketdata.gaps_sweep", ignore_result=True)
def gaps_sweep(lookback_hours: int = 48) -> int:
    """The safety net under the stream: fill whatever is missing; returns how many bars were.

    History before the oldest stored bar is not a hole but the backfill's business.
    """
    venue = public_venue()
    now_ms = venue.clock.now_ms()
    filled = 0
    for symbol in whitelist():
        for interval_min in INTERVALS_MIN:
            oldest_ms = oldest_start_ms(symbol, interval_min)
            if oldest_ms is not None:
                filled += gap_fill(
                    reader=venue.reader,
                    symbol=symbol,
                    interval_min=interval_min,
                    start_ms=max(oldest_ms, now_ms - lookback_hours * HOUR_MS),
                    end_ms=now_ms - SETTLING_MS,
                    now_ms=now_ms,
                    reason="sweep",
                ).stored.new
    return filled


@shared_task(name="marketdata.bars_verify", ignore_result=True)
def bars_verification(lookback_hours: int = 3) -> dict[str, int]:
    """What the stream told, held against REST: every interval, and 1h for the roll-ups only."""
    venue = public_venue()
    now_ms = venue.clock.now_ms()
    start_ms = now_ms // HOUR_MS * HOUR_MS - lookback_hours * HOUR_MS
    end_ms = now_ms - SETTLING_MS
    corrected = differing = 0
    for symbol in whitelist():
        corrected += bars_verify(
            reader=venue.reader,
            symbol=symbol,
            intervals_min=(*INTERVALS_MIN, 60),
            start_ms=start_ms,
            end_ms=end_ms,
            now_ms=now_ms,
        ).corrected
        differing += sum(map(len, rollups_verify(symbol=symbol, start_ms=start_ms, end_ms=end_ms).values()))
    return {"corrected": corrected, "differing": differing}


@shared_task(name="marketdata.funding_update", ignore_result=True)
def funding_update() -> int:
    venue = public_venue()
    now_ms = venue.clock.now_ms()
    return sum(funding_refresh(reader=venue.reader, symbol=symbol, now_ms=now_ms) for symbol in whitelist())


@shared_task(name="marketdata.rollups_update", ignore_result=True)
def rollups_update(lookback_hours: int = 6) -> None:
    """Where TimescaleDB keeps the roll-ups by its own policy this only refreshes the newest ones sooner."""
    now_ms = public_venue().clock.now_ms()
    rollups_refresh(start_ms=now_ms - lookback_hours * HOUR_MS, end_ms=now_ms)


@shared_task(name="marketdata.retention", ignore_result=True)
def retention() -> dict[str, int]:
    """Bars are dated by the exchange, so its clock says how old they are."""
    return retention_apply(now_ms=public_venue().clock.now_ms(), folder=archive_folder())
