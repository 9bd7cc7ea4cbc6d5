"""Answers about an account: orders, executions, positions, closed PnL, wallet, fees, transaction log, key."""

from collections.abc import Iterable

from avigrid.exchange.simulator import listing, reckoning, rows
from avigrid.exchange.simulator import params as read
from avigrid.exchange.simulator.account import Account, ClosedPnl, Execution
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.orders import Order
from avigrid.exchange.simulator.params import Params
from avigrid.exchange.simulator.positions import Position
from avigrid.exchange.simulator.refusals import Refusal, bad_parameter, missing, unknown_symbol
from avigrid.exchange.simulator.rows import Row
from avigrid.exchange.simulator.text import plain

_FILTERS = ("Order", "StopOrder", "tpslOrder", "OpenOrder", "OcoOrder", "BidirectionalTpslOrder")
_OPEN = ("New", "PartiallyFilled", "Untriggered")
_DEAD_KEPT_MS = listing.DAY_MS


def _listed(category: str, items: list[Row], cursor: str) -> Row:
    return {"category": category, "list": items, "nextPageCursor": cursor}


def symbol_filter(core: Core, params: Params, needed: bool = False) -> set[str] | None:
    """The symbols asked for by symbol > baseCoin > settleCoin; None = all."""
    symbol, base, settle = (read.text(params, name) for name in ("symbol", "baseCoin", "settleCoin"))
    if symbol:
        if symbol not in core.markets:
            raise unknown_symbol()
        return {symbol}
    if base:
        return {name for name, market in core.markets.items() if market.spec.base_coin == base}
    if settle:
        return None if settle == "USDT" else set()
    if needed:
        raise missing("symbol or baseCoin or settleCoin")
    return None


def _by_id(account: Account, params: Params) -> list[Order] | None:
    order_id, link_id = read.text(params, "orderId"), read.text(params, "orderLinkId")
    if not order_id and not link_id:
        return None
    found = account.orders.get(order_id) if order_id else account.by_link.get(link_id)
    return [found] if found is not None else []


def _filtered(orders: Iterable[Order], params: Params, symbols: set[str] | None) -> list[Order]:
    wanted = read.choice(params, "orderFilter", _FILTERS)
    kept = []
    for order in orders:
        if symbols is not None and order.market.symbol not in symbols:
            continue
        if wanted == "Order" and order.stop_order_type and not order.was_triggered:
            continue
        if wanted in ("StopOrder", "tpslOrder") and not order.stop_order_type:
            continue
        if wanted == "OpenOrder" and not order.is_resting:
            continue
        kept.append(order)
    return kept


def _order_key(order: Order) -> tuple[str, int]:
    return order.order_id, order.created_ms


def realtime_orders(core: Core, account: Account, params: Params) -> Row:
    category = read.category(params)
    size = read.limit(params, 1, 50, 20)
    open_only = read.integer(params, "openOnly") or 0
    if open_only not in (0, 1, 2):
        raise bad_parameter("openOnly invalid")
    if category != "linear":
        return _listed(category, [], "")
    named = _by_id(account, params)
    if named is not None:
        cached = {order.order_id for order in account.closed_cache}
        found = [order for order in named if order.is_open or order.order_id in cached]
        symbol = read.text(params, "symbol")
        found = [order for order in found if not symbol or order.market.symbol == symbol]
    else:
        symbols = symbol_filter(core, params, needed=True)
        if open_only:
            pool: Iterable[Order] = account.closed_cache
        else:
            pool = (order for orders in account.open_orders.values() for order in orders.values())
        found = _filtered(pool, params, symbols)
    found.sort(key=lambda order: -order.number)
    shown, cursor = listing.page(found, params, size, _order_key)
    return _listed(category, [rows.order_rest(order) for order in shown], cursor)


