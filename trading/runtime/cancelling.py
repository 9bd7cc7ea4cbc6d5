"""Cancels that were asked for, until the venue has them: a ladder in batches, what is left a handful at once, and
again while nothing says it is done.

Batches and single cancels have budgets of their own at the venue: together they withdraw twice as much a second.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched

import structlog
from django.db.models import Q

from avigrid.kernel.errors import AviGridError, OrderNotFound, OutcomeUnknown, Retryable
from avigrid.kernel.orders import OrderStatus
from trading.models import LIVE_STATUSES, Order
from trading.runtime.context import Context
from trading.runtime.faults import fault_point
from trading.services.alerts import alert_raise

log = structlog.get_logger(__name__)

CANCEL_AGAIN = timedelta(seconds=3)
_AT_ONCE = 5
_IN_A_BATCH = 4
"""What a process may send within a second that counts alone; one that shares the count sends two of them."""
_TOLD_AFTER = 3
_PAUSE_MAX = timedelta(seconds=60)


@dataclass(slots=True)
class Refusals:
    count: int = 0
    again_at: datetime | None = None


@dataclass(slots=True)
class Cancelling:
    context: Context
    doubted: list[str]
    """Order link ids whose fate should be asked for now."""
    is_silent: bool = False
    """The venue did not answer in this round: what is left waits for the next one."""
    _refusals: dict[int, Refusals] = field(default_factory=dict)

    def run(self) -> None:
        if self.is_silent:
            return
        now = self.context.now()
        asked = (
            Order.objects.filter(
                account_id=self.context.account_id, cancel_requested_at__isnull=False, status__in=LIVE_STATUSES
            )
            .exclude(status__in=(OrderStatus.INTENT.value, OrderStatus.SUBMITTING.value))
            .filter(Q(cancel_sent_at__isnull=True) | Q(cancel_sent_at__lt=now - CANCEL_AGAIN))
        )
        due = [order for order in asked if self._is_due(order, now)]
        if len(due) > _AT_ONCE:
            due = self._batches(due)
        for orders in batched(due, _AT_ONCE):
            self.context.pulse()
            errors = self._together(orders)
            for order, error in zip(orders, errors, strict=True):
                self._cancelled(order, error)
            if all(isinstance(error, OutcomeUnknown) for error in errors):
                self.is_silent = True
                return

    def _batches(self, due: Sequence[Order]) -> list[Order]:
        """For as long as the batches' budget lasts; returns what is left to be asked for one by one."""
        left: list[Order] = []
        for spot, orders in enumerate(batched(due, _IN_A_BATCH)):
            refused = self._batch(orders)
            if self.is_silent:
                return []
            left += refused
            if len(refused) == len(orders):
                return left + list(due[(spot + 1) * _IN_A_BATCH :])
        return left

    def _batch(self, orders: Sequence[Order]) -> list[Order]:
        """One call for many; returns those that the venue could not even look at, to be asked for one by one."""
        self.context.pulse()
        answers: Sequence[AviGridError | None]
        try:
            answers = self.context.gateway.cancel_batch([(order.symbol, order.order_link_id) for order in orders])
            _sent()
        except OutcomeUnknown as error:
            self.is_silent = True
            answers = [error] * len(orders)
        except AviGridError as error:
            log.warning("batch_refused", orders=len(orders), code=error.code)
            return list(orders)
        for order, answer in zip(orders, answers, strict=True):
            self._cancelled(order, answer)
        return [order for order, answer in zip(orders, answers, strict=True) if isinstance(answer, Retryable)]

    def _is_due(self, order: Order, now: datetime) -> bool:
        refusals = self._refusals.get(order.pk)
        return refusals is None or refusals.again_at is None or now >= refusals.again_at

    def _together(self, orders: Sequence[Order]) -> list[AviGridError | None]:
        """Only the calls run side by side: a ladder of rungs should not wait for one round trip after the other."""
        if len(orders) < 2:
            return [self._cancel(order) for order in orders]
        with ThreadPoolExecutor(min(len(orders), _AT_ONCE), "cancel") as pool:
            return list(pool.map(self._cancel, orders))

    def _cancel(self, order: Order) -> AviGridError | None:
        """Touches the venue, never the database."""
        try:
            self.context.gateway.cancel(symbol=order.symbol, order_link_id=order.order_link_id)
            _sent()
        except AviGridError as error:
            return error
        return None

    def _cancelled(self, order: Order, error: AviGridError | None) -> None:
        if isinstance(error, Retryable):
            return
        if error is None:
            self._refusals.pop(order.pk, None)
        else:
            self.doubted.append(order.order_link_id)  # gone or not: ask what became of it
            if not isinstance(error, OrderNotFound | OutcomeUnknown):
                self._refused(order, error)
        Order.objects.filter(pk=order.pk).update(cancel_sent_at=self.context.now())

    def _refused(self, order: Order, error: AviGridError) -> None:
        """Never given up, only asked again after longer and longer pauses; a person is told once."""
        log.warning("cancel_refused", order=order.order_link_id, code=error.code)
        now = self.context.now()
        refusals = self._refusals.setdefault(order.pk, Refusals())
        refusals.count += 1
        if refusals.count < _TOLD_AFTER:
            return
        refusals.again_at = now + min(CANCEL_AGAIN * 2 ** min(refusals.count - _TOLD_AFTER, 6), _PAUSE_MAX)
        alert_raise(
            kind="cancel_refused",
            severity="warning",
            dedupe_key=order.order_link_id,
            sentence=(
                f"{order.symbol}: the venue refuses to cancel order {order.order_link_id} ({error.code});"
                " it is asked again more and more slowly."
            ),
            now=now,
            order_id=order.pk,
            code=error.code,
        )


def _sent() -> None:
    """The venue has it and nothing of ours says so yet."""
    fault_point("after_cancel")
