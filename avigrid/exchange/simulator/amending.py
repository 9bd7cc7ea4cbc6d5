"""Finds open orders, changes them, takes them away."""

from dataclasses import replace

from avigrid.exchange.simulator import checks, conditional, protection, reducing
from avigrid.exchange.simulator import params as read
from avigrid.exchange.simulator.account import Account
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.matching import submit
from avigrid.exchange.simulator.orders import Order
from avigrid.exchange.simulator.params import Params
from avigrid.exchange.simulator.placing import market_of
from avigrid.exchange.simulator.refusals import Refusal, bad_parameter, order_not_found


def find_open(account: Account, params: Params, verb: str) -> Order:
    order_id, link_id = read.text(params, "orderId"), read.text(params, "orderLinkId")
    if not order_id and not link_id:
        raise bad_parameter("OrderId or orderLinkId is required")
    order = account.orders.get(order_id) if order_id else account.by_link.get(link_id)
    if order is None or not order.is_open or order.market.symbol != read.required(params, "symbol"):
        raise order_not_found(verb)
    return order


def cancel(core: Core, account: Account, params: Params) -> Order:
    market_of(core, params)
    order = find_open(account, params, "cancel")
    cancel_one(core, order)
    return order


def cancel_one(core: Core, order: Order, cancel_type: str = "CancelByUser") -> None:
    reason = "EC_PerCancelRequest" if cancel_type == "CancelByUser" else "EC_NoError"
    position = order.account.position(order.market, order.position_idx)
    kind = order.stop_order_type
    if position.guards.get(kind) is order:
        del position.guards[kind]
        if kind == "TakeProfit":
            position.take_profit = None
        elif kind == "StopLoss":
            position.stop_loss = None
        else:
            position.trailing = position.active_price = None
    core.close(order, "Deactivated" if order.status == "Untriggered" else "Cancelled", cancel_type, reason)


def amend(core: Core, account: Account, params: Params) -> Order:
    market = market_of(core, params)
    order = find_open(account, params, "replace")
    qty, price, trigger = (read.number(params, name) for name in ("qty", "price", "triggerPrice"))
    changed = _amend_exits(order, params)
    steps, ticks = order.qty, order.price
    if qty is not None and order.stop_order_type in protection.FULL_KINDS and order.status == "Untriggered":
        qty = None  # as large as the position, always
    if qty is not None:
        checks.check_quantity(market, qty, order.order_type == "Market")
        steps = market.steps(qty)
        if steps <= order.cum_qty:
            raise Refusal(110064, "The order quantity is not larger than the filled quantity")
        if order.closes_only and order.in_book and steps - order.cum_qty > reducing.closable(order):
            steps = order.cum_qty + reducing.closable(order)
    if price is not None and order.order_type == "Limit":
        checks.check_price(market, price)
        ticks = market.ticks(price)
        if order.status != "Untriggered":
            ticks = checks.banded(core, market, order.side, ticks)
    if trigger is not None and order.status == "Untriggered" and trigger != order.trigger_price:
        checks.check_price(market, trigger, "triggerPrice")
        by = read.choice(params, "triggerBy", checks.TRIGGERS, order.trigger_by)
        checks.check_trigger_side(market, trigger, order.trigger_direction, by)
        order.trigger_price, order.trigger_by = trigger, by
        changed = True
    if steps == order.qty and ticks == order.price and not changed:
        raise Refusal(10001, "The order remains unchanged as the parameters entered match the existing ones.")
    if order.status == "Untriggered":
        order.leaves += steps - order.qty
        order.qty, order.price = steps, ticks
        _keep_position_in_step(order)
        core.tell(order)
    elif steps != order.qty or ticks != order.price:
        _requeue(core, order, steps, ticks)
    else:
        core.tell(order)
    account.touch(market.symbol)
    conditional.run(core, market)
    return order


def _keep_position_in_step(order: Order) -> None:
    position = order.account.position(order.market, order.position_idx)
    if position.guards.get("TakeProfit") is order:
        position.take_profit = order.trigger_price
    elif position.guards.get("StopLoss") is order:
        position.stop_loss = order.trigger_price


def _amend_exits(order: Order, params: Params) -> bool:
    """TP/SL riding on the order; "0" removes."""
    old = terms = order.exits
    profit, stop = read.number(params, "takeProfit"), read.number(params, "stopLoss")
    if profit is not None:
        terms = replace(terms, take_profit=checks.check_price(order.market, profit, "takeProfit") if profit else None)
    if stop is not None:
        terms = replace(terms, stop_loss=checks.check_price(order.market, stop, "stopLoss") if stop else None)
    if not terms.is_empty and not terms.mode:
        terms = replace(terms, mode=read.choice(params, "tpslMode", ("Full", "Partial"), "Full"))
    order.exits = terms
    return terms != old


def _requeue(core: Core, order: Order, steps: int, ticks: int) -> None:
    """A smaller quantity keeps the place in the queue; a new price or more quantity loses it (and may trade)."""
    market, account = order.market, order.account
    leaves = steps - order.cum_qty
    if ticks == order.price and steps < order.qty:
        order.qty, order.leaves = steps, leaves
        market.book.touch(core.now_ms)
        core.tell(order)
        return
    old = (order.qty, order.leaves, order.price)
    order.in_book = False  # so that the checks count it once, as amended
    order.qty, order.leaves, order.price = steps, leaves, ticks
    account.touch(market.symbol)
    try:
        if not order.closes_only:
            checks.check_notional(market, leaves * market.step, ticks * market.tick)
        checks.check_tier(account, order)
        checks.check_margin(account, order)
    except Refusal:
        order.qty, order.leaves, order.price = old
        order.in_book = True
        account.touch(market.symbol)
        raise
    order.price = old[2]
    market.book.side(order.side).remove(order)
    order.price = ticks
    submit(core, order)
    if order.is_open:
        core.tell(order)
