"""Position settings of an account: leverage, mode, margin mode, TP/SL and trailing stop, added margin."""

from decimal import Decimal

from avigrid.exchange.simulator import checks, conditional, placing, protection, reckoning
from avigrid.exchange.simulator import params as read
from avigrid.exchange.simulator.account import Account
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.orders import ExitTerms
from avigrid.exchange.simulator.params import Params
from avigrid.exchange.simulator.positions import Position
from avigrid.exchange.simulator.refusals import Refusal, bad_parameter, missing, mode_mismatch, unknown_symbol

_CENT = Decimal("0.01")


def set_leverage(core: Core, account: Account, params: Params) -> None:
    market = placing.market_of(core, params)
    buy, sell = (read.number(params, name) for name in ("buyLeverage", "sellLeverage"))
    if buy is None or sell is None:
        raise missing("buyLeverage" if buy is None else "sellLeverage")
    for leverage in (buy, sell):
        if leverage < 1 or leverage % _CENT:
            raise bad_parameter("leverage invalid")
        if leverage > market.spec.max_leverage:
            raise Refusal(110013, "Cannot set leverage due to risk limit level")
    if buy != sell and not (account.isolated and account.is_hedge(market.symbol)):
        raise bad_parameter("buy leverage not equal sell leverage")
    old = account.leverages(market)
    if old == (buy, sell):
        raise Refusal(110043, "Set leverage has not been modified.")
    _, tier = reckoning.tier_of(account, market)
    if max(buy, sell) > tier.max_leverage:
        raise Refusal(110086, "current risk limit cannot support set leverage")
    account.leverage[market.symbol] = (buy, sell)
    account.touch(market.symbol)
    if reckoning.totals(account).available < 0 and (buy < old[0] or sell < old[1]):
        account.leverage[market.symbol] = old
        account.touch(market.symbol)
        raise Refusal(110044, "Available margin is insufficient.")
    account.is_wallet_dirty = True


def switch_mode(core: Core, account: Account, params: Params) -> None:
    read.category(params)
    symbol, coin = read.text(params, "symbol"), read.text(params, "coin")
    mode = read.integer(params, "mode")
    if mode not in (0, 3):
        raise bad_parameter("mode invalid")
    if not symbol and not coin:
        raise bad_parameter("symbol or coin is required")
    if symbol and symbol not in core.markets:
        raise unknown_symbol()
    hedge = mode == 3
    symbols = [symbol] if symbol else [name for name in core.markets if coin == "USDT"]
    changing = [name for name in symbols if account.is_hedge(name) != hedge]
    if not changing:
        raise Refusal(110025, "Position mode is not modified")
    for name in changing:
        if any(position.size for key, position in account.positions.items() if key[0] == name):
            raise Refusal(110024, "You have an existing position, so position mode cannot be switched")
        if account.opens(name):
            raise Refusal(110028, "You have existing open orders, so position mode cannot be switched")
    for name in changing:
        account.hedge[name] = hedge
        account.touch(name)


def set_margin_mode(account: Account, params: Params) -> list[dict[str, str]]:
    """The reasons against; empty = done."""
    mode = read.required(params, "setMarginMode")
    if mode not in ("ISOLATED_MARGIN", "REGULAR_MARGIN"):
        raise bad_parameter("setMarginMode invalid")
    isolated = mode == "ISOLATED_MARGIN"
    if isolated == account.isolated:
        raise Refusal(110026, "Cross/isolated margin mode is not modified")
    if account.live_positions() or any(account.open_orders.values()):
        return [{"reasonCode": "3400045", "reasonMsg": "Close positions and cancel orders first"}]
    account.isolated = isolated
    account.held.clear()
    return []


def add_margin(core: Core, account: Account, params: Params) -> Position:
    market = placing.market_of(core, params)
    position = account.position(market, placing.position_idx(account, market, params))
    if not account.isolated:
        raise Refusal(110076, "Only isolated margin mode supports this call")
    amount = read.number(params, "margin")
    if amount is None or amount == 0 or amount % Decimal("0.0001"):
        raise bad_parameter("margin invalid")
    if position.size == 0:
        raise Refusal(110033, "can't set margin without an open position")
    if amount > reckoning.totals(account).available or position.extra_margin + amount < 0:
        raise Refusal(110045, "Wallet balance is insufficient.")
    position.extra_margin += amount
    account.touch(market.symbol)
    account.is_wallet_dirty = True
    return position


def set_auto_add_margin(core: Core, account: Account, params: Params) -> None:
    market = placing.market_of(core, params)
    position = account.position(market, placing.position_idx(account, market, params))
    if not account.isolated:
        raise Refusal(110076, "Only isolated margin mode supports this call")
    wanted = read.integer(params, "autoAddMargin")
    if wanted not in (0, 1):
        raise bad_parameter("autoAddMargin invalid")
    position.auto_add = wanted
    account.touch(market.symbol)


