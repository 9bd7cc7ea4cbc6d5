"""Creates orders from Bybit's parameters: reads, checks, and lets them meet the book."""

import re
from decimal import Decimal

from avigrid.exchange.simulator import checks, conditional, reducing
from avigrid.exchange.simulator import params as read
from avigrid.exchange.simulator.account import Account
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.market import Market
from avigrid.exchange.simulator.matching import submit
from avigrid.exchange.simulator.orders import BUY, NO_EXITS, SELL, ExitTerms, Order
from avigrid.exchange.simulator.params import Params
from avigrid.exchange.simulator.refusals import (
    Refusal,
    bad_parameter,
    duplicate_link_id,
    mode_mismatch,
    unknown_symbol,
)

ZERO = Decimal(0)
_LINK_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_TIFS = ("GTC", "IOC", "FOK", "PostOnly", "RPI")
_SMP = ("None", "CancelMaker", "CancelTaker", "CancelBoth")


def market_of(core: Core, params: Params) -> Market:
    category = read.category(params)
    symbol = read.required(params, "symbol")
    market = core.markets.get(symbol)
    if market is None or category != "linear":
        raise unknown_symbol()
    return market


# -- create ---------------------------------------------------------------------------------------------------
def create(core: Core, account: Account, params: Params, create_type: str = "CreateByUser") -> Order:
    order = build(core, account, params)
    order.create_type = create_type
    market = order.market
    account.orders[order.order_id] = order
    account.history.append(order)
    if order.link_id:
        account.by_link[order.link_id] = order
    account.opens(market.symbol)[order.order_id] = order
    account.touch(market.symbol)
    core.counters["orders_created"] += 1
    core.tell(order)
    if order.trigger_price is not None:
        market.untriggered.append(order)
    else:
        submit(core, order)
    conditional.run(core, market)
    return order


def build(core: Core, account: Account, params: Params) -> Order:
    """A checked order that touches nothing yet; raises the refusal Bybit would give."""
    market = market_of(core, params)
    side = {"Buy": BUY, "Sell": SELL}.get(read.required(params, "side"))
    if side is None:
        raise bad_parameter("side invalid")
    order_type = read.required(params, "orderType")
    if order_type not in ("Limit", "Market"):
        raise bad_parameter("orderType invalid")
    is_market = order_type == "Market"
    tif = "IOC" if is_market else read.choice(params, "timeInForce", _TIFS, "GTC")
    link_id = read.text(params, "orderLinkId")
    if link_id and not _LINK_ID.fullmatch(link_id):
        raise bad_parameter("orderLinkId invalid")
    idx = position_idx(account, market, params)
    reduce_only, close_on_trigger = read.boolean(params, "reduceOnly"), read.boolean(params, "closeOnTrigger")
    closing_side = idx != 0 and (side == BUY) != (idx == 1)
    checks.check_tradable(market)
    trigger, direction, trigger_by = _trigger(market, params)
    exits = exit_terms(market, params)
    if not exits.is_empty and (reduce_only or closing_side):
        raise bad_parameter("reduceOnly order cannot carry take profit or stop loss")
    order = Order(
        account=account,
        market=market,
        order_id=core.ids.uuid(),
        link_id=link_id,
        side=side,
        order_type=order_type,
        price=0,
        qty=0,
        tif=tif,
        position_idx=idx,
        reduce_only=reduce_only,
        close_on_trigger=close_on_trigger,
        closes_only=reduce_only or close_on_trigger or closing_side,
        created_ms=core.now_ms,
        updated_ms=core.now_ms,
        status="Untriggered" if trigger is not None else "New",
        stop_order_type="Stop" if trigger is not None else "",
        trigger_price=trigger,
        trigger_direction=direction,
        trigger_by=trigger_by,
        exits=exits,
        smp=read.choice(params, "smpType", _SMP, "None"),
        last_on_created=market.last_price,
    )
    _size_and_price(core, order, params)
    if link_id and link_id in account.by_link:
        raise duplicate_link_id()
    _check_counts(core, account, order)
    if not exits.is_empty:
        base = trigger or (market.last_price if is_market else order.price * market.tick)
        checks.check_exit_side(side, exits, base, "LastPrice" if is_market else "OrderPrice")
    if trigger is None:
        checks.check_tier(account, order)
        checks.check_margin(account, _as_priced(order))
    order.number = core.next_order_number()
    return order


def _as_priced(order: Order) -> Order:
    """For the margin check a market order counts at the price it can expect, not at its protection."""
    if order.order_type != "Market":
        return order
    best = order.market.book.against(order.side).best() or order.market.last
    probe = Order(
        account=order.account,
        market=order.market,
        order_id="",
        link_id="",
        side=order.side,
        order_type="Market",
        price=best,
        qty=order.qty,
        tif="IOC",
        position_idx=order.position_idx,
        closes_only=order.closes_only,
        leaves=order.leaves,
    )
    probe.number = 1 << 60
    return probe


def position_idx(account: Account, market: Market, params: Params) -> int:
    idx = read.integer(params, "positionIdx")
    hedge = account.is_hedge(market.symbol)
    if idx is None:
        idx = 0
    if idx not in ((1, 2) if hedge else (0,)):
        raise mode_mismatch()
    return idx


def _trigger(market: Market, params: Params) -> tuple[Decimal | None, int, str]:
    trigger = read.number(params, "triggerPrice")
    if trigger is None or trigger == 0:
        return None, 0, ""
    checks.check_price(market, trigger, "triggerPrice")
    by = read.choice(params, "triggerBy", checks.TRIGGERS, "LastPrice")
    direction = read.integer(params, "triggerDirection")
    if direction not in (1, 2):
        raise bad_parameter("triggerDirection invalid")
    checks.check_trigger_side(market, trigger, direction, by)
    return trigger, direction, by


