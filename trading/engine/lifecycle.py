"""The order state machine: one table, every (status, event) pair defined, no exceptions thrown.

Status moves on evidence only. `filled` follows from booked executions, never from a status word; a `cancelled` word
counts once every execution it claims is booked (see `trading.engine.belief`).
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

from avigrid.kernel.orders import OrderStatus


class OrderEventKind(StrEnum):
    SEND = "send"
    """About to be sent; committed before the first byte leaves."""
    NOT_SENT = "not_sent"
    """The venue surely did not execute it (rate limit, clock); the same intent may be sent again."""
    ACK = "ack"
    REJECT = "reject"
    """Refused for good: by the venue, or by our own guards before sending."""
    UNCERTAIN = "uncertain"
    """Timeout, 5xx, lost connection, ambiguous code, or a restart in the middle of sending."""
    ADOPT = "adopt"
    """A query or a duplicate-id refusal shows it live at the venue."""
    VENUE_OPEN = "venue_open"
    """An order frame shows it resting; frames may be late."""
    PARTIAL_FILL = "partial_fill"
    FULL_FILL = "full_fill"
    VENUE_CANCELLED = "venue_cancelled"
    VENUE_REJECTED = "venue_rejected"
    FILLS_MISSING = "fills_missing"
    """The venue claims executions we have not booked: fetch them before believing the rest."""
    MISSING = "missing"
    """A complete list of open orders lacks it and nothing explains why."""
    NO_EVIDENCE = "no_evidence"
    """The whole evidence window passed without a trace of it."""
    AMENDED = "amended"
    """Somebody changed its quantity or price at the venue; one that counted as filled may have more to come."""
    WITHDRAW = "withdraw"
    """Given up before it was ever sent."""


class Outcome(Enum):
    MOVED = "moved"
    SAME = "same"
    """Nothing new: late, repeated or reordered news."""
    SURPRISE = "surprise"
    """Moved, because evidence wins, but it should not have been possible: alert."""
    IMPOSSIBLE = "impossible"
    """Contradicts what is proven: recorded and alerted, nothing changes."""


@dataclass(frozen=True, slots=True)
class Transition:
    to: OrderStatus
    outcome: Outcome


_S = OrderStatus
_E = OrderEventKind
_SAME = "same"
_NEVER = "never"
_Cell = OrderStatus | tuple[OrderStatus] | str
"""A status: move there. A status in a tuple: move there and alert. _SAME: stay. _NEVER: stay, record, alert."""

_COLUMNS = (
    _S.INTENT,
    _S.SUBMITTING,
    _S.OPEN,
    _S.PARTIALLY_FILLED,
    _S.UNKNOWN,
    _S.FILLED,
    _S.CANCELLED,
    _S.REJECTED,
    _S.EXPIRED,
)
_open, _part, _unk, _full = _S.OPEN, _S.PARTIALLY_FILLED, _S.UNKNOWN, _S.FILLED
_canc, _rej, _exp, _int, _sub = _S.CANCELLED, _S.REJECTED, _S.EXPIRED, _S.INTENT, _S.SUBMITTING

# fmt: off
_ROWS: dict[OrderEventKind, tuple[_Cell, ...]] = {
    #                    intent     submitting open    partially  unknown    filled  cancelled rejected expired
    _E.SEND:            (_sub,      _NEVER,    _NEVER, _NEVER,    _NEVER,    _NEVER, _NEVER,   _NEVER,  _NEVER),
    _E.NOT_SENT:        (_SAME,     _int,      _NEVER, _NEVER,    _NEVER,    _NEVER, _NEVER,   _NEVER,  _NEVER),
    _E.ACK:             ((_open,),  _open,     _SAME,  _SAME,     _open,     _SAME,  _SAME,    (_unk,), (_unk,)),
    _E.REJECT:          (_rej,      _rej,      _NEVER, _NEVER,    _rej,      _NEVER, _SAME,    _SAME,   _SAME),
    _E.UNCERTAIN:       (_SAME,     _unk,      _SAME,  _SAME,     _SAME,     _SAME,  _SAME,    _SAME,   _SAME),
    _E.ADOPT:           ((_open,),  _open,     _SAME,  _SAME,     _open,     _NEVER, (_open,), (_open,),(_open,)),
    _E.VENUE_OPEN:      ((_open,),  _open,     _SAME,  _SAME,     _open,     _SAME,  _SAME,    (_unk,), (_unk,)),
    _E.PARTIAL_FILL:    ((_part,),  _part,     _part,  _SAME,     _part,     _NEVER, _SAME,    (_unk,), (_unk,)),
    _E.FULL_FILL:       ((_full,),  _full,     _full,  _full,     _full,     _SAME,  _full,    (_full,),(_full,)),
    _E.VENUE_CANCELLED: ((_canc,),  _canc,     _canc,  _canc,     _canc,     _NEVER, _SAME,    _SAME,   _canc),
    _E.VENUE_REJECTED:  ((_rej,),   _rej,      _rej,   _NEVER,    _rej,      _NEVER, _SAME,    _SAME,   _rej),
    _E.FILLS_MISSING:   ((_unk,),   _SAME,     _SAME,  _SAME,     _SAME,     _NEVER, (_unk,),  (_unk,), (_unk,)),
    _E.MISSING:         (_SAME,     _unk,      _unk,   _unk,      _SAME,     _SAME,  _SAME,    _SAME,   _SAME),
    _E.NO_EVIDENCE:     (_NEVER,    _NEVER,    _NEVER, _NEVER,    _exp,      _SAME,  _SAME,    _SAME,   _SAME),
    _E.AMENDED:         (_SAME,     _sub,      _open,  _part,     _unk,      (_part,), _SAME,  _SAME,   _SAME),
    _E.WITHDRAW:        (_canc,     _NEVER,    _NEVER, _NEVER,    _NEVER,    _SAME,  _SAME,    _SAME,   _SAME),
}
# fmt: on


def _transition(status: OrderStatus, cell: _Cell) -> Transition:
    if isinstance(cell, tuple):
        return Transition(cell[0], Outcome.SURPRISE)
    if isinstance(cell, OrderStatus):
        return Transition(cell, Outcome.MOVED)
    return Transition(status, Outcome.SAME if cell == _SAME else Outcome.IMPOSSIBLE)


TABLE: dict[tuple[OrderStatus, OrderEventKind], Transition] = {
    (status, event): _transition(status, cell)
    for event, cells in _ROWS.items()
    for status, cell in zip(_COLUMNS, cells, strict=True)
}


def transition(status: OrderStatus, event: OrderEventKind) -> Transition:
    return TABLE[status, event]
