"""A stop at the venue for every filled unit: set within a second of the fill, verified, audited every minute."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from accounts.services.audit import audit
from avigrid.common import push
from avigrid.kernel.errors import AviGridError, Bug, NotModified, OutcomeUnknown, Rejected, Retryable
from avigrid.kernel.money import ZERO, Rounding, to_multiple
from avigrid.kernel.portfolio import VenuePosition
from trading.avi5.spec import PlanSpec
from trading.avi5.state import EventKind, MarketView, PlanEvent
from trading.models import OPEN_PLAN_STATUSES, Plan, Position
from trading.runtime import gauges
from trading.runtime.context import Context
from trading.runtime.faults import fault_point
from trading.runtime.flatten import Flattener
from trading.runtime.guarding import plan_guarded, plan_skipped
from trading.services.alerts import alert_raise
from trading.services.plan_state import PlanMemory, stop_wanted
from trading.services.plan_step import plan_step

log = structlog.get_logger(__name__)

GIVE_UP_AFTER = timedelta(seconds=10)
_AGAIN_AFTER = timedelta(milliseconds=300)
_AGAIN_SLOWLY = timedelta(seconds=10)
_TOLERATED = timedelta(seconds=1)
Key = tuple[str, int]


@dataclass(slots=True)
class Exposure:
    """A position whose stop is not where it should be."""

    since: datetime
    tried: datetime | None = None
    refusals: int = 0
    last_code: str = ""
    closed: datetime | None = None
    """When it was given up last."""
    is_stuck: bool = False
    """An older stop holds meanwhile; people were told, and it is tried again slowly."""


@dataclass(slots=True)
class Protection:
    context: Context
    _open: dict[Key, Exposure] = field(default_factory=dict)
    _shown: set[str] = field(default_factory=set)
    unprotected_qty: Decimal = ZERO
    unprotected_qty_max: Decimal = ZERO
    """The largest sum ever left without a confirmed stop for longer than a second."""

    def run(self, *, audit_all: bool = False) -> None:
        """Every held position of an open plan; `audit_all` asks the venue instead of trusting the last frame."""
        held = self._held()
        if audit_all and not self._refresh():
            return
        exposed: dict[Key, Decimal] = {}
        for key, (plan, quantity) in held.items():
            exposed[key] = quantity  # unless it is seen to be protected
            with plan_skipped(self.context, plan):
                uncovered = self._look(plan, key, quantity)
                if uncovered is None:
                    del exposed[key]
                else:
                    exposed[key] = uncovered
            if key in exposed:
                self._open.setdefault(key, Exposure(self.context.now()))
        for key in set(self._open) - set(exposed):
            del self._open[key]
        self._measure(held, exposed)

    def _look(self, plan: Plan, key: Key, quantity: Decimal) -> Decimal | None:
        """None where the stop stands; else what is without any."""
        seen = self.context.positions.get(key)
        if plan.stop_price is not None and self._stands(plan, seen):
            self._confirm(plan, key)
            return None
        exposure = self._open.setdefault(key, Exposure(self.context.now()))
        if plan.stop_price is None:  # the plan's next step says where its stop belongs
            exposure.last_code = "no_stop_price"
            if not exposure.is_stuck:
                self._late(plan, exposure)
        elif self._set(plan, key, exposure):
            return None
        return ZERO if self._older_stands(plan, self.context.positions.get(key)) else quantity

    def _held(self) -> dict[Key, tuple[Plan, Decimal]]:
        plans = {
            (plan.symbol, plan.position_idx): plan
            for plan in Plan.objects.filter(account_id=self.context.account_id, status__in=OPEN_PLAN_STATUSES)
        }
        positions = Position.objects.filter(account_id=self.context.account_id).exclude(size=0)
        keyed = {(row.symbol, row.position_idx): abs(row.size) for row in positions}
        return {key: (plans[key], size) for key, size in keyed.items() if key in plans}

    def _stands(self, plan: Plan, seen: VenuePosition | None) -> bool:
        if seen is None or seen.size == 0 or seen.stop_loss is None or plan.stop_price is None:
            return False
        wanted = stop_wanted(plan)
        if wanted is None or seen.stop_loss == wanted:
            return wanted is not None
        # A tighter one protects as well, whoever set it; moving it back would widen it.
        is_tighter = (seen.stop_loss - wanted) * plan.direction > 0
        is_ahead = seen.mark_price is None or (seen.mark_price - seen.stop_loss) * plan.direction > 0
        return is_tighter and is_ahead

    def _older_stands(self, plan: Plan, seen: VenuePosition | None) -> bool:
        """Not where it is wanted by now, but no looser than the plan began with."""
        if seen is None or seen.size == 0 or seen.stop_loss is None:
            return False
        first = _first_stop(plan)
        return first is not None and (seen.stop_loss - first) * plan.direction >= 0

    def _set(self, plan: Plan, key: Key, exposure: Exposure) -> bool:
        now = self.context.now()
        pause = _AGAIN_SLOWLY if exposure.is_stuck else _AGAIN_AFTER
        if exposure.tried is not None and now - exposure.tried < pause:
            return False
        exposure.tried = now
        self.context.pulse()
        wanted = self._price_to_ask(plan, exposure)
        fault_point("before_set_stop")
        try:
            self.context.gateway.set_stop(symbol=plan.symbol, position_idx=plan.position_idx, stop_loss=wanted)
            fault_point("after_set_stop")
        except NotModified:
            pass
        except (OutcomeUnknown, Retryable) as error:
            exposure.last_code = error.code
            return self._verified(plan, key, wanted, exposure)
        except Rejected as error:
            return self._refused(plan, key, exposure, error)
        except AviGridError as error:
            exposure.last_code = error.code
            log.warning("stop_not_set", plan=plan.pk, code=error.code)
            return self._late(plan, exposure)
        return self._verified(plan, key, wanted, exposure)

    def _verified(self, plan: Plan, key: Key, wanted: Decimal, exposure: Exposure) -> bool:
        """An accepted request is not a stop: look at the position."""
        try:
            rows = self.context.gateway.position(plan.symbol)
        except AviGridError as error:
            exposure.last_code = error.code
            return self._late(plan, exposure)
        for row in rows:
            self.context.positions[row.symbol, row.position_idx] = row
        seen = self.context.positions.get(key)
        if seen is not None and seen.size == 0:
            return True  # closed meanwhile; its execution is on the way
        if seen is None or seen.stop_loss is None or seen.stop_loss != wanted:
            return self._late(plan, exposure)
        gauges.STOP_DELAY.observe((self.context.now() - exposure.since).total_seconds())
        self._confirm(plan, key)
        return True

    def _refused(self, plan: Plan, key: Key, exposure: Exposure, error: Rejected) -> bool:
        """Look first whether there still is anything to protect, then another price, then close."""
        exposure.refusals += 1
        exposure.last_code = error.code
        rows: list[VenuePosition] = []
        try:
            rows = self.context.gateway.position(plan.symbol)
        except AviGridError:
            return False
        for row in rows:
            self.context.positions[row.symbol, row.position_idx] = row
        seen = self.context.positions.get(key)
        if seen is None or seen.size == 0:
            return True
        if self._stands(plan, seen):
            self._confirm(plan, key)  # it came with the entry; the refusal was about the call
            return True
        self._told(plan, exposure, error)
        if self._is_behind(plan, seen):
            self._close(plan, exposure, f"stop refused: {error.code}")
        elif exposure.refusals >= 2:
            self._give_up(plan, seen, exposure, f"stop refused: {error.code}")
        return False

    def _give_up(self, plan: Plan, seen: VenuePosition | None, exposure: Exposure, reason: str) -> None:
        """What has no stop is closed; what an older stop still protects is not."""
        if not self._older_stands(plan, seen):
            self._close(plan, exposure, reason)
            return
        assert seen is not None
        exposure.is_stuck = True
        with self.context.books():
            alert_raise(
                kind="stop_not_moved",
                severity="critical",
                dedupe_key=f"plan{plan.pk}:{plan.stop_price}",
                sentence=(
                    f"{plan.symbol}: the stop could not be moved to {plan.stop_price or 'where it belongs'} ({reason});"
                    f" the one at {seen.stop_loss} still stands."
                ),
                now=self.context.now(),
                plan_id=plan.pk,
            )

    def _price_to_ask(self, plan: Plan, exposure: Exposure) -> Decimal:
        """The plan's stop; after a refusal a tighter one on the tick, a quarter of the way to the market."""
        wanted = stop_wanted(plan)
        assert wanted is not None
        assert plan.stop_price is not None
        older_stands = self._older_stands(plan, self.context.positions.get((plan.symbol, plan.position_idx)))
        if exposure.refusals == 0 or older_stands:
            return wanted
        spec = PlanSpec.from_json(plan.spec)
        price = self.context.prices.read({plan.symbol}).get(plan.symbol)
        mark = price.mark if price else spec.entry
        nearer = plan.stop_price + (mark - plan.stop_price) / 4
        rounding = Rounding.DOWN if plan.direction > 0 else Rounding.UP
        alternative = to_multiple(nearer, spec.grain.tick_size, rounding)
        with self.context.books():
            plan.refresh_from_db()
            self._remember(plan, alternative)
        return alternative

    def _remember(self, plan: Plan, stop: Decimal) -> None:
        memory = PlanMemory.of(plan)
        memory.stop_alternative = str(stop)
        plan.state = memory.to_json()
        plan.save(update_fields=["state"])

    def _is_behind(self, plan: Plan, seen: VenuePosition) -> bool:
        """The market has passed the stop already: it should have fired, so close now."""
        if seen.mark_price is None or plan.stop_price is None:
            return False
        return (seen.mark_price - plan.stop_price) * plan.direction <= 0

    def _late(self, plan: Plan, exposure: Exposure) -> bool:
        if self.context.now() - exposure.since > GIVE_UP_AFTER:
            seen = self.context.positions.get((plan.symbol, plan.position_idx))
            self._give_up(plan, seen, exposure, f"no stop could be confirmed: {exposure.last_code}")
        return False

    def _close(self, plan: Plan, exposure: Exposure, reason: str) -> None:
        now = self.context.now()
        if exposure.closed is not None and now - exposure.closed < _AGAIN_SLOWLY:
            return
        with self.context.books():
            plan.refresh_from_db()
            if plan.status == "closing" or not plan.is_open:
                return
            exposure.closed = now
            audit(actor="execution", action="plan.unprotectable", obj=plan, reason=reason)
            alert_raise(
                kind="unprotectable",
                severity="critical",
                dedupe_key=f"plan{plan.pk}",
                sentence=f"{plan.symbol} could not be given a stop and is being closed ({reason}).",
                now=now,
                plan_id=plan.pk,
            )
            market = MarketView(now_ms=self.context.exchange_ms(), price=None, entries_allowed=False)
            events = [PlanEvent(EventKind.STOP_TRIGGERED, market.now_ms)]
            with plan_guarded(self.context, plan):
                plan_step(plan=plan, market=market, now=now, events=events)
            plan.refresh_from_db(fields=["status"])
            is_closing = plan.status == "closing" or not plan.is_open
        if not is_closing:  # it cannot be stepped: what it holds goes all the same
            rows = self.context.gateway.position(plan.symbol)
            held = [row for row in rows if row.position_idx == plan.position_idx and row.size]
            Flattener(self.context.gateway, plan.symbol).close(held, now=now)

    def _told(self, plan: Plan, exposure: Exposure, error: Rejected) -> None:
        with self.context.books():
            alert_raise(
                kind="stop_refused",
                severity="warning",
                dedupe_key=f"plan{plan.pk}:{plan.stop_price}:{error.code}",
                sentence=f"{plan.symbol}: the venue refused the stop at {plan.stop_price} ({error.code}).",
                now=self.context.now(),
                plan_id=plan.pk,
                code=error.code,
            )

    def _confirm(self, plan: Plan, key: Key) -> None:
        seen = self.context.positions[key]
        if plan.stop_confirmed == seen.stop_loss:
            return
        with self.context.books():
            plan.refresh_from_db()
            plan.stop_confirmed, plan.stop_confirmed_at = seen.stop_loss, self.context.now()
            plan.save(update_fields=["stop_confirmed", "stop_confirmed_at"])
            push.event("plan", {"plan_id": plan.pk, "symbol": plan.symbol, "status": plan.status})
            wanted = stop_wanted(plan)
            if seen.stop_loss is not None and wanted not in (None, seen.stop_loss):
                self._remember(plan, seen.stop_loss)
                after = {"stop_price": seen.stop_loss}
                audit(actor="venue", action="plan.stop_tightened", obj=plan, before={"stop_price": wanted}, after=after)
        fault_point("after_stop_commit")

    def _refresh(self) -> bool:
        try:
            rows = self.context.gateway.positions()
        except AviGridError as error:
            log.warning("audit_without_answer", code=error.code)
            return False
        self.context.positions.clear()
        self.context.positions.update({(row.symbol, row.position_idx): row for row in rows})
        return True

    def _measure(self, held: dict[Key, tuple[Plan, Decimal]], exposed: dict[Key, Decimal]) -> None:
        now = self.context.now()
        late = {key: size for key, size in exposed.items() if now - self._open[key].since > _TOLERATED}
        symbols = {symbol for symbol, _ in held} | self._shown
        for symbol in symbols:
            gauges.UNPROTECTED.labels(symbol=symbol).set(
                float(sum((size for key, size in exposed.items() if key[0] == symbol), ZERO))
            )
        self._shown = {symbol for symbol, _ in held}
        self.unprotected_qty = sum(exposed.values(), ZERO)
        self.unprotected_qty_max = max(self.unprotected_qty_max, sum(late.values(), ZERO))


def _first_stop(plan: Plan) -> Decimal | None:
    """The one it began with; None where the plan cannot be read: then no other stop than the wanted one counts."""
    try:
        return PlanSpec.from_json(plan.spec).stop
    except Bug:
        return None
