"""Untriggered orders: when they wake, how they enter the book, how a trailing stop follows the price."""

from decimal import Decimal

from avigrid.exchange.simulator import reducing, rows
from avigrid.exchange.simulator.account import PrivateEvent
from avigrid.exchange.simulator.checks import check_margin
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.market import Market
from avigrid.exchange.simulator.matching import submit
from avigrid.exchange.simulator.orders import BUY, Order
from avigrid.exchange.simulator.refusals import Refusal

_MAX_ROUNDS = 200


def run(core: Core, market: Market) -> None:
    """Fires everything due, and what that makes due, until nothing is."""
    for _ in range(_MAX_ROUNDS):
        if not market.untriggered:
            break
        low, high = market.low_since_check, market.high_since_check
        market.low_since_check = market.high_since_check = 0
        _trail(market, low, high)
        due = [order for order in market.untriggered if _is_due(market, order, low, high)]
        if not due:
            break
        for order in due:
            if order.status == "Untriggered":
                fire(core, order)
    market.low_since_check = market.high_since_check = 0


def _extremes(market: Market, trigger_by: str, low: int, high: int) -> tuple[Decimal, Decimal]:
    if trigger_by != "LastPrice":
        price = market.price_of(trigger_by)
        return price, price
    last = market.last
    return min(low or last, last) * market.tick, max(high or last, last) * market.tick


def _is_due(market: Market, order: Order, low: int, high: int) -> bool:
    trigger = order.trigger_price
    if trigger is None:
        return False
    lowest, highest = _extremes(market, order.trigger_by, low, high)
    return highest >= trigger if order.trigger_direction == 1 else 0 < lowest <= trigger


def _trail(market: Market, low: int, high: int) -> None:
    """Moves trailing stops behind the best last price seen; before the active price they sleep (no trigger price)."""
    for order in market.untriggered:
        if order.stop_order_type != "TrailingStop":
            continue
        position = order.account.position(market, order.position_idx)
        if position.trailing is None or not position.size:
            continue
        lowest, highest = _extremes(market, "LastPrice", low, high)
        best = highest if position.size > 0 else lowest
        if order.trigger_price is None:
            wanted = position.active_price
            if wanted is not None and (best - wanted) * position.direction < 0:
                continue
        level = best - position.trailing * position.direction
        if order.trigger_price is None or (level - order.trigger_price) * position.direction > 0:
            order.trigger_price = level


def fire(core: Core, order: Order) -> None:
    """Untriggered -> Triggered (told at once) -> New or its end, under the same order id."""
    market, account = order.market, order.account
    market.untriggered.remove(order)
    order.status = "Triggered"
    order.was_triggered = True
    order.updated_ms = core.now_ms
    frame = rows.order_frame(order)
    account.outbox.append(PrivateEvent("order", market.symbol, core.now_ms, market.seq, (frame,)))
    core.counters["triggered"] += 1
    position = account.position(market, order.position_idx)
    if position.guards.get(order.stop_order_type) is order:
        del position.guards[order.stop_order_type]
        if order.stop_order_type == "TakeProfit":
            position.take_profit = None
        elif order.stop_order_type == "StopLoss":
            position.stop_loss = None
        else:
            position.trailing = position.active_price = None
    partner = order.partner
    if partner is not None and partner.status == "Untriggered":
        core.close(partner, "Deactivated", "CancelByTpSlTsClear", "EC_NoError")
    if order.closes_only:
        closable = reducing.closable(order)
        if closable == 0:
            core.close(order, "Cancelled", "CancelByReduceOnly", "EC_Others")
            return
        if order.leaves > closable:
            order.qty -= order.leaves - closable
            order.leaves = closable
    if order.order_type == "Market":
        order.price = market.protected_price(order.side)
    else:
        lowest, highest = market.band()
        order.price = min(order.price, highest) if order.side == BUY else max(order.price, lowest)
    order.status = "New"
    try:
        check_margin(account, order)
    except Refusal:
        core.close(order, "Cancelled", "UNKNOWN", "EC_Others")
        return
    submit(core, order)
