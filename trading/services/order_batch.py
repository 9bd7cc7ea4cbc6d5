"""The orders that a batch of frames names: found in one query, changed in memory, written once.

A burst of fills says four things about the same few orders; one object per row lets them add up before anything is
stored. Callers hold the account's lock, and store before anybody else reads the rows.
"""

from collections.abc import Iterable

from django.db.models import Q

from avigrid.kernel.orders import Execution, VenueOrder
from trading.models import Order
from trading.services.order_events import OrderWrites


class OrderBatch:
    def __init__(self, account_id: int, rows: Iterable[Execution | VenueOrder]) -> None:
        self.writes = OrderWrites()
        named = list(rows)
        links = {row.order_link_id for row in named if row.order_link_id}
        ids = {row.order_id for row in named if row.order_id}
        orders: list[Order] = []
        if links or ids:
            found = Order.objects.filter(account_id=account_id).filter(
                Q(order_link_id__in=links) | Q(venue_order_id__in=ids)
            )
            orders = list(found.select_related("plan__signal__decision"))
        self._by_link = {order.order_link_id: order for order in orders}
        self._by_id = {order.venue_order_id: order for order in orders if order.venue_order_id}

    def of(self, row: Execution | VenueOrder) -> Order | None:
        """Ours, by our own name for it, else by the venue's. None for anybody else's."""
        return self._by_link.get(row.order_link_id) or self._by_id.get(row.order_id)

    def store(self) -> None:
        self.writes.store()
