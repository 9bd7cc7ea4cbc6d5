"""Take profit, stop loss and trailing stop of positions, kept as untriggered child orders.

Full mode: one market order per kind, as large as the position. Partial mode: any number, each with its own quantity,
market or limit. When the position goes flat all of them go with CancelByTpSlTsClear. Nothing here matches.
"""

from dataclasses import dataclass
from decimal import Decimal

from avigrid.exchange.simulator.account import Account
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.orders import ExitTerms, Order
from avigrid.exchange.simulator.positions import Position

FULL_KINDS = ("TakeProfit", "StopLoss", "TrailingStop")
PARTIAL_KINDS = ("PartialTakeProfit", "PartialStopLoss")


@dataclass(frozen=True, slots=True)
class Guard:
    """What a child order waits for. `limit` None = market."""

    kind: str
    trigger: Decimal
    trigger_by: str
    qty: int
    limit: Decimal | None = None


def _direction(position: Position, kind: str) -> int:
    """Bybit's triggerDirection: 1 rise, 2 fall. A long takes profit on a rise and stops on a fall."""
    return 1 if (position.direction > 0) == kind.endswith("TakeProfit") else 2


def add_guard(core: Core, account: Account, position: Position, guard: Guard, parent_link: str = "") -> Order:
    market = position.market
    order = Order(
        account=account,
        market=market,
        order_id=core.ids.uuid(),
        link_id="",
        side=-position.direction,
        order_type="Market" if guard.limit is None else "Limit",
        price=0 if guard.limit is None else market.ticks(guard.limit),
        qty=guard.qty,
        tif="IOC" if guard.limit is None else "GTC",
        position_idx=position.idx,
        reduce_only=True,
        close_on_trigger=True,
        closes_only=True,
        created_ms=core.now_ms,
        number=core.next_order_number(),
        leaves=guard.qty,
        status="Untriggered",
        create_type=f"CreateBy{guard.kind}",
        stop_order_type=guard.kind,
        trigger_price=guard.trigger,
        trigger_direction=_direction(position, guard.kind),
        trigger_by=guard.trigger_by,
        exits=ExitTerms(mode="Full" if guard.kind in FULL_KINDS else "Partial"),
        parent_link_id=parent_link,
        last_on_created=market.last_price,
    )
    account.orders[order.order_id] = order
    account.history.append(order)
    account.opens(market.symbol)[order.order_id] = order
    market.untriggered.append(order)
    core.tell(order)
    return order


def set_full(
    core: Core, account: Account, position: Position, kind: str, trigger: Decimal | None, by: str, parent: str = ""
) -> None:
    """Replaces (None: removes) the guard of one kind; `parent` is the link id of the order that brought it."""
    old = position.guards.get(kind)
    if trigger is None:
        if old is not None:
            del position.guards[kind]
            core.close(old, "Deactivated", "CancelByUser", "EC_PerCancelRequest")
    elif old is not None:
        old.trigger_price = trigger
        old.trigger_by = by
        old.trigger_direction = _direction(position, kind)
        core.tell(old)
    else:
        guard = Guard(kind, trigger, by, abs(position.size))
        position.guards[kind] = add_guard(core, account, position, guard, parent)
    if kind == "TakeProfit":
        position.take_profit, position.tp_trigger_by = trigger, by
    elif kind == "StopLoss":
        position.stop_loss, position.sl_trigger_by = trigger, by
    account.touch(position.market.symbol)


def partials(account: Account, position: Position) -> list[Order]:
    return [
        order
        for order in position.market.untriggered
        if order.account is account and order.position_idx == position.idx and order.stop_order_type in PARTIAL_KINDS
    ]


def clear(core: Core, account: Account, position: Position) -> None:
    """The position is gone (or turned): its protection goes too."""
    for order in [*position.guards.values(), *partials(account, position)]:
        core.close(order, "Deactivated", "CancelByTpSlTsClear", "EC_NoError")
    position.guards.clear()
    position.take_profit = position.stop_loss = position.trailing = position.active_price = None


def resize(core: Core, position: Position) -> None:
    """Full-mode guards are always as large as the position."""
    size = abs(position.size)
    for order in position.guards.values():
        if order.qty != size:
            order.qty = order.leaves = size
            core.tell(order)


def on_fill(core: Core, order: Order, position: Position, steps: int) -> None:
    """TP/SL that rode on the order come to stand on the position with its fills."""
    terms = order.exits
    if terms.is_empty or order.stop_order_type in (*FULL_KINDS, *PARTIAL_KINDS) or position.direction != order.side:
        return
    account = order.account
    if terms.mode != "Partial":
        for kind, trigger, by, stands in (
            ("TakeProfit", terms.take_profit, terms.tp_trigger_by, position.take_profit),
            ("StopLoss", terms.stop_loss, terms.sl_trigger_by, position.stop_loss),
        ):
            if trigger is not None and trigger != stands:
                set_full(core, account, position, kind, trigger, by or "LastPrice", order.link_id)
        return
    wanted = (
        ("PartialTakeProfit", terms.take_profit, terms.tp_trigger_by, terms.tp_limit),
        ("PartialStopLoss", terms.stop_loss, terms.sl_trigger_by, terms.sl_limit),
    )
    children = order.exit_children
    if children is None:
        children = order.exit_children = {}
    for kind, trigger, by, limit in wanted:
        if trigger is None:
            continue
        child = children.get(kind)
        if child is not None and child.status == "Untriggered":
            child.qty += steps
            child.leaves += steps
            core.tell(child)
        else:
            guard = Guard(kind, trigger, by or "LastPrice", steps, limit)
            children[kind] = add_guard(core, account, position, guard, order.link_id)
    pair(children.get("PartialTakeProfit"), children.get("PartialStopLoss"))


def pair(first: Order | None, second: Order | None) -> None:
    if first is not None and second is not None:
        first.partner, second.partner = second, first
