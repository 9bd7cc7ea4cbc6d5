"""The stop that resting rungs carry, kept equal to the plan's.

On Bybit the stop of an order becomes the whole position's with its fill. A rung that rests since before the stop was
tightened would loosen it again, for as long as it takes to notice: it is told the new one while it still rests.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from avigrid.kernel.errors import AviGridError, Rejected
from avigrid.kernel.orders import OrderRole, OrderStatus
from trading.avi5.spec import PlanSpec
from trading.models import Order, PlanStatus
from trading.runtime.context import Context
from trading.runtime.guarding import plan_skipped
from trading.services.plan_state import stop_wanted

log = structlog.get_logger(__name__)
_AGAIN_AFTER = timedelta(seconds=1)
_RESTING = (OrderStatus.OPEN.value, OrderStatus.PARTIALLY_FILLED.value)


@dataclass(slots=True)
class RungStops:
    context: Context
    _told: dict[str, Decimal] = field(default_factory=dict)
    """Order link id to the stop it was last told; forgotten with the process, telling again does no harm."""
    _tried: dict[str, datetime] = field(default_factory=dict)

    def run(self) -> None:
        """Asks the venue only where a stop has moved while a rung rests: after a plan's begin, never."""
        resting = Order.objects.filter(
            account_id=self.context.account_id,
            role=OrderRole.ENTRY.value,
            status__in=_RESTING,
            cancel_requested_at__isnull=True,
            plan__status__in=(PlanStatus.PLACING, PlanStatus.ACTIVE),
            plan__stop_price__isnull=False,
        )
        seen = set()
        for order in resting.select_related("plan"):
            seen.add(order.order_link_id)
            with plan_skipped(self.context, order.plan):
                self._look(order)
        for known in (self._told, self._tried):
            for ref in known.keys() - seen:
                del known[ref]

    def _look(self, order: Order) -> None:
        wanted = stop_wanted(order.plan)
        carried = self._told.get(order.order_link_id) or PlanSpec.from_json(order.plan.spec).stop
        if wanted is not None and wanted != carried and self._is_behind(order, wanted):
            self._tell(order, wanted)

    def _is_behind(self, order: Order, stop: Decimal) -> bool:
        """A stop beyond the rung's own price is refused by the venue, and fires before the rung is reached."""
        return order.price is not None and (order.price - stop) * order.plan.direction > 0

    def _tell(self, order: Order, stop: Decimal) -> None:
        now = self.context.now()
        tried = self._tried.get(order.order_link_id)
        if tried is not None and now - tried < _AGAIN_AFTER:
            return
        self._tried[order.order_link_id] = now
        self.context.pulse()
        try:
            self.context.gateway.amend_stop(symbol=order.symbol, order_link_id=order.order_link_id, stop_loss=stop)
        except Rejected as error:
            # Gone, or carrying it already; for anything else the position's own stop is set again after the fill.
            log.info("rung_stop_refused", order=order.order_link_id, code=error.code)
        except AviGridError as error:
            log.warning("rung_stop_not_told", order=order.order_link_id, code=error.code)
            return
        self._told[order.order_link_id] = stop