def order_history(core: Core, account: Account, params: Params) -> Row:
    category = read.category(params)
    size = read.limit(params, 1, 50, 20)
    status = read.text(params, "orderStatus")
    if status in _OPEN:
        raise Refusal(181017, "OrderStatus must be final status")
    if category != "linear":
        return _listed(category, [], "")
    span = listing.window(params, core.now_ms)
    named = _by_id(account, params)
    if named is not None:
        found = [order for order in named if not order.is_open]
        symbol = read.text(params, "symbol")
        found = [order for order in found if not symbol or order.market.symbol == symbol]
    else:
        symbols = symbol_filter(core, params)
        recent = []
        for order in reversed(account.history):
            if order.created_ms < span.start_ms:
                break
            if order.created_ms <= span.end_ms and not order.is_open:
                recent.append(order)
        found = _filtered(recent, params, symbols)
        found = [order for order in found if order.cum_qty or core.now_ms - order.updated_ms <= _DEAD_KEPT_MS]
    if status:
        found = [order for order in found if order.status == status]
    found.sort(key=lambda order: -order.number)
    shown, cursor = listing.page(found, params, size, _order_key)
    return _listed(category, [rows.order_rest(order) for order in shown], cursor)


def execution_list(core: Core, account: Account, params: Params) -> Row:
    category = read.category(params)
    size = read.limit(params, 1, 100, 50)
    kind = read.text(params, "execType")
    if category != "linear":
        return _listed(category, [], "")
    named = _by_id(account, params)
    found: list[Execution]
    if named is not None:
        found = [item for order in named for item in reversed(account.executions_of.get(order.order_id, ()))]
    else:
        symbols = symbol_filter(core, params)
        span = listing.window(params, core.now_ms)
        found = []
        for item in reversed(account.executions):
            if item.time_ms < span.start_ms:
                break
            if item.time_ms <= span.end_ms and (symbols is None or item.market.symbol in symbols):
                found.append(item)
    if kind:
        found = [item for item in found if item.kind == kind]
    shown, cursor = listing.page(found, params, size, lambda item: (item.exec_id, item.time_ms))
    return _listed(category, [rows.execution_rest(item) for item in shown], cursor)


def position_list(core: Core, account: Account, params: Params) -> Row:
    category = read.category(params)
    size = read.limit(params, 1, 200, 20)
    if category != "linear":
        return _listed(category, [], "")
    symbols = symbol_filter(core, params, needed=True)
    found: list[Position] = []
    if read.text(params, "symbol"):
        found = account.positions_of(core.markets[read.text(params, "symbol")])
    else:
        found = [p for p in account.live_positions() if symbols is None or p.market.symbol in symbols]
        found.sort(key=lambda position: (position.market.symbol, position.idx))
    shown, cursor = listing.page(found, params, size, lambda p: (f"{p.market.symbol}-{p.idx}", p.updated_ms))
    whole = reckoning.totals(account)
    return _listed(category, [rows.position_rest(account, position, whole) for position in shown], cursor)


def symbol_info(core: Core, account: Account, params: Params) -> Row:
    category = read.category(params)
    symbol = read.required(params, "symbol")
    market = core.markets.get(symbol)
    if market is None or category != "linear":
        raise unknown_symbol()
    buy, sell = account.leverages(market)
    row: Row = {
        "symbol": symbol,
        "buyLeverage": plain(buy),
        "sellLeverage": plain(sell),
        "tradeMode": 1 if account.isolated else 0,
        "positionMode": 3 if account.is_hedge(symbol) else 0,
    }
    return _listed(category, [row], "")


def closed_pnl(core: Core, account: Account, params: Params) -> Row:
    category = read.category(params)
    size = read.limit(params, 1, 100, 50)
    if category != "linear":
        return _listed(category, [], "")
    symbols = symbol_filter(core, params)
    span = listing.window(params, core.now_ms)
    found: list[ClosedPnl] = [
        item
        for item in account.closed_pnl.values()
        if span.holds(item.updated_ms) and (symbols is None or item.order.market.symbol in symbols)
    ]
    found.sort(key=lambda item: (-item.updated_ms, -item.number))
    shown, cursor = listing.page(found, params, size, lambda item: (item.order.order_id, item.updated_ms))
    return _listed(category, [rows.closed_pnl_row(item) for item in shown], cursor)


def wallet_balance(core: Core, account: Account, params: Params) -> Row:
    kind = read.required(params, "accountType")
    if kind != "UNIFIED":
        raise Refusal(10001, "accountType only support UNIFIED.")
    row = rows.wallet_rest(account, reckoning.totals(account), core.config.usdt_index)
    wanted = [name for name in read.text(params, "coin").split(",") if name]
    if wanted and "USDT" not in wanted:
        row["coin"] = []
    return {"list": [row]}


