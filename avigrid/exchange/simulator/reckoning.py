"""What an account is worth and what its positions and orders hold of it."""

from dataclasses import dataclass
from decimal import Decimal

from avigrid.exchange.simulator import margin
from avigrid.exchange.simulator.account import Account, Held
from avigrid.exchange.simulator.market import Market
from avigrid.exchange.simulator.orders import BUY, SELL, Order
from avigrid.exchange.simulator.positions import Position
from avigrid.exchange.simulator.specs import Tier

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Totals:
    """USDT. Cross: available = margin balance - initial margin - order loss."""

    wallet: Decimal
    upl: Decimal
    position_im: Decimal
    position_mm: Decimal
    order_im: Decimal
    order_loss: Decimal
    available: Decimal

    @property
    def margin_balance(self) -> Decimal:
        return self.wallet + self.upl

    @property
    def initial(self) -> Decimal:
        return self.position_im + self.order_im


def _opening_parts(account: Account, market: Market, extra: Order | None) -> list[tuple[Order, int]]:
    """(order, quantity that would open a position); closing parts hold no margin."""
    parts: list[tuple[Order, int]] = []
    orders = [order for order in account.opens(market.symbol).values() if order.in_book and not order.closes_only]
    if extra is not None and not extra.closes_only:
        orders.append(extra)
    if account.is_hedge(market.symbol):
        return [(order, order.leaves) for order in orders]
    size = account.position(market, 0).size
    for side in (BUY, SELL):
        mine = [order for order in orders if order.side == side]
        closing = abs(size) if size * side < 0 else 0
        if closing:
            mine.sort(key=lambda order: (-order.price * order.side, order.number))
        for order in mine:
            free = min(closing, order.leaves)
            closing -= free
            if order.leaves > free:
                parts.append((order, order.leaves - free))
    return parts


def held_by_orders(account: Account, market: Market, extra: Order | None = None) -> Held:
    """What the resting orders of a symbol hold, `extra` counted as if it rested. Kept until something changes."""
    if extra is None:
        held = account.held.get(market.symbol)
        if held is None:
            held = account.held[market.symbol] = _sum(account, market, _opening_parts(account, market, None), _NOTHING)
        return held
    if extra.closes_only:
        return held_by_orders(account, market)
    if account.is_hedge(market.symbol) or account.position(market, 0).size * extra.side >= 0:
        # Nothing to net: it simply comes on top.
        return _sum(account, market, [(extra, extra.leaves)], held_by_orders(account, market))
    return _sum(account, market, _opening_parts(account, market, extra), _NOTHING)


_NOTHING = Held(ZERO, 0, 0, 1 << 62)


def _sum(account: Account, market: Market, parts: list[tuple[Order, int]], base: Held) -> Held:
    cost, units, highest_buy, lowest_sell = base.cost, base.units, base.highest_buy, base.lowest_sell
    taker = account.fees.taker
    for order, steps in parts:
        leverage = account.leverage_of(market, order.side)
        cost += margin.order_cost(steps * market.step, order.price * market.tick, leverage, taker, order.side)
        units += steps * order.price
        if order.side == BUY:
            highest_buy = max(highest_buy, order.price)
        else:
            lowest_sell = min(lowest_sell, order.price)
    return Held(cost, units, highest_buy, lowest_sell)


def order_loss(account: Account, market: Market, extra: Order | None = None) -> Decimal:
    """Of orders that would buy above or sell below the mark; resting ones hardly ever do."""
    held = held_by_orders(account, market, extra)
    if held.highest_buy * market.tick <= market.mark <= held.lowest_sell * market.tick:
        return ZERO
    total = ZERO
    for order, steps in _opening_parts(account, market, extra):
        total += margin.order_loss(steps * market.step, order.price * market.tick, market.mark, order.side)
    return total


def exposure(account: Account, market: Market, extra: Order | None = None) -> Decimal:
    """Mark value of positions plus notional of opening orders: what chooses the risk tier."""
    units = held_by_orders(account, market, extra).units
    held = sum(abs(account.positions[key].size) for key in _keys(account, market) if key in account.positions)
    return held * market.step * market.mark + units * market.unit


def _keys(account: Account, market: Market) -> tuple[tuple[str, int], ...]:
    return ((market.symbol, 0), (market.symbol, 1), (market.symbol, 2))


def tier_of(account: Account, market: Market, extra: Order | None = None) -> tuple[int, Tier]:
    return margin.tier_for(market.spec.tiers, exposure(account, market, extra))


def position_margin(account: Account, position: Position) -> tuple[Decimal, Decimal]:
    """(initial, maintenance) margin of an open position, fee to close included."""
    market, direction = position.market, position.direction
    leverage = account.leverage_of(market, direction)
    fee = margin.fee_to_close(position.entry_value, leverage, account.fees.taker, direction)
    _, tier = tier_of(account, market)
    size = position.quantity
    price = position.entry_price if account.isolated else market.mark
    initial = margin.initial_margin(size, price, leverage, fee)
    if account.isolated:
        initial += position.extra_margin
    return initial, margin.maintenance_margin(size, market.mark, tier, fee)


def unrealised(position: Position) -> Decimal:
    return margin.unrealised(position.quantity, position.market.mark, position.entry_value, position.direction)


def totals(account: Account, extra: Order | None = None) -> Totals:
    """`extra`: an order that does not rest yet, counted as if it did."""
    upl = position_im = position_mm = order_im = loss = ZERO
    for position in account.positions.values():
        if position.size:
            upl += unrealised(position)
            initial, maintenance = position_margin(account, position)
            position_im += initial
            position_mm += maintenance
    seen: set[str] = set()
    for symbol, orders in account.open_orders.items():
        if orders:
            market = next(iter(orders.values())).market
            mine = extra if extra is not None and extra.market is market else None
            order_im += held_by_orders(account, market, mine).cost
            loss += order_loss(account, market, mine)
            seen.add(symbol)
    if extra is not None and extra.market.symbol not in seen:
        order_im += held_by_orders(account, extra.market, extra).cost
        loss += order_loss(account, extra.market, extra)
    base = account.balance if account.isolated else account.balance + upl
    available = base - position_im - order_im - loss
    return Totals(account.balance, upl, position_im, position_mm, order_im, loss, available)


def liquidation_price(account: Account, position: Position, whole: Totals | None = None) -> Decimal | None:
    """None = no price inside the instrument's range would liquidate."""
    market, direction = position.market, position.direction
    if account.isolated:
        _, tier = tier_of(account, market)
        leverage = account.leverage_of(market, direction)
        price = margin.isolated_liquidation(
            position.quantity,
            position.entry_price,
            leverage,
            tier,
            position.extra_margin,
            account.fees.taker,
            direction,
        )
    else:
        whole = whole or totals(account)
        price = margin.cross_liquidation(
            position.quantity, market.mark, whole.margin_balance, whole.position_mm, direction
        )
    return price if market.spec.min_price < price < market.spec.max_price else None
