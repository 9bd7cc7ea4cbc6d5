"""Bybit's own paths for category linear: who may call them, how, and which method of the venue answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """`venue` names the Venue method. `needs_category`: a call without `category` is refused."""

    method: str
    venue: str
    is_private: bool = True
    needs_category: bool = False
    is_batch: bool = False
    lists_history: bool = False


def _get(venue: str, *, category: bool = True, history: bool = False) -> Route:
    return Route("GET", venue, needs_category=category, lists_history=history)


def _post(venue: str, *, category: bool = True, batch: bool = False) -> Route:
    return Route("POST", venue, needs_category=category, is_batch=batch)


def _market(venue: str, *, category: bool = True) -> Route:
    return Route("GET", venue, is_private=False, needs_category=category)


ROUTES: dict[str, Route] = {
    "/v5/market/time": _market("time", category=False),
    "/v5/market/kline": _market("kline", category=False),
    "/v5/market/mark-price-kline": _market("mark_price_kline", category=False),
    "/v5/market/index-price-kline": _market("index_price_kline", category=False),
    "/v5/market/premium-index-price-kline": _market("premium_index_price_kline", category=False),
    "/v5/market/instruments-info": _market("instruments_info"),
    "/v5/market/orderbook": _market("orderbook"),
    "/v5/market/tickers": _market("tickers"),
    "/v5/market/recent-trade": _market("recent_trade"),
    "/v5/market/funding/history": _market("funding_history"),
    "/v5/market/open-interest": _market("open_interest"),
    "/v5/market/risk-limit": _market("risk_limit"),
    "/v5/market/price-limit": _market("price_limit", category=False),
    "/v5/market/account-ratio": _market("account_ratio"),
    "/v5/order/create": _post("create_order"),
    "/v5/order/amend": _post("amend_order"),
    "/v5/order/cancel": _post("cancel_order"),
    "/v5/order/cancel-all": _post("cancel_all"),
    "/v5/order/create-batch": _post("create_batch", batch=True),
    "/v5/order/amend-batch": _post("amend_batch", batch=True),
    "/v5/order/cancel-batch": _post("cancel_batch", batch=True),
    "/v5/order/pre-check": _post("pre_check"),
    "/v5/order/realtime": _get("realtime_orders"),
    "/v5/order/history": _get("order_history", history=True),
    "/v5/execution/list": _get("execution_list", history=True),
    "/v5/order/disconnected-cancel-all": _post("set_dcp", category=False),
    "/v5/position/list": _get("position_list"),
    "/v5/position/symbol-info": _get("symbol_info"),
    "/v5/position/set-leverage": _post("set_leverage"),
    "/v5/position/switch-mode": _post("switch_mode"),
    "/v5/position/trading-stop": _post("trading_stop"),
    "/v5/position/add-margin": _post("add_margin"),
    "/v5/position/set-auto-add-margin": _post("set_auto_add_margin"),
    "/v5/position/closed-pnl": _get("closed_pnl", history=True),
    "/v5/account/wallet-balance": _get("wallet_balance", category=False),
    "/v5/account/fee-rate": _get("fee_rate"),
    "/v5/account/info": _get("account_info", category=False),
    "/v5/account/instruments-info": _get("instruments_info"),
    "/v5/account/user-setting-config": _get("user_setting_config", category=False),
    "/v5/account/set-margin-mode": _post("set_margin_mode", category=False),
    "/v5/account/transaction-log": _get("transaction_log", category=False, history=True),
    "/v5/account/query-dcp-info": _get("query_dcp", category=False),
    "/v5/user/query-api": _get("query_api", category=False),
    "/v5/asset/coin/query-info": _get("coin_info", category=False),
}

TRADE_OPS: dict[str, str] = {
    "order.create": "/v5/order/create",
    "order.amend": "/v5/order/amend",
    "order.cancel": "/v5/order/cancel",
    "order.create-batch": "/v5/order/create-batch",
    "order.amend-batch": "/v5/order/amend-batch",
    "order.cancel-batch": "/v5/order/cancel-batch",
}

OTHER_CATEGORIES = ("spot", "inverse", "option")
