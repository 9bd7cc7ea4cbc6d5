"""Comparing our books with the venue, both ways. Pure: in go two pictures, out come named differences.

An answer that did not come is None and proves nothing: no rule that needs it speaks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from avigrid.kernel.money import plain
from avigrid.kernel.orders import Execution, OrderStatus, VenueOrder
from avigrid.kernel.portfolio import VenuePosition

ZERO = Decimal(0)
type Number = str | int | None


class Kind(StrEnum):
    FILL_MISSED = "fill_missed"
    ORDER_DONE = "order_done"
    ORDER_LOST = "order_lost"
    ORDER_REVIVED = "order_revived"
    ORDER_FOREIGN = "order_foreign"
    ORDER_AMENDED = "order_amended"
    POSITION_MISMATCH = "position_mismatch"
    POSITION_FOREIGN = "position_foreign"
    POSITION_OLD = "position_old"
    STOP_MISSING = "stop_missing"
    EXITS_EXCEED = "exits_exceed"
    WALLET_OFF = "wallet_off"


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


LEVELS: dict[Kind, Level] = {
    Kind.FILL_MISSED: Level.INFO,
    Kind.ORDER_DONE: Level.INFO,
    Kind.ORDER_LOST: Level.WARNING,
    Kind.ORDER_REVIVED: Level.WARNING,
    Kind.ORDER_FOREIGN: Level.WARNING,
    Kind.ORDER_AMENDED: Level.WARNING,
    Kind.POSITION_MISMATCH: Level.CRITICAL,
    Kind.POSITION_FOREIGN: Level.CRITICAL,
    Kind.POSITION_OLD: Level.WARNING,
    Kind.STOP_MISSING: Level.CRITICAL,
    Kind.EXITS_EXCEED: Level.CRITICAL,
    Kind.WALLET_OFF: Level.WARNING,
}


@dataclass(frozen=True, slots=True)
class BookedOrder:
    order_link_id: str
    venue_order_id: str
    symbol: str
    position_idx: int
    status: OrderStatus
    quantity: Decimal
    filled_qty: Decimal
    reduce_only: bool
    sent_age_ms: int
    """Since it was submitted; an order younger than the grace period is still on its way."""
    plan_is_open: bool
    venue_updated_ms: int = 0
    """Of the newest word of the venue's that is booked: an older row says nothing new."""


@dataclass(frozen=True, slots=True)
class BookedPosition:
    symbol: str
    position_idx: int
    size: Decimal
    """Signed."""
    plan_id: int | None
    """The open plan it belongs to."""
    stop_price: Decimal | None
    fill_count: int


@dataclass(frozen=True, slots=True)
class Books:
    installation: str
    live_orders: Sequence[BookedOrder]
    done_orders: Mapping[str, BookedOrder]
    """Terminal ones the venue still lists, by order link id."""
    positions: Sequence[BookedPosition]
    known_executions: frozenset[str]
    """References."""
    busy: frozenset[tuple[str, int]] = frozenset()
    """Positions with an open plan or a live order: what the books lack there is not older than these."""


@dataclass(frozen=True, slots=True)
class VenuePicture:
    open_orders: Sequence[VenueOrder] | None
    positions: Sequence[VenuePosition] | None
    executions: Sequence[Execution] | None
    looked_up: Mapping[str, VenueOrder | None] = field(default_factory=dict)
    """Answers for single orders about which list and books disagree; a missing key means: not asked or no answer."""
    history_start_ms: int = 0
    """How far back the venue's executions reach."""


@dataclass(frozen=True, slots=True)
class Difference:
    kind: Kind
    subject: str
    symbol: str
    sentence: str
    numbers: Mapping[str, Number] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        return LEVELS[self.kind]


def is_position_stop(row: VenueOrder) -> bool:
    """The venue's own order behind a position-level stop or take-profit: nobody's order but the position's."""
    return row.stop_order_type in ("StopLoss", "TakeProfit", "TrailingStop")


def missed_fills(books: Books, venue: VenuePicture) -> list[Difference]:
    return [
        Difference(
            Kind.FILL_MISSED,
            row.reference,
            row.symbol,
            f"{row.side} {plain(row.quantity)} {row.symbol} at {plain(row.price)} was not in the books.",
            {"exec_id": row.exec_id, "order_link_id": row.order_link_id},
        )
        for row in venue.executions or ()
        if row.reference not in books.known_executions
    ]


