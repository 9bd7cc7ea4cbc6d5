"""A plan's orders added up once, per rung and cycle: what was bought, sold, still rests, or failed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from avigrid.kernel.money import ZERO
from avigrid.kernel.orders import OrderRole, OrderStatus


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
        return self.status not in _TERMINAL

    @property
    def open_qty(self) -> Decimal:
        return max(self.quantity - self.filled_qty, ZERO) if self.is_live else ZERO

    def changed(
        self, status: OrderStatus, filled_qty: Decimal | None = None, avg_price: Decimal | None = None
    ) -> "PlanOrder":
        """A copy with what a venue's answer changes; replays make very many of these."""
        return PlanOrder(
            self.ref,
            self.role,
            self.rung,
            self.cycle,
            self.attempt,
            status,
            self.quantity,
            self.filled_qty if filled_qty is None else filled_qty,
            self.avg_price if avg_price is None else avg_price,
            self.price,
            self.cancel_requested,
        )


_TERMINAL = frozenset(status for status in OrderStatus if status.is_terminal)


@dataclass(slots=True)
class Step:
    """The orders of one rung and cycle (for a swing's exits, `rung` counts the take-profits)."""

    entries: list[PlanOrder] = field(default_factory=list)
    exits: list[PlanOrder] = field(default_factory=list)
    entered: Decimal = ZERO
    exited: Decimal = ZERO
    exits_open: Decimal = ZERO
    is_entry_live: bool = False
    is_exit_live: bool = False
    failed_exits: int = 0
    """Ended without filling: refused, or cancelled by somebody."""


NO_STEP = Step()


@dataclass(slots=True)
class Tally:
    steps: dict[tuple[int, int], Step] = field(default_factory=dict)
    last_cycle: dict[int, int] = field(default_factory=dict)
    """Per rung, the newest cycle that has an entry."""
    closes: list[PlanOrder] = field(default_factory=list)
    entered: Decimal = ZERO
    exited: Decimal = ZERO
    closed: Decimal = ZERO
    exits_open: Decimal = ZERO
    closes_open: Decimal = ZERO
    is_entry_live: bool = False
    is_live: bool = False

    def step(self, rung: int, cycle: int) -> Step:
        return self.steps.get((rung, cycle), NO_STEP)


def tally(orders: Iterable[PlanOrder]) -> Tally:
    total = Tally()
    steps = total.steps
    for order in orders:
        is_live = order.status not in _TERMINAL
        got = order.filled_qty
        if is_live:
            total.is_live = True
        if order.role is OrderRole.CLOSE:
            total.closes.append(order)
            total.closed += got
            if is_live:
                total.closes_open += order.quantity - got
            continue
        key = (order.rung, order.cycle)
        step = steps.get(key)
        if step is None:
            step = steps[key] = Step()
        if order.role is OrderRole.ENTRY:
            step.entries.append(order)
            if got:
                step.entered += got
                total.entered += got
            if is_live:
                step.is_entry_live = total.is_entry_live = True
            if order.cycle >= total.last_cycle.get(order.rung, 0):
                total.last_cycle[order.rung] = order.cycle
            continue
        step.exits.append(order)
        if got:
            step.exited += got
            total.exited += got
        if is_live:
            step.is_exit_live = True
            step.exits_open += order.quantity - got
            total.exits_open += order.quantity - got
        elif got < order.quantity:
            step.failed_exits += 1
    return total
