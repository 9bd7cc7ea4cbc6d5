"""What Place would do now: everything checked as at the click, nothing stored, and what changed since the signal."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from avigrid.kernel.money import bps_between
from risk.core.verdict import Ruling, Verdict
from risk.selectors.limits import limits_of
from risk.services.decisions import preview
from trading.avi5.spec import PlanSpec
from trading.models import OPEN_PLAN_STATUSES, Plan, Signal, SignalStatus
from trading.selectors.desk import on_wall
from trading.selectors.exchange_time import exchange_time
from trading.selectors.risk_view import marks_of, open_request, snapshot_of
from trading.selectors.stages import stage_in_force
from trading.services.placing import (
    MAINTENANCE_MARGIN_RATIO,
    clock_offset_ms,
    fees_refusal,
    not_placeable,
    position_taken,
    price_moved,
)
from trading.services.times import from_ms


@dataclass(frozen=True, slots=True)
class PlacePreview:
    """`blocked` says why the click would be refused before risk is even asked; `verdict` is risk's answer."""

    signal: Signal
    spec: PlanSpec
    price: Decimal | None
    moved_bps: Decimal | None
    """From the signal's entry to what would be paid now; positive is worse for us."""
    verdict: Verdict | None
    blocked: str = ""
    frees_at: datetime | None = None
    """On this machine's clock: when an offer that only came too soon could be placed."""

    @property
    def is_placeable(self) -> bool:
        return not self.blocked and self.verdict is not None and self.verdict.allowed

    @property
    def is_queueable(self) -> bool:
        return not self.blocked and self.frees_at is not None and self.signal.status == SignalStatus.NEW


def place_preview(*, signal_id: int, account_id: int) -> PlacePreview:
    signal = Signal.objects.select_related("decision__strategy").get(pk=signal_id)
    spec = PlanSpec.from_json(signal.spec)
    clock = exchange_time(account_id)
    open_symbols = Plan.objects.filter(account_id=account_id, status__in=OPEN_PLAN_STATUSES).values_list(
        "symbol", flat=True
    )
    marks = marks_of({signal.symbol, *open_symbols})
    mark = marks.get(signal.symbol)
    if clock is None or clock.is_stale:
        return PlacePreview(signal, spec, None, None, None, "The execution process does not answer.")
    if mark is None:
        return PlacePreview(signal, spec, None, None, None, f"No price of {signal.symbol} is known.")
    taking = mark.ask if spec.direction > 0 else mark.bid
    moved = bps_between(taking, spec.entry) * spec.direction
    verdict = preview(
        account_id=account_id,
        request=open_request(
            f"signal:{signal.pk}",
            spec,
            mark_price=mark.mark,
            leverage=limits_of(account_id).max_leverage,
            maintenance_margin_ratio=MAINTENANCE_MARGIN_RATIO,
        ),
        snapshot=snapshot_of(
            account_id,
            symbol=signal.symbol,
            stage=stage_in_force(signal.decision.strategy),
            now_ms=clock.now_ms,
            marks=marks,
            clock_offset_ms=clock_offset_ms(account_id, clock.offset_ms),
        ),
        now_ms=clock.now_ms,
    )
    refusal = not_placeable(signal, from_ms(clock.now_ms)) or price_moved(spec, mark)
    blocked = refusal.sentence if refusal is not None else fees_refusal(spec, account_id)
    if not blocked and verdict.allowed:  # asked after risk at the click, too: what came too soon can be queued
        taken = position_taken(account_id, signal)
        blocked = taken.sentence if taken is not None else ""
    frees_at = None
    if verdict.ruling is Ruling.QUEUE and verdict.available_at_ms is not None:
        frees_at = on_wall(from_ms(verdict.available_at_ms), clock)
    return PlacePreview(signal, spec, taking, moved, verdict, blocked, frees_at)
