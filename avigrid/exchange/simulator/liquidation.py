"""Liquidation: orders go first, then positions step down the risk tiers, then the takeover at the bankruptcy price.

Cross: the account as a whole is judged (maintenance margin against margin balance). Isolated: each position alone.
"""

from decimal import Decimal

from avigrid.exchange.simulator import reckoning
from avigrid.exchange.simulator.account import Account
from avigrid.exchange.simulator.amending import cancel_one
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.margin import bankruptcy_price
from avigrid.exchange.simulator.matching import submit
from avigrid.exchange.simulator.orders import SIDE_TEXT, Order
from avigrid.exchange.simulator.positions import Position
from avigrid.exchange.simulator.settlement import book_fill

_MAX_STEPS = 50


def check(core: Core, account: Account) -> None:
    """Acts where maintenance margin has eaten the margin; otherwise nothing happens."""
    if account.isolated:
        for position in account.live_positions():
            if _is_isolated_due(account, position):
                _cancel_orders(core, account, position.market.symbol)
                _take_over(core, account, position, None)
        return
    if not account.live_positions() or not _is_cross_due(account):
        return
    for symbol in list(account.open_orders):
        _cancel_orders(core, account, symbol)
    for _ in range(_MAX_STEPS):
        live = account.live_positions()
        if not live or not _is_cross_due(account):
            return
        worst = max(live, key=lambda position: reckoning.position_margin(account, position)[1])
        worst.status = "Liq"
        if not _step_down(core, account, worst):
            _take_over(core, account, worst, reckoning.totals(account))
        if worst.size:
            worst.status = "Normal"


def _is_cross_due(account: Account) -> bool:
    whole = reckoning.totals(account)
    return whole.position_mm >= whole.margin_balance


def _is_isolated_due(account: Account, position: Position) -> bool:
    held, maintenance = reckoning.position_margin(account, position)  # the fee to close is in both
    return held + reckoning.unrealised(position) <= maintenance


def _cancel_orders(core: Core, account: Account, symbol: str) -> None:
    for order in list(account.opens(symbol).values()):
        if order.is_open:
            cancel_one(core, order, "CancelAllBeforeLiq")


def _order(core: Core, account: Account, position: Position, steps: int, price: int, create_type: str) -> Order:
    market = position.market
    order = Order(
        account=account,
        market=market,
        order_id=core.ids.uuid(),
        link_id="",
        side=-position.direction,
        order_type="Market",
        price=price,
        qty=steps,
        leaves=steps,
        tif="IOC",
        position_idx=position.idx,
        closes_only=True,
        created_ms=core.now_ms,
        number=core.next_order_number(),
        create_type=create_type,
        last_on_created=market.last_price,
    )
    account.orders[order.order_id] = order
    account.history.append(order)
    account.opens(market.symbol)[order.order_id] = order
    core.tell(order)
    return order


def _step_down(core: Core, account: Account, position: Position) -> bool:
    """Sells the position down to the tier below, if there is one and the book takes anything."""
    market = position.market
    index, _ = reckoning.tier_of(account, market)
    if index == 0:
        return False
    allowed = int(market.spec.tiers[index - 1].limit_usd / market.mark / market.step)
    excess = abs(position.size) - allowed
    if excess <= 0:
        return False
    before = position.size
    price = market.protected_price(-position.direction)
    submit(core, _order(core, account, position, excess, price, "CreateByLiq"))
    return position.size != before


def _take_over(core: Core, account: Account, position: Position, whole: reckoning.Totals | None) -> None:
    """The engine takes the rest at the price where the position's share of the account is used up."""
    market, direction = position.market, position.direction
    if whole is None:
        leverage = account.leverage_of(market, direction)
        exact = bankruptcy_price(position.entry_price, leverage, direction)
        exact -= direction * position.extra_margin / position.quantity
    else:
        _, mine = reckoning.position_margin(account, position)
        share = mine / whole.position_mm if whole.position_mm else Decimal(1)
        left = whole.margin_balance * share  # negative after a gap: then the price is better than the mark
        fee_ratio = account.fees.taker
        exact = (market.mark - direction * left / position.quantity) / (1 - direction * fee_ratio)
    ticks = max(1, market.ticks_up(exact) if direction > 0 else market.ticks_down(exact))
    steps = abs(position.size)
    order = _order(core, account, position, steps, ticks, "CreateByTakeOver_PassThrough")
    market.next_seq()
    core.counters["liquidations"] += 1
    core.liquidations.append(
        {
            "T": core.now_ms,
            "s": market.symbol,
            "S": SIDE_TEXT[direction],
            "v": market.feed_qty(steps),
            "p": market.feed_price(ticks),
        }
    )
    book_fill(core, order, ticks, steps, is_maker=False, kind="BustTrade")
