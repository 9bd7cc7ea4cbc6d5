"""A plan's orders added up once, per rung and cycle: what was bought, sold, still rests, or failed."""

from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(slots=True, init=False)
class Step:
    """The orders of one rung and cycle (for a swing's exits, `rung` counts the take-profits).

    Made by the hundred thousand in a replay: a plain `__init__` takes half the time of a generated one.
    """

    entries: list[PlanOrder]
    exit_count: int
    entered: Decimal
    exited: Decimal
    exits_open: Decimal
    is_entry_live: bool
    is_exit_live: bool
    failed_exits: int
    """Ended without filling: refused, or cancelled by somebody."""

    def __init__(self) -> None:
        self.entries = []
        self.exit_count = self.failed_exits = 0
        self.entered = self.exited = self.exits_open = ZERO
        self.is_entry_live = self.is_exit_live = False


NO_STEP = Step()


@dataclass(slots=True, init=False)
class Tally:
    steps: dict[tuple[int, int], Step]
    last_cycle: dict[int, int]
    """Per rung, the newest cycle that has an entry."""
    closes: list[PlanOrder]
    entered: Decimal
    exited: Decimal
    closed: Decimal
    exits_open: Decimal
    closes_open: Decimal
    is_entry_live: bool
    is_live: bool

    def __init__(self) -> None:
        self.steps = {}
        self.last_cycle = {}
        self.closes = []
        self.entered = self.exited = self.closed = self.exits_open = self.closes_open = ZERO
        self.is_entry_live = self.is_live = False

    def step(self, rung: int, cycle: int) -> Step:
        return self.steps.get((rung, cycle), NO_STEP)


def tally(orders: Iterable[PlanOrder]) -> Tally:
    """Replays spend most of their time here: names instead of attributes, and nothing looked up twice."""
    total = Tally()
    steps, last_cycle = total.steps, total.last_cycle
    entry, close = OrderRole.ENTRY, OrderRole.CLOSE
    entered = exited = exits_open = ZERO
    for order in orders:
        is_live = order.status not in _TERMINAL
        got, role = order.filled_qty, order.role
        if is_live:
            total.is_live = True
        if role is close:
            total.closes.append(order)
            total.closed += got
            if is_live:
                total.closes_open += order.quantity - got
            continue
        rung, cycle = key = order.rung, order.cycle
        step = steps.get(key)
        if step is None:
            step = steps[key] = Step()
        if role is entry:
            step.entries.append(order)
            if got:
                step.entered += got
                entered += got
            if is_live:
                step.is_entry_live = total.is_entry_live = True
            if cycle >= last_cycle.get(rung, 0):
                last_cycle[rung] = cycle
            continue
        step.exit_count += 1
        if got:
            step.exited += got
            exited += got
        if is_live:
            step.is_exit_live = True
            left = order.quantity - got
            step.exits_open += left
            exits_open += left
        elif got < order.quantity:
            step.failed_exits += 1
    total.entered, total.exited, total.exits_open = entered, exited, exits_open
    return total
