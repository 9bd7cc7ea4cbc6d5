"""A plan as it stands: its spec, its orders and what was recorded about it. Rebuilt from rows before every step."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from avigrid.kernel.money import ZERO
from avigrid.kernel.orders import OrderRole, OrderStatus
from trading.avi5.actions import CloseReason, PlanStatus
from trading.avi5.spec import PlanSpec


@dataclass(frozen=True, slots=True)
class PlanOrder:
    """One order of the plan. `ref` names it for the caller (its order_link_id). `filled_qty` comes from executions."""

    ref: str
    role: OrderRole
    rung: int
    cycle: int
    attempt: int
    status: OrderStatus
    quantity: Decimal
    filled_qty: Decimal
    avg_price: Decimal | None
    price: Decimal | None
    cancel_requested: bool = False

    @property
    def is_live(self) -> bool:
        """Not proven finished: an intent and an unknown order may still fill."""
        return not self.status.is_terminal

    @property
    def open_qty(self) -> Decimal:
        return max(self.quantity - self.filled_qty, ZERO) if self.is_live else ZERO


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

    def of(self, role: OrderRole, rung: int | None = None, cycle: int | None = None) -> list[PlanOrder]:
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
        return filled(self.of(OrderRole.ENTRY))

    @property
    def position_qty(self) -> Decimal:
        """What the plan still holds, >= 0 (more closed than entered counts as flat)."""
        closed = filled(self.of(OrderRole.TAKE_PROFIT)) + filled(self.of(OrderRole.CLOSE)) + self.stop_filled_qty
        return max(self.entered_qty - closed, ZERO)

    @property
    def average_entry(self) -> Decimal | None:
        """Of everything entered so far; for a grid that has cycled use `holding_average`."""
        return average_price(self.of(OrderRole.ENTRY))

    @property
    def holding_average(self) -> Decimal | None:
        """Average entry of what is still held: entries whose own take-profit has not closed them (pro rata)."""
        if not any(rung.take_profit is not None for rung in self.spec.rungs):
            return self.average_entry
        cost = size = ZERO
        for entry in self.of(OrderRole.ENTRY):
            if entry.avg_price is None or entry.filled_qty <= 0:
                continue
            siblings = self.of(OrderRole.ENTRY, entry.rung, entry.cycle)
            exited = filled(self.of(OrderRole.TAKE_PROFIT, entry.rung, entry.cycle))
            left = entry.filled_qty * max(1 - exited / filled(siblings), ZERO)
            cost += left * entry.avg_price
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


def filled(orders: Iterable[PlanOrder]) -> Decimal:
    return sum((order.filled_qty for order in orders), ZERO)


def still_open(orders: Iterable[PlanOrder]) -> Decimal:
    return sum((order.open_qty for order in orders), ZERO)


def average_price(orders: Iterable[PlanOrder]) -> Decimal | None:
    size = cost = ZERO
    for order in orders:
        if order.filled_qty > 0 and order.avg_price is not None:
            size += order.filled_qty
            cost += order.filled_qty * order.avg_price
    return cost / size if size else None
