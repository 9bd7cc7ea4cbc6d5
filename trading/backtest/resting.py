"""What lies at the modelled venue, and the price a bar must reach to have filled it."""

from decimal import Decimal

from avigrid.kernel.orders import OrderRole, OrderStatus
from trading.avi5.state import PlanOrder


class Resting:
    """A resting limit fills when the bar trades through it by a tick; each level is worked out once."""

    def __init__(self, direction: int, tick: Decimal) -> None:
        self._direction = direction
        self._tick = tick
        self._levels: dict[str, float] = {}

    @staticmethod
    def split(orders: tuple[PlanOrder, ...]) -> tuple[list[PlanOrder], list[PlanOrder]]:
        """Entries and take-profits that lie at the venue, in one pass."""
        entries: list[PlanOrder] = []
        exits: list[PlanOrder] = []
        for order in orders:
            if order.status is OrderStatus.OPEN:
                if order.role is OrderRole.ENTRY:
                    entries.append(order)
                elif order.role is OrderRole.TAKE_PROFIT:
                    exits.append(order)
        return entries, exits

    def level(self, order: PlanOrder) -> float:
        level = self._levels.get(order.ref)
        if level is None:
            assert order.price is not None
            beyond = -self._direction if order.role is OrderRole.ENTRY else self._direction
            level = self._levels[order.ref] = float(order.price + beyond * self._tick)
        return level