def _exit_price(market: Market, params: Params, name: str) -> Decimal | None:
    price = read.number(params, name)
    if price is None or price == 0:
        return None
    return checks.check_price(market, price, name)


def exit_terms(market: Market, params: Params) -> ExitTerms:
    profit, stop = _exit_price(market, params, "takeProfit"), _exit_price(market, params, "stopLoss")
    tp_limit, sl_limit = _exit_price(market, params, "tpLimitPrice"), _exit_price(market, params, "slLimitPrice")
    tp_type = read.choice(params, "tpOrderType", ("Market", "Limit"), "Market")
    sl_type = read.choice(params, "slOrderType", ("Market", "Limit"), "Market")
    mode = read.choice(params, "tpslMode", ("Full", "Partial"))
    if profit is None and stop is None:
        return NO_EXITS
    if mode != "Partial" and ("Limit" in (tp_type, sl_type) or tp_limit or sl_limit):
        raise Refusal(110057, "Limit TP/SL needs tpslMode Partial")
    if (tp_type == "Limit" and tp_limit is None) or (sl_type == "Limit" and sl_limit is None):
        raise bad_parameter("tpLimitPrice or slLimitPrice is required")
    return ExitTerms(
        take_profit=profit,
        stop_loss=stop,
        tp_trigger_by=read.choice(params, "tpTriggerBy", checks.TRIGGERS, "LastPrice") if profit else "",
        sl_trigger_by=read.choice(params, "slTriggerBy", checks.TRIGGERS, "LastPrice") if stop else "",
        mode=mode or "Full",
        tp_limit=tp_limit if tp_type == "Limit" else None,
        sl_limit=sl_limit if sl_type == "Limit" else None,
    )


def _size_and_price(core: Core, order: Order, params: Params) -> None:
    market, is_market = order.market, order.order_type == "Market"
    qty = read.number(params, "qty")
    if qty is None:
        raise bad_parameter("qty is required")
    closable = reducing.closable(order)
    if qty == 0 and order.reduce_only and order.close_on_trigger:
        if closable == 0:
            raise Refusal(110017, "current position is zero, cannot fix reduce-only order qty")
        most = market.spec.max_market_qty if is_market else market.spec.max_limit_qty
        qty = min(closable * market.step, most)
    price = read.number(params, "price")
    if not is_market:
        price = _best_price(order, params) or price
        if price is None:
            raise bad_parameter("price is required")
        checks.check_price(market, price)
    if order.closes_only and order.trigger_price is None:
        _check_reducing(order, closable)
        if qty > closable * market.step:
            checks.check_quantity(market, qty, is_market, is_capped=False)
            qty = closable * market.step
    checks.check_quantity(market, qty, is_market, is_capped=not order.reduce_only)
    order.qty = order.leaves = market.steps(qty)
    if is_market:
        order.price = 0 if order.trigger_price is not None else _market_limit(core, order, params)
    else:
        assert price is not None
        order.price = market.ticks(price)
        if order.trigger_price is None:
            order.price = checks.banded(core, market, order.side, order.price)
    if not order.closes_only:
        checks.check_notional(market, qty, order.price * market.tick if not is_market else market.last_price)


def _best_price(order: Order, params: Params) -> Decimal | None:
    """bboSideType: the price of one of the first five levels, of our side (Queue) or the other (Counterparty)."""
    which = read.choice(params, "bboSideType", ("Queue", "Counterparty"))
    if not which:
        return None
    level = read.integer(params, "bboLevel")
    if level is None or not 1 <= level <= 5:
        raise bad_parameter("bboLevel invalid")
    book = order.market.book
    levels = (book.side(order.side) if which == "Queue" else book.against(order.side)).levels(level)
    if len(levels) < level:
        raise Refusal(110118, "no market price")
    return levels[-1][0] * order.market.tick


def _check_reducing(order: Order, closable: int) -> None:
    size = order.account.position(order.market, order.position_idx).size
    if size == 0:
        raise Refusal(110017, "current position is zero, cannot fix reduce-only order qty")
    if closable == 0:
        raise Refusal(110017, "reduce-only order has same side with current position")


def _market_limit(core: Core, order: Order, params: Params) -> int:
    market, side = order.market, order.side
    limit = market.protected_price(side)
    kind = read.choice(params, "slippageToleranceType", ("TickSize", "Percent", "UNKNOWN"))
    tolerance = read.number(params, "slippageTolerance")
    if kind in ("", "UNKNOWN") or tolerance is None:
        return limit
    best = market.book.against(side).best() or market.last
    if kind == "TickSize":
        if not 1 <= tolerance <= 10_000 or tolerance % 1:
            raise bad_parameter("slippageTolerance invalid")
        own = best + side * int(tolerance)
    else:
        if not Decimal("0.01") <= tolerance <= 10:
            raise bad_parameter("slippageTolerance invalid")
        own = int(best * (1 + side * tolerance / 100))
    order.slippage, order.slippage_type = str(tolerance), kind
    return min(limit, own) if side == BUY else max(limit, own)


def _check_counts(core: Core, account: Account, order: Order) -> None:
    opens = account.opens(order.market.symbol).values()
    if order.trigger_price is not None:
        stops = sum(o.stop_order_type == "Stop" and o.status == "Untriggered" for o in opens)
        if stops >= core.config.max_conditional_orders:
            raise Refusal(110009, "The number of stop orders exceeds the maximum allowable limit")
    most = core.config.max_active_orders
    if order.trigger_price is None and len(opens) >= most and sum(o.in_book for o in opens) >= most:
        raise Refusal(110020, "Not allowed to have more than 500 active orders")
