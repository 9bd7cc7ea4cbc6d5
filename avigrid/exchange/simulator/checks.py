"""Order checks of Bybit: grid, sizes, notional, price band, trigger side, TP/SL side, margin; with Bybit's codes."""

from decimal import Decimal

from avigrid.exchange.simulator import reckoning
from avigrid.exchange.simulator.account import Account
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.market import Market
from avigrid.exchange.simulator.orders import BUY, ExitTerms, Order
from avigrid.exchange.simulator.refusals import Refusal, bad_parameter, margin_short

TRIGGERS = ("LastPrice", "IndexPrice", "MarkPrice")


def check_tradable(market: Market) -> None:
    if market.spec.status != "Trading":
        raise Refusal(110074, "This contract is not live")
    if not market.is_priced:
        raise Refusal(110118, "no market price")


def check_price(market: Market, price: Decimal, name: str = "price") -> Decimal:
    """A positive multiple of the tick inside the instrument's range."""
    spec = market.spec
    if price <= 0 or price < spec.min_price or price > spec.max_price or price % market.tick:
        raise bad_parameter(f"{name} invalid")
    return price


def check_quantity(market: Market, qty: Decimal, is_market: bool, *, is_capped: bool = True) -> Decimal:
    """`is_capped` False: reduce-only, which Bybit splits where it is larger than the largest order."""
    spec = market.spec
    if qty <= 0 or qty % market.step:
        raise Refusal(10001, "Qty invalid")
    if qty < spec.min_qty:
        raise Refusal(10001, "The number of contracts exceeds minimum limit allowed")
    if is_capped and qty > (spec.max_market_qty if is_market else spec.max_limit_qty):
        raise Refusal(10001, "The number of contracts exceeds maximum limit allowed: too large")
    return qty


def check_notional(market: Market, qty: Decimal, price: Decimal) -> None:
    if qty * price < market.spec.min_notional:
        raise Refusal(110094, f"Order does not meet minimum order value {market.spec.min_notional}USDT")


def banded(core: Core, market: Market, side: int, price: int) -> int:
    """Futures default: a price outside the band moves to the band; with lpa_perp it is refused."""
    lowest, highest = market.band()
    allowed = min(price, highest) if side == BUY else max(price, lowest)
    if allowed != price and core.config.lpa_perp:
        raise Refusal(110003, "Order price exceeds the allowable range.")
    return allowed


def check_trigger_side(market: Market, trigger: Decimal, direction: int, trigger_by: str) -> None:
    current = market.price_of(trigger_by)
    scaled, now = int(trigger * 10_000), int(current * 10_000)
    if direction == 1 and trigger <= current:
        raise Refusal(110092, f"expect Rising, but trigger_price[{scaled}] <= current[{now}]??{trigger_by}")
    if direction == 2 and trigger >= current:
        raise Refusal(110093, f"expect Falling, but trigger_price[{scaled}] >= current[{now}]??{trigger_by}")


def check_exit_side(direction: int, exits: ExitTerms, base: Decimal, what: str) -> None:
    """Long: TP above, SL below `base`; short the reverse."""
    name = "Buy" if direction > 0 else "Sell"
    profit, stop = exits.take_profit, exits.stop_loss
    if profit is not None and (profit - base) * direction <= 0:
        side = "higher" if direction > 0 else "lower"
        raise Refusal(
            10001,
            f"TakeProfit:{int(profit * 10_000)} set for {name} position should be {side} than "
            f"base_price:{int(base * 10_000)}??{what}",
        )
    if stop is not None and (base - stop) * direction <= 0:
        side = "lower" if direction > 0 else "higher"
        raise Refusal(
            10001,
            f"StopLoss:{int(stop * 10_000)} set for {name} position should be {side} than "
            f"base_price:{int(base * 10_000)}??{what}",
        )


def check_margin(account: Account, order: Order) -> None:
    """110007 where the order would hold more than is free; orders that only close are exempt."""
    if order.closes_only:
        return
    market = order.market
    held = reckoning.held_by_orders(account, market).cost
    if reckoning.held_by_orders(account, market, order).cost <= held:
        return
    if reckoning.totals(account, order).available < 0:
        raise margin_short()


def check_tier(account: Account, order: Order) -> None:
    """The tier that position and orders would need must allow the leverage in use."""
    if order.closes_only:
        return
    market = order.market
    exposure = reckoning.exposure(account, market, order)
    _, tier = reckoning.tier_of(account, market, order)
    leverage = account.leverage_of(market, order.side)
    if exposure > tier.limit_usd:
        raise Refusal(110090, "position size would exceed the current risk limit")
    if leverage > tier.max_leverage:
        raise Refusal(110090, "order would exceed the maximum position size allowed at the current leverage")
