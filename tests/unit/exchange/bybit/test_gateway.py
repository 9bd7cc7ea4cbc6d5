"""The gateway and the market reader over a scripted wire: what is asked, in which lane, what comes of it."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from avigrid.exchange.bybit.calls import Call, Lane
from avigrid.exchange.bybit.codec.fields import MalformedMessage
from avigrid.exchange.bybit.gateway import BybitGateway
from avigrid.exchange.bybit.market import BybitMarket
from avigrid.kernel.errors import Bug, OrderNotFound, OutcomeUnknown, Rejected, Retryable
from avigrid.kernel.orders import OrderAck, OrderIntent, OrderType, Side, TimeInForce

WEEK_MS = 604_800_000
Params = Mapping[str, Any]


class Wire:
    """Stands where RestClient stands; `answers` maps a call's name to its result (or a function of the parameters)."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any], Lane, int]] = []

    def call(self, call: Call, params: Params, *, lane: Lane = Lane.READ, cost: int = 1, patience_s: float = 5) -> Any:
        self.asked.append((call.name, dict(params), lane, cost))
        answer: Any | Callable[[Params], Any] = self.answers[call.name]
        if callable(answer):
            answer = answer(params)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, list):
            answer = {"list": answer}
        return answer if "result" in answer else {"retCode": 0, "result": answer, "time": 1_700_000_000_000}


def gateway(wire: Wire) -> BybitGateway:
    return BybitGateway(wire)  # type: ignore[arg-type]


def market(wire: Wire) -> BybitMarket:
    return BybitMarket(wire)  # type: ignore[arg-type]


def intent(link_id: str = "av-1-e0-0-0", **changes: Any) -> OrderIntent:
    base: dict[str, Any] = {
        "order_link_id": link_id,
        "symbol": "BTCUSDT",
        "side": Side.BUY,
        "order_type": OrderType.LIMIT,
        "quantity": Decimal("0.01"),
        "price": Decimal(30000),
        "time_in_force": TimeInForce.GTC,
        "reduce_only": False,
        "position_idx": 1,
    }
    return OrderIntent(**{**base, **changes})


def order_row(link_id: str, **changes: Any) -> dict[str, Any]:
    base = {
        "orderId": f"id-{link_id}",
        "orderLinkId": link_id,
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "orderStatus": "New",
        "qty": "1",
        "updatedTime": "5",
        "createdTime": "5",
    }
    return {**base, **changes}


def execution_row(exec_id: str, time_ms: int, link_id: str = "av-1") -> dict[str, Any]:
    return {
        "execId": exec_id,
        "orderId": "o",
        "orderLinkId": link_id,
        "symbol": "BTCUSDT",
        "side": "Buy",
        "execPrice": "1",
        "execQty": "1",
        "execTime": str(time_ms),
    }


class TestPlacing:
    def test_sends_the_intent_and_returns_the_acknowledgement(self) -> None:
        wire = Wire(create={"orderId": "o1", "orderLinkId": "av-1-e0-0-0"})
        assert gateway(wire).place(intent()) == OrderAck("o1", "av-1-e0-0-0")
        ((_, params, lane, cost),) = wire.asked
        assert (params["category"], params["positionIdx"], params["qty"], params["price"]) == (
            "linear",
            1,
            "0.01",
            "30000",
        )
        assert (lane, cost) == (Lane.ENTRY, 1)

    @pytest.mark.parametrize(
        ("changes", "lane"),
        [
            ({}, Lane.ENTRY),
            ({"reduce_only": True}, Lane.EXIT),
            ({"reduce_only": True, "order_type": OrderType.MARKET, "price": None}, Lane.PROTECT),
            ({"order_type": OrderType.MARKET, "price": None}, Lane.ENTRY),
        ],
    )
    def test_lanes(self, changes: dict[str, Any], lane: Lane) -> None:
        wire = Wire(create={"orderId": "o1", "orderLinkId": "x"})
        gateway(wire).place(intent(**changes))
        assert wire.asked[0][2] is lane

    def test_a_yes_in_unreadable_words_is_an_unknown_outcome(self) -> None:
        with pytest.raises(OutcomeUnknown) as raised:
            gateway(Wire(create={"result": {"nothing": 1}})).place(intent())
        assert raised.value.code == "unreadable_ack"


