"""A plan as it stands: its spec, its orders and what was recorded about it. Rebuilt from rows before every step."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from avigrid.kernel.money import ZERO
from avigrid.kernel.orders import OrderRole
from trading.avi5.actions import CloseReason, PlanStatus
from trading.avi5.spec import PlanSpec
from trading.avi5.tally import PlanOrder, Tally, tally

__all__ = ["EventKind", "MarketView", "PlanEvent", "PlanOrder", "PlanState", "average_price"]


@dataclass(frozen=True, slots=True)
class PlanState:
    """Everything the next step depends on, besides market and events.

    `stop_price` is where the stop should stand whenever there is a position (None: not asked yet), not where the
    venue shows it: keeping the two equal is the caller's work.
    `stop_filled_qty` is what the venue's stop, or a hand, has closed of this plan's position outside its own orders.
    """

    spec: PlanSpec
    status: PlanStatus
    opened_ms: int
    orders: tuple[PlanOrder, ...] = ()
    stop_price: Decimal | None = None
    stop_filled_qty: Decimal = ZERO
    be_done: bool = False
    be_requested: bool = False
    entries_stopped: bool = False
    entries_stopped_reason: CloseReason | None = None
    close_reason: CloseReason | None = None
    notified: frozenset[str] = field(default_factory=frozenset)
    _tally: Tally | None = field(default=None, init=False, repr=False, compare=False)
    _position: Decimal | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def tally(self) -> Tally:
        """The orders added up; worked out once, since a state never changes."""
        known = self._tally
        if known is None:
            known = tally(self.orders)
            object.__setattr__(self, "_tally", known)
        return known

    def with_orders(self, orders: tuple[PlanOrder, ...]) -> "PlanState":
        """A copy with other orders; replays make very many of these."""
        return PlanState(
            self.spec,
            self.status,
            self.opened_ms,
            orders,
            self.stop_price,
            self.stop_filled_qty,
            self.be_done,
            self.be_requested,
            self.entries_stopped,
            self.entries_stopped_reason,
            self.close_reason,
            self.notified,
        )

    def with_rested(self, orders: tuple[PlanOrder, ...]) -> "PlanState":
        """`with_orders` where intents have merely come to rest at the venue: no sum changes by that."""
        return self.with_orders(orders).with_sums_of(self)

    def with_sums_of(self, before: "PlanState") -> "PlanState":
        """Itself, spared the adding up: its orders add up as those of `before` did."""
        object.__setattr__(self, "_tally", before._tally)
        object.__setattr__(self, "_position", before._position)
        return self

    def of(self, role: OrderRole, rung: int | None = None, cycle: int | None = None) -> list[PlanOrder]:
        """The plan's orders of a role, of one rung of it, or of one cycle of that rung."""
        if rung is None and cycle is None:
            return [order for order in self.orders if order.role is role]
        return [
            order
            for order in self.orders
            if order.role is role and rung in (None, order.rung) and cycle in (None, order.cycle)
        ]

    @property
    def may_enter(self) -> bool:
        """After break-even nothing is bought any more: the stop stands where a rung would be bought."""
        return not self.entries_stopped and not self.be_done

    @property
    def entered_qty(self) -> Decimal:
        return self.tally.entered

    @property
    def position_qty(self) -> Decimal:
        """What the plan still holds, >= 0 (more closed than entered counts as flat)."""
        known = self._position
        if known is None:
            sums = self.tally
            known = max(sums.entered - sums.exited - sums.closed - self.stop_filled_qty, ZERO)
            object.__setattr__(self, "_position", known)
        return known

    @property
    def average_entry(self) -> Decimal | None:
        """Of everything entered so far; for a grid that has cycled use `holding_average`."""
        return average_price(self.of(OrderRole.ENTRY))

    @property
    def holding_average(self) -> Decimal | None:
        """Average entry of what is still held: entries that their own take-profit has not closed."""
        if not self.spec.is_grid:
            return self.average_entry
        cost = size = ZERO
        for step in self.tally.steps.values():
            average = average_price(step.entries)
            left = step.entered - step.exited
            if average is not None and left > 0:
                cost += left * average
                size += left
        return cost / size if size else self.average_entry


class EventKind(StrEnum):
    OPERATOR_CLOSE = "operator_close"
    OPERATOR_BREAK_EVEN = "operator_break_even"
    CANCEL_ENTRIES = "cancel_entries"
    KILL_SWITCH = "kill_switch"
    """Flatten: the plan is closed. A mere halt is CANCEL_ENTRIES."""
    STOP_TRIGGERED = "stop_triggered"


@dataclass(frozen=True, slots=True)
class PlanEvent:
    kind: EventKind
    time_ms: int = 0


@dataclass(frozen=True, slots=True)
class MarketView:
    """`price` is the mark price; None (unknown) postpones what needs it. `trend` is the 15m trend, None if unknown.

    `entries_allowed` False (REDUCING, HALTED, losing Redis) holds back every new entry without giving it up.
    """

    now_ms: int
    price: Decimal | None
    trend: int | None = None
    next_funding_ms: int | None = None
    entries_allowed: bool = True


def average_price(orders: Iterable[PlanOrder]) -> Decimal | None:
    size = cost = ZERO
    for order in orders:
        if order.filled_qty > 0 and order.avg_price is not None:
            size += order.filled_qty
            cost += order.filled_qty * order.avg_price
    return cost / size if size else None
