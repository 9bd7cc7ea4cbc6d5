"""Every REST call of the venue, by Bybit's own names: parameters in, `result` out, a Refusal where Bybit refuses."""

from avigrid.exchange.simulator import (
    account_reads,
    amending,
    desk,
    instrument_reads,
    market_reads,
    placing,
    settings,
    telling,
)
from avigrid.exchange.simulator import params as read
from avigrid.exchange.simulator.core import Core
from avigrid.exchange.simulator.params import Params
from avigrid.exchange.simulator.refusals import bad_parameter
from avigrid.exchange.simulator.rows import Row

MAIN = "main"
"""The account of the key; others exist only where a test or a scenario names them."""


class RestFace:
    core: Core

    # -- trade ------------------------------------------------------------------------------------------------
    def create_order(self, params: Params, account: str = MAIN) -> Row:
        return self._told(desk.ids(placing.create(self.core, self.core.account(account), params)))

    def amend_order(self, params: Params, account: str = MAIN) -> Row:
        return self._told(desk.ids(amending.amend(self.core, self.core.account(account), params)))

    def cancel_order(self, params: Params, account: str = MAIN) -> Row:
        return self._told(desk.ids(amending.cancel(self.core, self.core.account(account), params)))

    def cancel_all(self, params: Params, account: str = MAIN) -> Row:
        return self._told(desk.cancel_all(self.core, self.core.account(account), params))

    def create_batch(self, params: Params, account: str = MAIN) -> tuple[Row, Row]:
        return desk.batch(self.core, self.core.account(account), params, placing.create, with_time=True)

    def amend_batch(self, params: Params, account: str = MAIN) -> tuple[Row, Row]:
        return desk.batch(self.core, self.core.account(account), params, desk.amend_active, with_time=False)

    def cancel_batch(self, params: Params, account: str = MAIN) -> tuple[Row, Row]:
        return desk.batch(self.core, self.core.account(account), params, amending.cancel, with_time=False)

    def pre_check(self, params: Params, account: str = MAIN) -> Row:
        return desk.pre_check(self.core, self.core.account(account), params)

    def realtime_orders(self, params: Params, account: str = MAIN) -> Row:
        return account_reads.realtime_orders(self.core, self.core.account(account), params)

    def order_history(self, params: Params, account: str = MAIN) -> Row:
        return account_reads.order_history(self.core, self.core.account(account), params)

    def execution_list(self, params: Params, account: str = MAIN) -> Row:
        return account_reads.execution_list(self.core, self.core.account(account), params)

    # -- position ---------------------------------------------------------------------------------------------
    def position_list(self, params: Params, account: str = MAIN) -> Row:
        return account_reads.position_list(self.core, self.core.account(account), params)

    def symbol_info(self, params: Params, account: str = MAIN) -> Row:
        return account_reads.symbol_info(self.core, self.core.account(account), params)

    def set_leverage(self, params: Params, account: str = MAIN) -> Row:
        settings.set_leverage(self.core, self.core.account(account), params)
        return self._told({})

    def switch_mode(self, params: Params, account: str = MAIN) -> Row:
        settings.switch_mode(self.core, self.core.account(account), params)
        return self._told({})

    def trading_stop(self, params: Params, account: str = MAIN) -> Row:
        settings.trading_stop(self.core, self.core.account(account), params)
        return self._told({})

    def add_margin(self, params: Params, account: str = MAIN) -> Row:
        holder = self.core.account(account)
        settings.add_margin(self.core, holder, params)
        self._told({})
        rows = account_reads.position_list(self.core, holder, params)["list"]
        assert isinstance(rows, list)
        return rows[0] | {"category": "linear"}

    def set_auto_add_margin(self, params: Params, account: str = MAIN) -> Row:
        settings.set_auto_add_margin(self.core, self.core.account(account), params)
        return self._told({})

    def closed_pnl(self, params: Params, account: str = MAIN) -> Row:
        return account_reads.closed_pnl(self.core, self.core.account(account), params)

    # -- account ----------------------------------------------------------------------------------------------
    def wallet_balance(self, params: Params, account: str = MAIN) -> Row:
        return account_reads.wallet_balance(self.core, self.core.account(account), params)

    def account_info(self, params: Params, account: str = MAIN) -> Row:
        return account_reads.account_info(self.core.account(account))

    def user_setting_config(self, params: Params, account: str = MAIN) -> Row:
        lpa = self.core.config.lpa_perp
        return {"lpaSpot": False, "lpaPerp": lpa, "deltaEnable": False, "smsef": False, "fmsef": False}

    def fee_rate(self, params: Params, account: str = MAIN) -> Row:
        return account_reads.fee_rate(self.core, self.core.account(account), params)

    def transaction_log(self, params: Params, account: str = MAIN) -> Row:
        return account_reads.transaction_log(self.core, self.core.account(account), params)

    def set_margin_mode(self, params: Params, account: str = MAIN) -> Row:
        return self._told({"reasons": settings.set_margin_mode(self.core.account(account), params)})

    def query_api(self, params: Params, account: str = MAIN) -> Row:
        return account_reads.query_api(self.core, self.core.account(account))

    def coin_info(self, params: Params, account: str = MAIN) -> Row:
        """/v5/asset/coin/query-info, as far as a client that loads currencies needs it."""
        wanted = read.text(params, "coin")
        coins = ["USDT", *(market.spec.base_coin for market in self.core.markets.values())]
        return {"rows": [account_reads.coin_row(coin) for coin in coins if not wanted or coin == wanted]}

    def set_dcp(self, params: Params, account: str = MAIN) -> Row:
        seconds = read.integer(params, "timeWindow")
        if seconds is None or not 3 <= seconds <= 300:
            raise bad_parameter("timeWindow invalid")
        self.core.account(account).dcp_window_s = seconds
        return {}

    def query_dcp(self, params: Params, account: str = MAIN) -> Row:
        seconds = self.core.account(account).dcp_window_s
        status = "ON" if seconds else "OFF"
        return {"dcpInfos": [{"product": "DERIVATIVES", "dcpStatus": status, "timeWindow": str(seconds or 10)}]}

    def fire_dcp(self, account: str = MAIN) -> int:
        """Cancels everything open with CancelByDCP; the wire decides when."""
        count = desk.cancel_for_dcp(self.core, self.core.account(account))
        telling.flush(self.core)
        return count

    # -- market -----------------------------------------------------------------------------------------------
    def time(self, params: Params) -> Row:
        now = self.core.now_ms
        return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}

    def kline(self, params: Params) -> Row:
        return market_reads.kline(self.core, params)

    def mark_price_kline(self, params: Params) -> Row:
        return market_reads.reference_kline(self.core, params, "mark")

    def index_price_kline(self, params: Params) -> Row:
        return market_reads.reference_kline(self.core, params, "index")

    def premium_index_price_kline(self, params: Params) -> Row:
        return market_reads.reference_kline(self.core, params, "premium")

    def instruments_info(self, params: Params) -> Row:
        return instrument_reads.instruments_info(self.core, params)

    def orderbook(self, params: Params) -> Row:
        return market_reads.orderbook(self.core, params)

    def tickers(self, params: Params) -> Row:
        return market_reads.tickers(self.core, params)

    def recent_trade(self, params: Params) -> Row:
        return market_reads.recent_trade(self.core, params)

    def funding_history(self, params: Params) -> Row:
        return market_reads.funding_history(self.core, params)

    def open_interest(self, params: Params) -> Row:
        return market_reads.open_interest(self.core, params)

    def risk_limit(self, params: Params) -> Row:
        return instrument_reads.risk_limit(self.core, params)

    def price_limit(self, params: Params) -> Row:
        return instrument_reads.price_limit(self.core, params)

    def account_ratio(self, params: Params) -> Row:
        return market_reads.account_ratio(self.core, params)

    def _told(self, answer: Row) -> Row:
        telling.flush(self.core)
        return answer