class TestChanges:
    def test_cancel_by_either_id(self) -> None:
        wire = Wire(cancel={})
        gateway(wire).cancel(symbol="BTCUSDT", order_link_id="av-1")
        gateway(wire).cancel(symbol="BTCUSDT", order_id="o1", order_link_id="av-1")
        assert [asked[1] for asked in wire.asked] == [
            {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "av-1"},
            {"category": "linear", "symbol": "BTCUSDT", "orderId": "o1"},
        ]
        assert wire.asked[0][2] is Lane.PROTECT
        with pytest.raises(Bug):
            gateway(wire).cancel(symbol="BTCUSDT")

    def test_a_batch_of_cancels_is_answered_one_by_one_and_costs_one_each(self) -> None:
        told = [{"code": 0, "msg": "OK"}, {"code": 110001, "msg": "order not exists"}, {"code": 10006, "msg": "busy"}]
        wire = Wire(cancel_batch={"retCode": 0, "result": {"list": []}, "retExtInfo": {"list": told}})
        found = gateway(wire).cancel_batch([("BTCUSDT", "av-1"), ("BTCUSDT", "av-2"), ("SOLUSDT", "av-3")])
        assert [type(error) for error in found] == [type(None), OrderNotFound, Retryable]
        ((_, params, lane, cost),) = wire.asked
        assert (lane, cost) == (Lane.PROTECT, 3)
        assert params["request"][2] == {"symbol": "SOLUSDT", "orderLinkId": "av-3"}

    @pytest.mark.parametrize("told", [None, {}, {"list": []}, {"list": [{"msg": "no code"}]}])
    def test_a_batch_whose_answers_cannot_be_read_proves_nothing(self, told: Any) -> None:
        wire = Wire(cancel_batch={"retCode": 0, "result": {}, "retExtInfo": told})
        with pytest.raises(OutcomeUnknown):
            gateway(wire).cancel_batch([("BTCUSDT", "av-1")])

    def test_the_stop_is_of_the_position_and_triggers_by_mark(self) -> None:
        wire = Wire(trading_stop={})
        gateway(wire).set_stop(symbol="BTCUSDT", position_idx=2, stop_loss=Decimal("29000.50"))
        assert wire.asked == [
            (
                "trading_stop",
                {
                    "category": "linear",
                    "symbol": "BTCUSDT",
                    "tpslMode": "Full",
                    "positionIdx": 2,
                    "stopLoss": "29000.5",
                    "slTriggerBy": "MarkPrice",
                },
                Lane.PROTECT,
                1,
            )
        ]

    def test_leverage_and_mode(self) -> None:
        wire = Wire(set_leverage={}, switch_mode={})
        gateway(wire).set_leverage(symbol="BTCUSDT", leverage=Decimal("12.50"))
        gateway(wire).set_hedge_mode(enabled=True)
        gateway(wire).set_hedge_mode(enabled=False)
        assert wire.asked[0][1]["buyLeverage"] == wire.asked[0][1]["sellLeverage"] == "12.5"
        assert [asked[1]["mode"] for asked in wire.asked[1:]] == [3, 0]
        assert wire.asked[1][1]["coin"] == "USDT"


class TestLookingUp:
    def test_an_order_is_found_open_first(self) -> None:
        wire = Wire(realtime=[order_row("av-1")])
        order = gateway(wire).order(symbol="BTCUSDT", order_link_id="av-1")
        assert order is not None
        assert order.order_id == "id-av-1"
        assert [asked[0] for asked in wire.asked] == ["realtime"]

    def test_then_in_history(self) -> None:
        wire = Wire(realtime=[], history=[order_row("av-1", orderStatus="Filled")])
        order = gateway(wire).order(symbol="BTCUSDT", order_link_id="av-1")
        assert order is not None
        assert order.status == "Filled"

    def test_and_may_be_nowhere(self) -> None:
        wire = Wire(realtime=[order_row("somebody-else")], history=[])
        assert gateway(wire).order(symbol="BTCUSDT", order_link_id="av-1") is None

    def test_open_orders_of_all_pages_once(self) -> None:
        def answer(params: Params) -> dict[str, Any]:
            if "cursor" not in params:
                return {"list": [order_row("b", createdTime="9"), order_row("a")], "nextPageCursor": "p%3A2"}
            assert params["cursor"] == "p%3A2"
            rows = [
                order_row("a"),
                order_row("done", orderStatus="Filled"),
                order_row("stop", orderStatus="Untriggered"),
            ]
            return {"list": rows, "nextPageCursor": ""}

        orders = gateway(Wire(realtime=answer)).open_orders()
        assert [order.order_link_id for order in orders] == ["a", "stop", "b"]


class TestExecutions:
    def test_weeks_are_joined_oldest_first_without_doubles(self) -> None:
        def answer(params: Params) -> list[dict[str, Any]]:
            if params["startTime"] == 0:
                return [execution_row("e2", 20), execution_row("e1", 20), execution_row("e0", 10)]
            return [execution_row("e9", WEEK_MS + 5), execution_row("e2", 20)]

        wire = Wire(executions=answer)
        found = gateway(wire).executions(start_ms=0, end_ms=WEEK_MS + 100)
        assert [execution.exec_id for execution in found] == ["e0", "e1", "e2", "e9"]
        assert [(asked[1]["startTime"], asked[1]["endTime"]) for asked in wire.asked] == [
            (0, WEEK_MS - 1),
            (WEEK_MS, WEEK_MS + 100),
        ]
        assert wire.asked[0][1]["settleCoin"] == "USDT"

    def test_one_symbol(self) -> None:
        wire = Wire(executions=[])
        gateway(wire).executions(start_ms=0, end_ms=1, symbol="ETHUSDT")
        assert wire.asked[0][1]["symbol"] == "ETHUSDT"
        assert "settleCoin" not in wire.asked[0][1]

    def test_of_one_order(self) -> None:
        wire = Wire(executions=[execution_row("e2", 20), execution_row("x", 15, "other"), execution_row("e1", 10)])
        found = gateway(wire).executions_of(symbol="BTCUSDT", order_link_id="av-1")
        assert [execution.exec_id for execution in found] == ["e1", "e2"]


