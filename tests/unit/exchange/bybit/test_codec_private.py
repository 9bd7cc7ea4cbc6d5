"""Rows of the account: orders, executions, positions, wallet, ledger, key; "" and "0" in all their meanings."""

import json
from decimal import Decimal
from typing import Any

import pytest

from avigrid.exchange.bybit.codec.execution import executions_of_reply
from avigrid.exchange.bybit.codec.fields import MalformedMessage
from avigrid.exchange.bybit.codec.instrument import fee_rates_of_reply, instruments_of_reply, risk_tiers_of_reply
from avigrid.exchange.bybit.codec.key import key_info_of_reply
from avigrid.exchange.bybit.codec.ledger import ledger_of_reply
from avigrid.exchange.bybit.codec.order import order_params, orders_of_reply
from avigrid.exchange.bybit.codec.position import positions_of_reply
from avigrid.exchange.bybit.codec.stream import PrivateDecoder
from avigrid.exchange.bybit.codec.wallet import wallet_of_reply
from avigrid.kernel.errors import Bug
from avigrid.kernel.orders import OrderIntent, OrderType, Side, TimeInForce

ORDER = {
    "orderId": "o1",
    "orderLinkId": "av-1",
    "symbol": "BTCUSDT",
    "side": "Sell",
    "orderType": "Market",
    "orderStatus": "Cancelled",
    "qty": "0.5",
    "price": "0",
    "avgPrice": "",
    "cumExecQty": "0.2",
    "timeInForce": "IOC",
    "reduceOnly": True,
    "positionIdx": 1,
    "createdTime": "1000",
    "updatedTime": "2000",
    "cancelType": "UNKNOWN",
    "rejectReason": "EC_NoError",
    "stopOrderType": "UNKNOWN",
    "triggerPrice": "0.00",
    "someNewField": {"x": 1},
}


def listed(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"retCode": 0, "result": {"list": list(rows)}, "time": 1}


def intent(**changes: Any) -> OrderIntent:
    base: dict[str, Any] = {
        "order_link_id": "av-7-e0-0-0",
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "quantity": Decimal("0.0010"),
        "price": Decimal("65000.00"),
        "time_in_force": TimeInForce.POST_ONLY,
        "reduce_only": False,
        "position_idx": 1,
    }
    return OrderIntent(**{**base, **changes})


def test_ways_of_saying_nothing_in_an_order() -> None:
    (order,) = orders_of_reply(listed(ORDER))
    assert (order.price, order.avg_price, order.trigger_price) == (None, None, None)
    assert (order.cancel_type, order.reject_reason, order.stop_order_type) == ("", "", "")
    assert (order.filled_qty, order.quantity, order.is_open) == (Decimal("0.2"), Decimal("0.5"), False)
    assert (order.created_ms, order.updated_ms, order.position_idx, order.reduce_only) == (1000, 2000, 1, True)


def test_null_and_missing_fields_of_an_order() -> None:
    (order,) = orders_of_reply(listed({**ORDER, "avgPrice": None, "orderLinkId": None, "cancelType": None}))
    assert (order.avg_price, order.order_link_id, order.cancel_type) == (None, "", "")


@pytest.mark.parametrize("field", ["orderId", "symbol", "side", "orderType", "orderStatus", "qty"])
def test_an_order_without_what_it_needs_is_a_typed_error(field: str) -> None:
    with pytest.raises(MalformedMessage):
        orders_of_reply(listed({name: value for name, value in ORDER.items() if name != field}))


def test_a_limit_order_on_the_wire() -> None:
    assert order_params(intent()) == {
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.001",
        "price": "65000",
        "timeInForce": "PostOnly",
        "positionIdx": 1,
        "orderLinkId": "av-7-e0-0-0",
        "reduceOnly": False,
    }


def test_a_stop_rides_on_an_opening_order_only() -> None:
    opening = order_params(intent(stop_loss=Decimal("64000.50")))
    assert (opening["stopLoss"], opening["slTriggerBy"], opening["tpslMode"]) == ("64000.5", "MarkPrice", "Full")
    closing = order_params(intent(stop_loss=Decimal("64000.50"), reduce_only=True))
    assert {"stopLoss", "slTriggerBy", "tpslMode"}.isdisjoint(closing)


def test_a_market_order_has_no_price_and_is_immediate() -> None:
    params = order_params(intent(order_type=OrderType.MARKET, price=None, time_in_force=TimeInForce.GTC))
    assert "price" not in params
    assert params["timeInForce"] == "IOC"


