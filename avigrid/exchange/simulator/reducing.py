"""Orders that may only reduce: how much they may, and what becomes of them when the position shrinks."""

from avigrid.exchange.simulator.account import Account
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.orders import Order
from avigrid.exchange.simulator.positions import Position


def closable(order: Order) -> int:
    """Steps the order could close now."""
    size = order.account.position(order.market, order.position_idx).size
    return max(0, -size * order.side)


def trim(core: Core, account: Account, position: Position, keep: Order | None = None) -> None:
    """Resting reduce-only orders never add up to more than the position: the farthest from the market give way first.

    `keep` is counted and not cut (an order just accepted)."""
    symbol = position.market.symbol
    mine = [
        order
        for order in account.opens(symbol).values()
        if order.closes_only and order.in_book and order.position_idx == position.idx
    ]
    if not mine:
        return
    allowed = abs(position.size)
    if keep is not None:
        allowed -= min(keep.leaves, allowed)
    mine.sort(key=lambda order: (-order.price * order.side, order.number))
    for order in mine:
        if order is keep:
            continue
        room = allowed if position.size * order.side < 0 else 0
        if order.leaves <= room:
            allowed -= order.leaves
        elif room == 0:
            core.close(order, "Cancelled", "CancelByReduceOnly", "EC_Others")
        else:
            order.qty -= order.leaves - room
            order.leaves = room
            allowed = 0
            core.counters["reduce_only_shrunk"] += 1
            position.market.book.touch(core.now_ms)
            core.tell(order)