class TestAccount:
    def test_positions_held_and_of_a_symbol(self) -> None:
        rows = [
            {"symbol": "BTCUSDT", "side": "Buy", "size": "1", "positionIdx": 1},
            {"symbol": "BTCUSDT", "side": "", "size": "0", "positionIdx": 2},
        ]
        wire = Wire(positions=rows)
        assert [position.position_idx for position in gateway(wire).positions()] == [1]
        assert [position.position_idx for position in gateway(wire).position("BTCUSDT")] == [1, 2]
        assert (wire.asked[0][1]["settleCoin"], wire.asked[1][1]["symbol"]) == ("USDT", "BTCUSDT")

    def test_fee_rates_of_an_unknown_symbol(self) -> None:
        with pytest.raises(Rejected):
            gateway(Wire(fee_rate=[])).fee_rates("NOPEUSDT")

    def test_ledger(self) -> None:
        row = {"id": "r1", "type": "TRADE", "transactionTime": "30", "change": "-1", "cashBalance": "9"}
        wire = Wire(transaction_log=[row, {**row, "id": "r0", "transactionTime": "20"}])
        assert [found.row_id for found in gateway(wire).ledger(start_ms=0, end_ms=100)] == ["r0", "r1"]
        assert wire.asked[0][1] == {
            "accountType": "UNIFIED",
            "currency": "USDT",
            "startTime": 0,
            "endTime": 100,
            "limit": 50,
        }


class TestMarket:
    def bars(self, params: Params) -> dict[str, Any]:
        step_ms = int(params["interval"]) * 60_000
        first, last = params["start"], min(params["end"], 1_700_000_000_000)
        rows = [[str(start), "1", "2", "0.5", "1.5", "3", "4"] for start in range(first, last + 1, step_ms)]
        return {"result": {"list": rows[::-1][: params["limit"]]}, "time": 1_700_000_000_000}

    def test_klines_are_complete_and_only_closed_ones_confirmed(self) -> None:
        wire = Wire(kline=self.bars)
        start_ms = 1_699_999_980_000 - 1499 * 60_000
        bars = market(wire).klines("BTCUSDT", 1, start_ms=start_ms, end_ms=1_700_000_040_000)
        assert len(wire.asked) == 2
        assert [bar.start_ms for bar in bars] == list(range(start_ms, 1_699_999_980_001, 60_000))
        assert [bar.confirmed for bar in bars[-2:]] == [True, False]

    def test_bars_outside_the_range_are_left_out(self) -> None:
        rows = [[str(start), "1", "1", "1", "1", "1", "1"] for start in (0, 300_000, 600_000)]
        bars = market(Wire(kline={"result": {"list": rows}, "time": 10**12})).klines(
            "BTCUSDT", 5, start_ms=300_000, end_ms=300_000
        )
        assert [bar.start_ms for bar in bars] == [300_000]

    def test_funding_pages_backwards(self) -> None:
        def answer(params: Params) -> list[dict[str, str]]:
            every_ms = 100
            times = range(params["endTime"] // every_ms * every_ms, params["startTime"] - 1, -every_ms)
            return [{"fundingRate": "0.0001", "fundingRateTimestamp": str(time)} for time in times][:200]

        wire = Wire(funding=answer)
        found = market(wire).funding_history("BTCUSDT", start_ms=0, end_ms=29_999)
        assert [time for time, _ in found] == list(range(0, 30_000, 100))
        assert len(wire.asked) == 2

    def test_server_time_is_asked_out_of_turn(self) -> None:
        wire = Wire(time={"timeSecond": "1700000000", "timeNano": "1700000000123456789"})
        assert market(wire).server_time_ms() == 1_700_000_000_123
        assert wire.asked[0][2] is Lane.PROTECT
        with pytest.raises(MalformedMessage):
            market(Wire(time={"timeNano": ""})).server_time_ms()

    def test_instruments_of_all_pages_by_symbol(self) -> None:
        def row(symbol: str) -> dict[str, Any]:
            return {
                "symbol": symbol,
                "contractType": "LinearPerpetual",
                "status": "Trading",
                "baseCoin": symbol[:3],
                "quoteCoin": "USDT",
                "settleCoin": "USDT",
                "priceFilter": {"minPrice": "1", "maxPrice": "9", "tickSize": "1"},
                "lotSizeFilter": {"minOrderQty": "1", "maxOrderQty": "9", "qtyStep": "1"},
                "leverageFilter": {"maxLeverage": "10"},
            }

        def answer(params: Params) -> dict[str, Any]:
            if "cursor" in params:
                return {"list": [row("BTCUSDT")], "nextPageCursor": ""}
            return {"list": [row("XRPUSDT")], "nextPageCursor": "2"}

        assert [found.symbol for found in market(Wire(instruments=answer)).instruments()] == ["BTCUSDT", "XRPUSDT"]