def order_differences(books: Books, venue: VenuePicture, *, grace_ms: int) -> list[Difference]:
    if venue.open_orders is None:
        return []
    found: list[Difference] = []
    listed = {row.order_link_id: row for row in venue.open_orders if row.order_link_id}
    for order in books.live_orders:
        if order.status is OrderStatus.INTENT or order.order_link_id in listed or order.sent_age_ms < grace_ms:
            continue
        if order.order_link_id not in venue.looked_up:
            continue
        row = venue.looked_up[order.order_link_id]
        if row is not None and not row.is_open:
            found.append(
                Difference(
                    Kind.ORDER_DONE,
                    order.order_link_id,
                    order.symbol,
                    f"Order {order.order_link_id} is {row.status} at the venue, {plain(row.filled_qty)} filled.",
                    {"venue_status": row.status, "venue_filled": plain(row.filled_qty)},
                )
            )
        elif row is None:
            found.append(
                Difference(
                    Kind.ORDER_LOST,
                    order.order_link_id,
                    order.symbol,
                    f"Order {order.order_link_id} is gone at the venue and nothing explains it yet.",
                    {"status": order.status.value, "sent_age_ms": order.sent_age_ms},
                )
            )
    live = {order.order_link_id for order in books.live_orders}
    for row in venue.open_orders:
        if is_position_stop(row) or row.order_link_id in live:
            continue
        done = books.done_orders.get(row.order_link_id)
        if done is not None:
            asked = venue.looked_up.get(row.order_link_id)
            if row.updated_ms < done.venue_updated_ms or asked is None or not asked.is_open:
                continue  # it ended while the list was on its way, or nobody could say
            found.append(
                Difference(
                    Kind.ORDER_REVIVED,
                    row.order_link_id,
                    row.symbol,
                    f"Order {row.order_link_id} is live at the venue but {done.status.value} in the books.",
                    {"status": done.status.value, "plan_is_open": int(done.plan_is_open)},
                )
            )
        else:
            found.append(
                Difference(
                    Kind.ORDER_FOREIGN,
                    row.order_link_id or row.order_id,
                    row.symbol,
                    f"An order that is not ours: {row.side} {plain(row.quantity)} {row.symbol}.",
                    {
                        "order_id": row.order_id,
                        "order_link_id": row.order_link_id,
                        "quantity": plain(row.quantity),
                        "price": plain(row.price) if row.price is not None else None,
                        "has_our_prefix": int(row.order_link_id.startswith(f"{books.installation}-")),
                    },
                )
            )
    return found


def position_differences(books: Books, venue: VenuePicture) -> list[Difference]:
    """Run after every missed fill is booked: what is still different then cannot be explained."""
    if venue.positions is None:
        return []
    found: list[Difference] = []
    ours = {(row.symbol, row.position_idx): row for row in books.positions}
    theirs = {(row.symbol, row.position_idx): row for row in venue.positions if row.size}
    for key in sorted(ours.keys() | theirs.keys()):
        booked, held = ours.get(key), theirs.get(key)
        booked_size = booked.size if booked else ZERO
        held_size = held.signed_size if held else ZERO
        symbol, position_idx = key
        subject = f"{symbol}/{position_idx}"
        numbers: dict[str, Number] = {"books": plain(booked_size), "venue": plain(held_size)}
        if booked_size != held_size:
            nothing_booked = (booked is None or booked.fill_count == 0) and key not in books.busy
            if held is not None and nothing_booked and held.created_ms < venue.history_start_ms:
                found.append(
                    Difference(
                        Kind.POSITION_OLD,
                        subject,
                        symbol,
                        f"{plain(held_size)} {symbol} is older than the venue's history: adopted at its average.",
                        numbers,
                    )
                )
            else:
                found.append(
                    Difference(
                        Kind.POSITION_MISMATCH,
                        subject,
                        symbol,
                        f"{symbol}: the books say {plain(booked_size)}, the venue {plain(held_size)}.",
                        numbers,
                    )
                )
        elif held is not None and (booked is None or booked.plan_id is None):
            found.append(
                Difference(
                    Kind.POSITION_FOREIGN,
                    subject,
                    symbol,
                    f"{plain(held_size)} {symbol} belongs to no plan: adopt, flatten or ignore it.",
                    numbers,
                )
            )
        if held is not None and booked is not None and booked.plan_id is not None and not held.stop_loss:
            found.append(
                Difference(
                    Kind.STOP_MISSING,
                    subject,
                    symbol,
                    f"{plain(held_size)} {symbol} has no stop at the venue.",
                    {"wanted": plain(booked.stop_price) if booked.stop_price is not None else None},
                )
            )
    return found


def exit_differences(books: Books, venue: VenuePicture) -> list[Difference]:
    """Sum of resting reduce-only quantities against the position they may reduce."""
    if venue.positions is None or venue.open_orders is None:
        return []
    held = {(row.symbol, row.position_idx): row.size for row in venue.positions}
    resting: dict[tuple[str, int], Decimal] = {}
    for row in venue.open_orders:
        if row.reduce_only and not row.stop_order_type:
            key = (row.symbol, row.position_idx)
            resting[key] = resting.get(key, ZERO) + row.quantity - row.filled_qty
    return [
        Difference(
            Kind.EXITS_EXCEED,
            f"{symbol}/{position_idx}",
            symbol,
            f"{symbol}: exits of {plain(quantity)} rest, more than the position.",
            {"exits": plain(quantity), "position": plain(held.get((symbol, position_idx), ZERO))},
        )
        for (symbol, position_idx), quantity in sorted(resting.items())
        if quantity > held.get((symbol, position_idx), ZERO)
    ]