def test_a_limit_order_without_a_price_is_a_bug() -> None:
    with pytest.raises(Bug):
        order_params(intent(price=None))


class TestExecutions:
    ROW = {
        "execId": "e1",
        "orderId": "o1",
        "orderLinkId": "",
        "symbol": "SOLUSDT",
        "side": "Buy",
        "execPrice": "233.02",
        "execQty": "0.2",
        "execValue": "46.604",
        "execFee": "0.0256322",
        "execTime": "1759432560940",
        "execType": "Trade",
        "feeRate": "0.00055",
        "isMaker": False,
        "closedSize": "",
        "markPrice": "233.029",
        "extraFees": "",
    }

    def fee(self, **changes: Any) -> Decimal:
        (execution,) = executions_of_reply(listed({**self.ROW, **changes}))
        return execution.fee_usd

    def test_plain(self) -> None:
        (execution,) = executions_of_reply(listed(self.ROW))
        assert (execution.price, execution.quantity, execution.fee_usd) == (
            Decimal("233.02"),
            Decimal("0.2"),
            Decimal("0.0256322"),
        )
        assert (execution.closed_size, execution.mark_price, execution.kind) == (
            Decimal(0),
            Decimal("233.029"),
            "Trade",
        )

    @pytest.mark.parametrize(
        ("sent", "seq"), [(4688002127, 4688002127), ("4688002127", 4688002127), ("", 0), (None, 0)]
    )
    def test_its_place_in_the_venues_sequence(self, sent: object, seq: int) -> None:
        (execution,) = executions_of_reply(listed({**self.ROW, "seq": sent}))
        assert execution.seq == seq
        assert executions_of_reply(listed(self.ROW))[0].seq == 0

    def test_taxes_are_part_of_what_was_paid(self) -> None:
        gst = [{"feeCoin": "USDT", "feeType": "GST", "feeRate": "0.000099", "fee": "0.004613796"}]
        assert self.fee(extraFees=gst, feeCurrency="USDT") == Decimal("0.030245996")

    def test_a_fee_paid_in_another_coin_is_priced_by_its_rate(self) -> None:
        assert self.fee(feeCurrency="MNT", execFee="0.03") == Decimal("0.02563220")

    def test_a_rebate_stays_negative(self) -> None:
        assert self.fee(execFee="-0.01") == Decimal("-0.01")

    def test_funding(self) -> None:
        (execution,) = executions_of_reply(listed({**self.ROW, "execType": "Funding", "execFee": "-0.003"}))
        assert (execution.kind, execution.fee_usd) == ("Funding", Decimal("-0.003"))

    @pytest.mark.parametrize(
        ("named", "is_stop"),
        [
            ({}, False),
            ({"stopOrderType": "UNKNOWN", "createType": "CreateByUser"}, False),
            ({"stopOrderType": "TakeProfit", "createType": "CreateByTakeProfit"}, False),
            ({"stopOrderType": "StopLoss"}, True),
            ({"stopOrderType": "", "createType": "CreateByTrailingStop"}, True),
        ],
    )
    def test_the_venues_own_stop_is_known(self, named: dict[str, str], is_stop: bool) -> None:
        (execution,) = executions_of_reply(listed({**self.ROW, **named}))
        assert execution.is_stop is is_stop

    def test_no_side_no_execution(self) -> None:
        with pytest.raises(MalformedMessage):
            executions_of_reply(listed({**self.ROW, "side": ""}))


class TestPositions:
    def test_rest_average_and_zero_stops(self) -> None:
        (position,) = positions_of_reply(
            listed(
                {
                    "symbol": "ETHUSDT",
                    "side": "Sell",
                    "size": "5.0",
                    "avgPrice": "3000.00",
                    "markPrice": "2950",
                    "liqPrice": "",
                    "stopLoss": "0.00",
                    "takeProfit": "2800",
                    "leverage": "10",
                    "unrealisedPnl": "250",
                    "curRealisedPnl": "-1.5",
                    "positionIdx": 2,
                }
            )
        )
        assert (position.signed_size, position.avg_price, position.liq_price) == (Decimal(-5), Decimal(3000), None)
        assert (position.stop_loss, position.take_profit, position.leverage) == (None, Decimal(2800), Decimal(10))
        assert (position.unrealised_pnl_usd, position.realised_pnl_usd) == (Decimal(250), Decimal("-1.5"))

    def test_a_held_position_needs_a_side(self) -> None:
        with pytest.raises(MalformedMessage):
            positions_of_reply(listed({"symbol": "ETHUSDT", "side": "", "size": "1"}))


