"""Price-time priority: our takers against the book, others' takers and moving outside liquidity against our makers."""

from avigrid.exchange.simulator import reducing
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.feed import BookTarget, Level, TapeTrade
from avigrid.exchange.simulator.market import Market
from avigrid.exchange.simulator.orders import BUY, SELL, Order
from avigrid.exchange.simulator.settlement import book_fill
from avigrid.kernel.orders import Side


def submit(core: Core, order: Order) -> None:
    """An active order meets the book: trades what it may, then rests or ends."""
    market = order.market
    book = market.book
    market.next_seq()
    against = book.against(order.side)
    if order.tif in ("PostOnly", "RPI") and against.head(order.price) is not None:
        core.close(order, "Cancelled", "UNKNOWN", "EC_PostOnlyWillTakeLiquidity")
        return
    if order.tif == "FOK" and against.reachable(order.price, order.leaves) < order.leaves:
        core.close(order, "Cancelled", "UNKNOWN", "EC_CancelForNoFullFill")
        return
    _take(core, order)
    if not order.is_open:
        return
    if order.tif in ("IOC", "FOK"):
        core.close(order, "Cancelled", "UNKNOWN", "EC_NoImmediateQtyToFill")
        return
    rest(core, order)


def rest(core: Core, order: Order) -> None:
    """Behind everything at its price. An order that may only reduce pushes farther ones of its kind aside."""
    book = order.market.book
    order.in_book = True
    book.side(order.side).add(order)
    book.touch(core.now_ms)
    order.account.touch(order.market.symbol)
    core.tell(order)
    if order.closes_only:
        position = order.account.position(order.market, order.position_idx)
        reducing.trim(core, order.account, position, keep=order)


def _take(core: Core, order: Order) -> None:
    market, side = order.market, order.side
    against = market.book.against(side)
    traded = False
    while order.is_open and order.leaves:
        head = against.head(order.price)
        if head is None:
            break
        price, maker, available = head
        steps = min(available, order.leaves)
        if order.closes_only:
            steps = min(steps, reducing.closable(order))
            if steps == 0:
                core.close(order, "Cancelled", "CancelByReduceOnly", "EC_NoError" if order.cum_qty else "EC_Others")
                break
        if maker is None:
            against.eat(price, steps)
        else:
            if maker.account is order.account and order.smp != "None":
                if _prevent_self_match(core, order, maker):
                    break
                continue
            if maker.closes_only:
                steps = min(steps, reducing.closable(maker))
                if steps == 0:
                    core.close(maker, "Cancelled", "CancelByReduceOnly", "EC_Others")
                    continue
        traded = True
        core.print_trade(market, price, steps, side)
        book_fill(core, order, price, steps, is_maker=False)
        if maker is not None:
            book_fill(core, maker, price, steps, is_maker=True)
    if traded:
        market.book.touch(core.now_ms)


def _prevent_self_match(core: Core, taker: Order, maker: Order) -> bool:
    """True when the taker is gone."""
    if taker.smp in ("CancelMaker", "CancelBoth"):
        core.close(maker, "Cancelled", "CancelBySmp", "EC_BySelfMatch")
    if taker.smp in ("CancelTaker", "CancelBoth"):
        core.close(taker, "Cancelled", "CancelBySmp", "EC_BySelfMatch")
        return True
    return False


# -- the outside ----------------------------------------------------------------------------------------------
def _grid(market: Market, levels: tuple[Level, ...]) -> dict[int, int]:
    tick, step = market.tick, market.step
    return {int(price / tick): steps for price, size in levels if (steps := int(size / step)) > 0}


def set_outside(core: Core, market: Market, target: BookTarget) -> None:
    """Replaces outside liquidity; where it now reaches our resting orders, it trades with them."""
    replace_outside(core, market, _grid(market, target.bids), _grid(market, target.asks))


def replace_outside(core: Core, market: Market, bids: dict[int, int], asks: dict[int, int]) -> None:
    """In ticks and steps; a side that crosses the other is cut at it."""
    book = market.book
    if bids and asks and max(bids) >= min(asks):
        worst = min(asks)
        bids = {price: size for price, size in bids.items() if price < worst}
    book.bids.replace(bids)
    book.asks.replace(asks)
    market.next_seq()
    uncross(core, market)
    book.touch(core.now_ms)
    if market.last == 0 and bids and asks:
        market.last = (max(bids) + min(asks)) // 2
    market.sample_premium(core.now_ms)


def uncross(core: Core, market: Market) -> None:
    """Outside bids at or above our asks (and the reverse) fill them at our price, best first, then by time."""
    book = market.book
    for maker_side, own, outside in ((SELL, book.asks, book.bids), (BUY, book.bids, book.asks)):
        while True:
            price, reach = own.best_own(), outside.best_outside()
            if price is None or reach is None or price * own.key < reach * own.key:
                break
            maker = own.own[price][0]
            steps = min(maker.leaves, outside.outside[reach])
            outside.eat(reach, steps)
            _hit(core, market, maker, price, steps, -maker_side)


def _hit(core: Core, market: Market, maker: Order, price: int, steps: int, taker_side: int) -> int:
    """Others take `steps` from our order; what it may not do (reduce nothing) it does not do."""
    if maker.closes_only:
        steps = min(steps, reducing.closable(maker))
        if steps == 0:
            core.close(maker, "Cancelled", "CancelByReduceOnly", "EC_Others")
            return 0
    core.print_trade(market, price, steps, taker_side)
    book_fill(core, maker, price, steps, is_maker=True)
    return steps


def tape(core: Core, market: Market, trade: TapeTrade) -> None:
    """Others' taker: first our orders at better prices, then the queue at its price; stale better levels vanish."""
    side = BUY if trade.side is Side.BUY else SELL
    price, left = int(trade.price / market.tick), int(trade.quantity / market.step)
    drift = left if market.seq & 1 else -left
    market.open_interest = max(left, market.open_interest + drift)
    book = market.book
    against = book.against(side)
    market.next_seq()
    stale = against.drop_better(price)
    changed = stale > 0
    while left > 0:
        head = against.head(price)
        if head is None:
            break
        at, maker, available = head
        steps = min(available, left)
        changed = True
        if maker is None:
            against.eat(at, steps)
            core.print_trade(market, at, steps, side)
            left -= steps
        else:
            left -= _hit(core, market, maker, at, steps, side)
    if left > 0:
        core.print_trade(market, price, left, side)
    if stale and not against.outside:
        # A trade beyond everything shown: the market is there now, and somebody still quotes one tick behind it.
        facing = book.side(side).best()
        behind = price + side if facing is None else max(price * side, facing * side) * side + side
        against.refill(max(1, behind), stale)
    if changed:
        book.touch(core.now_ms)
