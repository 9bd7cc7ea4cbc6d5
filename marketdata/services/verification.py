"""Ask the venue again for bars that are stored already: what differs is corrected, and roll-ups meet its own bars."""

from collections.abc import Sequence

import structlog

from avigrid.exchange.ports import MarketReader
from marketdata.models import KlineSource
from marketdata.selectors.rollups import RELATIONS, RollupDifference, rollup_differences
from marketdata.services import metrics
from marketdata.services.klines import BulkOutcome, klines_store
from marketdata.services.rollups import rollups_refresh

log = structlog.get_logger(__name__)


def bars_verify(
    *, reader: MarketReader, symbol: str, intervals_min: Sequence[int], start_ms: int, end_ms: int, now_ms: int
) -> BulkOutcome:
    """Bars that start in [start_ms, end_ms) and are over. Corrections are kept as KlineCorrection."""
    outcome = BulkOutcome()
    for interval_min in intervals_min:
        bars = reader.klines(symbol, interval_min, start_ms=start_ms, end_ms=end_ms - 1)
        closed = [bar for bar in bars if bar.confirmed and bar.end_ms <= now_ms]
        outcome += klines_store(closed, source=KlineSource.REST, now_ms=now_ms)
    if outcome.corrected:
        log.warning("bars_corrected", symbol=symbol, corrected=outcome.corrected, seen=outcome.seen)
    return outcome


def rollups_verify(*, symbol: str, start_ms: int, end_ms: int) -> dict[int, list[RollupDifference]]:
    """Per interval where the bars rolled up from 5m differ from the venue's own, as far as those are stored."""
    rollups_refresh(start_ms=start_ms, end_ms=end_ms)
    found: dict[int, list[RollupDifference]] = {}
    for interval_min in RELATIONS:
        compared, differences = rollup_differences(symbol, interval_min, start_ms, end_ms)
        metrics.ROLLUPS_COMPARED.labels(interval=interval_min).inc(compared)
        if differences:
            found[interval_min] = differences
            metrics.ROLLUP_DIFFERENCES.labels(interval=interval_min).inc(len(differences))
            log.warning(
                "rollups_differ",
                symbol=symbol,
                interval_min=interval_min,
                differences=len(differences),
                first_start_ms=differences[0].start_ms,
                field=differences[0].field,
            )
    return found