class TestWallet:
    COIN = {
        "coin": "USDT",
        "equity": "110",
        "walletBalance": "100",
        "unrealisedPnl": "10",
        "totalPositionIM": "20",
        "totalOrderIM": "5",
        "totalPositionMM": "3",
        "locked": "1",
        "bonus": "2",
    }

    ACCOUNT = {
        "totalEquity": "1100",
        "totalWalletBalance": "1090",
        "totalAvailableBalance": "60",
        "totalInitialMargin": "30",
        "totalMaintenanceMargin": "4",
        "totalPerpUPL": "12",
    }

    def test_cross_margin_speaks_of_usdt_alone(self) -> None:
        """A bitcoin beside it is neither gain nor drawdown."""
        wallet = wallet_of_reply(listed({**self.ACCOUNT, "coin": [self.COIN, {"coin": "BTC", "equity": "0.01"}]}))
        assert (wallet.equity_usd, wallet.wallet_balance_usd, wallet.unrealised_pnl_usd) == (110, 100, 10)
        assert (wallet.initial_margin_usd, wallet.maintenance_margin_usd) == (25, 3)

    @pytest.mark.parametrize(
        ("told", "value", "free"),
        [
            ("60", "110", "60"),
            ("0", "110", "0"),
            ("60.06", "110.11", "60"),  # USDT at 1.001
            ("900", "110", "84"),  # 110 of equity less 26 bound; the rest is other coins'
        ],
    )
    def test_free_is_what_the_venue_says_as_far_as_usdt_covers_it(self, told: str, value: str, free: str) -> None:
        account = {**self.ACCOUNT, "totalAvailableBalance": told}
        wallet = wallet_of_reply(listed({**account, "coin": [{**self.COIN, "usdValue": value}]}))
        assert wallet.available_usd == Decimal(free)

    def test_the_index_of_usdt_is_no_gain(self) -> None:
        named = {**self.ACCOUNT, "totalEquity": "110.11", "totalWalletBalance": "100.1"}
        wallet = wallet_of_reply(listed({**named, "coin": [{**self.COIN, "usdValue": "110.11"}]}))
        assert (wallet.equity_usd, wallet.wallet_balance_usd) == (110, 100)

    def test_of_no_usdt_an_answer_says_nothing_and_a_frame_does_not_speak(self) -> None:
        other = {**self.ACCOUNT, "coin": [{"coin": "BTC", "equity": "0.01", "walletBalance": "0.01"}]}
        assert wallet_of_reply(listed(other)).equity_usd == 0
        frame = {"topic": "wallet", "data": [other]}
        assert PrivateDecoder().decode(json.dumps(frame).encode()) == ("wallet", [])

    @pytest.mark.parametrize("field", ["equity", "walletBalance"])
    def test_an_amount_that_is_not_told_is_no_zero(self, field: str) -> None:
        with pytest.raises(MalformedMessage):
            wallet_of_reply(listed({**self.ACCOUNT, "coin": [{**self.COIN, field: ""}]}))

    def test_isolated_margin_takes_the_coin(self) -> None:
        names = ("Equity", "WalletBalance", "AvailableBalance", "InitialMargin", "MaintenanceMargin", "PerpUPL")
        wallet = wallet_of_reply(listed({**{f"total{name}": "" for name in names}, "coin": [self.COIN]}))
        assert (wallet.equity_usd, wallet.wallet_balance_usd, wallet.unrealised_pnl_usd) == (110, 100, 10)
        assert wallet.available_usd == 100 - 20 - 5 - 1 - 2
        assert (wallet.initial_margin_usd, wallet.maintenance_margin_usd) == (25, 3)

    def test_no_account_is_an_error(self) -> None:
        with pytest.raises(MalformedMessage):
            wallet_of_reply(listed())


