"""The REST calls we use, as data: pybit's method, rate-limit group, whether it changes anything at the venue."""

from dataclasses import dataclass
from enum import IntEnum


class Lane(IntEnum):
    """Who goes first where a budget is short: smaller is more urgent."""

    PROTECT = 0
    EXIT = 1
    ENTRY = 2
    READ = 3


@dataclass(frozen=True, slots=True)
class Call:
    """`per_second` is the default account's limit per UID (Bybit V5, Rate Limit Rules); 0 means only the IP limit."""

    name: str
    method: str
    per_second: int = 0
    writes: bool = False


TIME = Call("time", "get_server_time")
INSTRUMENTS = Call("instruments", "get_instruments_info")
RISK_LIMIT = Call("risk_limit", "get_risk_limit")
KLINE = Call("kline", "get_kline")
FUNDING = Call("funding", "get_funding_rate_history")
RECENT_TRADES = Call("recent_trades", "get_public_trade_history")
TICKERS = Call("tickers", "get_tickers")

CREATE = Call("create", "place_order", 10, writes=True)
AMEND = Call("amend", "amend_order", 10, writes=True)
CANCEL = Call("cancel", "cancel_order", 10, writes=True)
CANCEL_BATCH = Call("cancel_batch", "cancel_batch_order", 10, writes=True)
TRADING_STOP = Call("trading_stop", "set_trading_stop", 10, writes=True)
SET_LEVERAGE = Call("set_leverage", "set_leverage", 10, writes=True)
SWITCH_MODE = Call("switch_mode", "switch_position_mode", 10, writes=True)

REALTIME = Call("realtime", "get_open_orders", 50)
HISTORY = Call("history", "get_order_history", 50)
EXECUTIONS = Call("executions", "get_executions", 50)
POSITIONS = Call("positions", "get_positions", 50)
WALLET = Call("wallet", "get_wallet_balance", 50)
FEE_RATE = Call("fee_rate", "get_fee_rates", 5)
TRANSACTION_LOG = Call("transaction_log", "get_transaction_log", 25)
KEY_INFO = Call("key_info", "get_api_key_information", 10)

PUBLIC_CALLS = (TIME, INSTRUMENTS, RISK_LIMIT, KLINE, FUNDING, RECENT_TRADES, TICKERS)
PRIVATE_CALLS = (
    CREATE,
    AMEND,
    CANCEL,
    CANCEL_BATCH,
    TRADING_STOP,
    SET_LEVERAGE,
    SWITCH_MODE,
    REALTIME,
    HISTORY,
    EXECUTIONS,
    POSITIONS,
    WALLET,
    FEE_RATE,
    TRANSACTION_LOG,
    KEY_INFO,
)
