"""Bring the instrument list up to the venue's: new ones, changed limits, what it no longer lists."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from django.db import transaction

from avigrid.exchange.ports import MarketReader
from avigrid.kernel import instrument as kernel
from marketdata.models import Instrument
from marketdata.selectors.times import to_datetime

UNLISTED = "Unlisted"
_SPEC = (
    "base_coin",
    "quote_coin",
    "tick_size",
    "min_price",
    "max_price",
    "qty_step",
    "min_order_qty",
    "max_limit_qty",
    "max_market_qty",
    "min_notional",
    "max_leverage",
    "funding_interval_min",
    "price_limit_ratio_x",
    "price_limit_ratio_y",
    "price_scale",
    "status",
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class InstrumentsOutcome:
    listed: int
    new: tuple[str, ...]
    changed: tuple[str, ...]
    """Known before, some limit or the status differs now."""
    unlisted: tuple[str, ...]
    """Known before, not listed any more."""
    missing: tuple[str, ...]
    """Wanted, but the venue does not list them: skipped."""


def instruments_refresh(*, reader: MarketReader, wanted: Sequence[str], now_ms: int) -> InstrumentsOutcome:
    """Fetch and store all instruments. A wanted one is put on the whitelist when it is first seen, and never again:
    from then on the list is the operator's.
    """
    return instruments_store(listed=reader.instruments(), wanted=wanted, now_ms=now_ms)


def instruments_store(*, listed: Sequence[kernel.Instrument], wanted: Sequence[str], now_ms: int) -> InstrumentsOutcome:
    with transaction.atomic():
        known = {row.symbol: row for row in Instrument.objects.select_for_update()}
        new = [spec.symbol for spec in listed if spec.symbol not in known]
        changed = [spec.symbol for spec in listed if spec.symbol in known and _differs(known[spec.symbol], spec)]
        now = to_datetime(now_ms)
        Instrument.objects.bulk_create(
            [
                Instrument(
                    symbol=spec.symbol,
                    in_whitelist=spec.symbol in wanted,
                    updated_at=now,
                    **{name: getattr(spec, name) for name in _SPEC},
                )
                for spec in listed
            ],
            update_conflicts=True,
            unique_fields=["symbol"],
            update_fields=[*_SPEC, "updated_at"],
        )
        names = {spec.symbol for spec in listed}
        unlisted = sorted(symbol for symbol, row in known.items() if symbol not in names and row.status != UNLISTED)
        # An empty answer is a fault of the venue, not the end of all markets.
        if listed:
            Instrument.objects.filter(symbol__in=unlisted).update(status=UNLISTED, updated_at=now)
    missing = tuple(symbol for symbol in wanted if symbol not in names)
    if missing:
        log.warning("symbols_not_listed", symbols=missing)
    if changed or unlisted:
        log.info("instruments_changed", changed=changed, unlisted=unlisted)
    return InstrumentsOutcome(len(listed), tuple(new), tuple(changed), tuple(unlisted if listed else ()), missing)


def _differs(row: Instrument, spec: kernel.Instrument) -> bool:
    return any(getattr(row, name) != getattr(spec, name) for name in _SPEC)