class TestInstruments:
    ROW = {
        "symbol": "BTCUSDT",
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "priceScale": "2",
        "fundingInterval": 480,
        "isPreListing": False,
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "lotSizeFilter": {
            "minOrderQty": "0.001",
            "maxOrderQty": "1500.000",
            "maxMktOrderQty": "150.000",
            "qtyStep": "0.001",
            "minNotionalValue": "5",
        },
        "riskParameters": {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.1"},
    }

    def test_a_row(self) -> None:
        (found,) = instruments_of_reply(listed(self.ROW))
        assert (found.tick_size, found.qty_step, found.min_notional) == (Decimal("0.1"), Decimal("0.001"), Decimal(5))
        assert (found.max_limit_qty, found.max_market_qty, found.max_leverage) == (1500, 150, 100)
        assert (found.price_limit_ratio_x, found.price_limit_ratio_y) == (Decimal("0.05"), Decimal("0.1"))
        assert found.funding_interval_min == 480

    @pytest.mark.parametrize(
        "changes",
        [{"contractType": "LinearFutures"}, {"settleCoin": "USDC"}, {"isPreListing": True}],
    )
    def test_others_are_left_out(self, changes: dict[str, Any]) -> None:
        assert instruments_of_reply(listed({**self.ROW, **changes})) == []

    def test_risk_tiers_ascend_and_percent_is_recognised(self) -> None:
        row = {"symbol": "BTCUSDT", "isLowestRisk": 0, "mmDeduction": "1200", "maxLeverage": "90.00"}
        second = {**row, "id": 2, "riskLimitValue": "2600000", "maintenanceMargin": "0.0056", "initialMargin": "0.0111"}
        first = {
            **row,
            "id": 1,
            "riskLimitValue": "900000",
            "maintenanceMargin": "0.5",
            "initialMargin": "1",
            "maxLeverage": "100",
            "mmDeduction": "",
        }
        tiers = risk_tiers_of_reply(listed(second, first))
        assert [(tier.tier, tier.maintenance_margin_ratio, tier.mm_deduction_usd) for tier in tiers] == [
            (1, Decimal("0.005"), Decimal(0)),
            (2, Decimal("0.0056"), Decimal(1200)),
        ]

    def test_fee_rates_of_one_symbol(self) -> None:
        reply = listed({"symbol": "ETHUSDT", "takerFeeRate": "0.00055", "makerFeeRate": "0.0002"})
        rates = fee_rates_of_reply(reply, "ETHUSDT")
        assert rates is not None
        assert (rates.taker, rates.maker) == (Decimal("0.00055"), Decimal("0.0002"))
        assert fee_rates_of_reply(reply, "BTCUSDT") is None


def test_a_funding_row_of_the_ledger() -> None:
    row = {
        "id": "x",
        "symbol": "XRPUSDT",
        "side": "Buy",
        "type": "SETTLEMENT",
        "transactionTime": "1672128000000",
        "qty": "100",
        "tradePrice": "0.3676",
        "funding": "-0.003676",
        "fee": "",
        "cashFlow": "0",
        "change": "-0.003676",
        "cashBalance": "99.996324",
        "orderId": "1672128000-8-592324-1-2",
    }
    (found,) = ledger_of_reply(listed(row))
    assert (found.kind, found.funding_usd, found.fee_usd) == ("SETTLEMENT", Decimal("-0.003676"), Decimal(0))
    assert found.change_usd == found.cash_flow_usd + found.funding_usd - found.fee_usd


class TestKey:
    ROW: dict[str, Any] = {
        "readOnly": 0,
        "permissions": {"ContractTrade": ["Order", "Position"], "Wallet": ["AccountTransfer"]},
        "ips": ["1.2.3.4"],
        "userID": 1448939,
        "expiredAt": "2026-12-31T00:00:00Z",
    }

    def info(self, **changes: Any) -> Any:
        return key_info_of_reply({"result": {**self.ROW, **changes}})

    def test_a_good_key(self) -> None:
        info = self.info()
        assert (info.read_only, info.can_trade, info.can_withdraw, info.ip_bound) == (False, True, False, True)
        assert (info.user_id, info.expires) == ("1448939", "2026-12-31T00:00:00Z")

    def test_read_only_cannot_trade(self) -> None:
        assert not self.info(readOnly=1).can_trade

    def test_half_the_permissions_cannot_trade(self) -> None:
        assert not self.info(permissions={"ContractTrade": ["Order"]}).can_trade

    def test_withdrawal_is_noticed(self) -> None:
        assert self.info(permissions={"ContractTrade": [], "Wallet": ["Withdraw"]}).can_withdraw

    @pytest.mark.parametrize("ips", [[], ["*"], None])
    def test_unbound(self, ips: list[str] | None) -> None:
        assert not self.info(ips=ips).ip_bound

    def test_the_epoch_means_never(self) -> None:
        assert self.info(expiredAt="1970-01-01T00:00:00Z").expires == ""