def trading_stop(core: Core, account: Account, params: Params) -> None:
    """Bybit V5, Set Trading Stop: "0" removes, absent leaves alone; nothing changed is 34040."""
    market = placing.market_of(core, params)
    idx = read.integer(params, "positionIdx") or 0
    if idx not in ((1, 2) if account.is_hedge(market.symbol) else (0,)):
        raise mode_mismatch()
    position = account.position(market, idx)
    if position.size == 0:
        raise Refusal(10001, "can not set tp/sl/ts for zero position")
    mode = read.choice(params, "tpslMode", ("Full", "Partial"), "Full")
    terms = ExitTerms(
        take_profit=read.number(params, "takeProfit"),
        stop_loss=read.number(params, "stopLoss"),
        tp_trigger_by=read.choice(params, "tpTriggerBy", checks.TRIGGERS, "LastPrice"),
        sl_trigger_by=read.choice(params, "slTriggerBy", checks.TRIGGERS, "LastPrice"),
        tp_limit=_limit_price(params, "tp"),
        sl_limit=_limit_price(params, "sl"),
        mode=mode,
    )
    for price, name in ((terms.take_profit, "takeProfit"), (terms.stop_loss, "stopLoss")):
        if price:
            checks.check_price(market, price, name)
    _check_exits(position, terms)
    changed = (
        _partial(core, account, position, terms, params) if mode == "Partial" else _full(core, account, position, terms)
    )
    changed = _trailing(core, account, position, params) or changed
    if not changed:
        raise Refusal(34040, "not modified")
    position.updated_ms = core.now_ms
    account.touch(market.symbol)
    conditional.run(core, market)


def _limit_price(params: Params, leg: str) -> Decimal | None:
    """Only a limit leg has one."""
    if read.choice(params, f"{leg}OrderType", ("Market", "Limit"), "Market") == "Market":
        return None
    price = read.number(params, f"{leg}LimitPrice")
    if not price:
        raise missing(f"{leg}LimitPrice")
    return price


def _check_exits(position: Position, terms: ExitTerms) -> None:
    market = position.market
    profit = ExitTerms(take_profit=terms.take_profit or None)
    stop = ExitTerms(stop_loss=terms.stop_loss or None)
    checks.check_exit_side(position.direction, profit, market.price_of(terms.tp_trigger_by), terms.tp_trigger_by)
    checks.check_exit_side(position.direction, stop, market.price_of(terms.sl_trigger_by), terms.sl_trigger_by)


def _full(core: Core, account: Account, position: Position, terms: ExitTerms) -> bool:
    changed = False
    wanted = (
        ("TakeProfit", terms.take_profit, terms.tp_trigger_by, position.take_profit, position.tp_trigger_by),
        ("StopLoss", terms.stop_loss, terms.sl_trigger_by, position.stop_loss, position.sl_trigger_by),
    )
    for kind, price, by, old, old_by in wanted:
        if price is None or (price or None) == old and (old is None or by == old_by):
            continue
        protection.set_full(core, account, position, kind, price or None, by)
        changed = True
    return changed


def _partial(core: Core, account: Account, position: Position, terms: ExitTerms, params: Params) -> bool:
    market = position.market
    tp_size, sl_size = read.number(params, "tpSize"), read.number(params, "slSize")
    if tp_size is not None and sl_size is not None and tp_size != sl_size:
        raise bad_parameter("tpSize and slSize must be equal")
    made = []
    for kind, price, by, size, limit in (
        ("PartialTakeProfit", terms.take_profit, terms.tp_trigger_by, tp_size, terms.tp_limit),
        ("PartialStopLoss", terms.stop_loss, terms.sl_trigger_by, sl_size, terms.sl_limit),
    ):
        if not price:
            continue
        steps = abs(position.size) if size is None else market.steps(checks.check_quantity(market, size, False))
        if len(protection.partials(account, position)) >= 20:
            raise Refusal(110061, "Cannot set more than 20 partial TP/SL orders")
        if limit is not None:
            checks.check_price(market, limit, "limit price")
        guard = protection.Guard(kind, price, by, min(steps, abs(position.size)), limit)
        made.append(protection.add_guard(core, account, position, guard))
    if len(made) == 2:
        protection.pair(*made)
    if made:
        position.tpsl_mode = "Partial"
    return bool(made)


def _trailing(core: Core, account: Account, position: Position, params: Params) -> bool:
    market = position.market
    distance, active = read.number(params, "trailingStop"), read.number(params, "activePrice")
    if distance is None:
        return False
    if (distance or None) == position.trailing and (active or None) == position.active_price:
        return False
    old = position.guards.pop("TrailingStop", None)
    if old is not None:
        core.close(old, "Deactivated", "CancelByUser", "EC_PerCancelRequest")
    position.trailing, position.active_price = distance or None, active or None
    if distance:
        checks.check_price(market, distance, "trailingStop")
        guard = protection.Guard("TrailingStop", market.last_price, "LastPrice", abs(position.size))
        order = protection.add_guard(core, account, position, guard)
        order.trigger_price = None if active else market.last_price - distance * position.direction
        position.guards["TrailingStop"] = order
    return True