def account_info(account: Account) -> Row:
    return {
        "unifiedMarginStatus": 5,
        "marginMode": "ISOLATED_MARGIN" if account.isolated else "REGULAR_MARGIN",
        "isMasterTrader": False,
        "spotHedgingStatus": "OFF",
        "updatedTime": str(account.opened_ms),
        "dcpStatus": "ON" if account.dcp_window_s else "OFF",
        "timeWindow": account.dcp_window_s or 10,
        "smpGroup": 0,
    }


def fee_rate(core: Core, account: Account, params: Params) -> Row:
    category = read.category(params)
    symbols = symbol_filter(core, params)
    fees = account.fees
    items: list[Row] = [
        {"symbol": name, "takerFeeRate": plain(fees.taker), "makerFeeRate": plain(fees.maker), "baseCoin": ""}
        for name in core.markets
        if category == "linear" and (symbols is None or name in symbols)
    ]
    return {"category": category, "list": items}


def transaction_log(core: Core, account: Account, params: Params) -> Row:
    size = read.limit(params, 1, 50, 20)
    category, kind, currency = (read.text(params, name) for name in ("category", "type", "currency"))
    base = read.text(params, "baseCoin")
    span = listing.window(params, core.now_ms, listing.DAY_MS)
    found: list[Execution] = []
    for item in reversed(account.executions):
        if item.time_ms < span.start_ms:
            break
        if item.time_ms > span.end_ms or (category and category != "linear") or (currency and currency != "USDT"):
            continue
        if base and item.market.spec.base_coin != base:
            continue
        found.append(item)
    logged = [rows.ledger_row(account, item) for item in found]
    if not category and not base and currency in ("", "USDT"):
        moved = [item for item in account.transfers if span.start_ms <= item.time_ms <= span.end_ms]
        logged += [rows.transfer_row(account, item) for item in moved]
        logged.sort(key=lambda row: int(str(row["transactionTime"])), reverse=True)
    if kind:
        logged = [row for row in logged if row["type"] == kind]
    shown, cursor = listing.page(logged, params, size, lambda row: (str(row["id"]), int(str(row["transactionTime"]))))
    return {"list": shown, "nextPageCursor": cursor}


def query_api(core: Core, account: Account) -> Row:
    return {
        "id": str(account.uid + 900_000),
        "note": "simulated",
        "apiKey": core.config.api_key,
        "readOnly": 0,
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": ["SpotTrade"],
            "Wallet": [],
            "Options": ["OptionsTrade"],
            "Derivatives": ["DerivativesTrade"],
            "CopyTrading": [],
            "BlockTrade": [],
            "Exchange": [],
            "NFT": [],
            "Affiliate": [],
            "Earn": [],
            "FiatP2P": [],
            "FiatBybitPay": [],
            "FiatConvertBroker": [],
            "FiatGlobalPay": [],
            "FiatBitPay": [],
            "BitCard": [],
            "ByXPost": [],
        },
        "ips": ["*"],
        "type": 1,
        "deadlineDay": 90,
        "expiredAt": "1970-01-01T00:00:00Z",
        "createdAt": "2025-01-01T00:00:00Z",
        "unified": 0,
        "uta": 1,
        "userID": account.uid,
        "inviterID": 0,
        "vipLevel": "No VIP",
        "mktMakerLevel": "0",
        "affiliateID": 0,
        "rsaPublicKey": "",
        "isMaster": True,
        "parentUid": "0",
        "kycLevel": "LEVEL_DEFAULT",
        "kycRegion": "",
        "userIDInt64": str(account.uid),
        "inviterIDInt64": "0",
        "affiliateIDInt64": "0",
    }


def position_truth(account: Account) -> list[Row]:
    """Every position that is or was, for /sim/state."""
    return [rows.position_rest(account, position) for position in account.positions.values()]


def coin_row(coin: str) -> Row:
    chain = {
        "chainType": coin,
        "confirmation": "1",
        "withdrawFee": "0",
        "depositMin": "0",
        "withdrawMin": "0",
        "chain": coin,
        "chainDeposit": "1",
        "chainWithdraw": "1",
        "minAccuracy": "8",
        "withdrawPercentageFee": "0",
        "contractAddress": "",
        "safeConfirmNumber": "1",
    }
    return {"name": coin, "coin": coin, "remainAmount": "0", "chains": [chain]}
