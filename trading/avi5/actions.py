"""What a plan asks for. The caller records every action in the transaction that also moves the plan's stored state."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from avigrid.kernel.orders import OrderRole, OrderType, Side, TimeInForce


class PlanStatus(StrEnum):
    """`placing` until the first entry fill; the last three are final."""

    PLACING = "placing"
    ACTIVE = "active"
    CLOSING = "closing"
    CLOSED = "closed"
    FAILED_UNDERFILL = "failed_underfill"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in (PlanStatus.CLOSED, PlanStatus.FAILED_UNDERFILL, PlanStatus.FAILED)


class CloseReason(StrEnum):
    STOP = "stop"
    TAKE_PROFIT = "take_profit"
    TIME = "time"
    FUNDING = "funding"
    OPERATOR = "operator"
    KILL_SWITCH = "kill_switch"
    UNDERFILL = "underfill"
    REJECTED = "rejected"
    TREND = "trend"
    CANCELLED = "cancelled"
    """Entries withdrawn by the operator or a halt before anything filled."""


class StopReason(StrEnum):
    INITIAL = "initial"
    BREAK_EVEN = "break_even"


class Notice(StrEnum):
    """Told once; the key under which the caller remembers that is `NotifyOnce.key`."""

    BREAK_EVEN = "break_even"
    FUNDING = "funding"
    EXIT_REFUSED = "exit_refused"
    CLOSE_STUCK = "close_stuck"


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """Record as an intent; (role, rung, cycle, attempt) is its identity within the plan."""

    role: OrderRole
    rung: int
    cycle: int
    attempt: int
    side: Side
    order_type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal | None
    reduce_only: bool


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Record as `cancel_requested` on that order; asking is not a verdict."""

    ref: str


@dataclass(frozen=True, slots=True)
class MoveStop:
    """Record as `stop_price`; with reason break_even also as `be_done`. The venue's stop follows `stop_price`."""

    price: Decimal
    reason: StopReason


@dataclass(frozen=True, slots=True)
class StopEntries:
    """Record as `entries_stopped`: nothing new is bought for this plan any more; exits stay."""

    reason: CloseReason


@dataclass(frozen=True, slots=True)
class BeginClose:
    """Record as status `closing` and `close_reason`."""

    reason: CloseReason


@dataclass(frozen=True, slots=True)
class NotifyOnce:
    """Record `key` in `notified`; tell the operator and the webhook."""

    kind: Notice
    key: str


@dataclass(frozen=True, slots=True)
class Activate:
    """Record as status `active`: the first entry has filled."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Record as the plan's final status. Everything is flat and nothing of ours is live."""

    status: PlanStatus
    reason: CloseReason


Action = PlaceOrder | CancelOrder | MoveStop | StopEntries | BeginClose | NotifyOnce | Activate | Finish
