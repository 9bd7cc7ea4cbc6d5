"""Public frames and REST rows as kernel words; whatever is broken is a counted, typed error."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avigrid.exchange.bybit.codec.book import book_update
from avigrid.exchange.bybit.codec.control import Control, auth_request, stream_signature
from avigrid.exchange.bybit.codec.fields import MalformedMessage
from avigrid.exchange.bybit.codec.kline import interval_name, klines_of_frame, klines_of_reply
from avigrid.exchange.bybit.codec.stream import PrivateDecoder, PublicDecoder
from avigrid.exchange.bybit.codec.ticker import TickerMerger, tickers_of_reply
from avigrid.exchange.bybit.codec.trade import trades_of_frame, trades_of_reply
from avigrid.kernel.errors import Retryable
from avigrid.kernel.market import BookUpdate, Kline, PublicTrade

BOOK = {
    "topic": "orderbook.50.BTCUSDT",
    "type": "delta",
    "ts": 1700000000020,
    "data": {"s": "BTCUSDT", "b": [["65114.20", "0"]], "a": [["65114.30", "1.250"]], "u": 7, "seq": 99},
    "cts": 1700000000018,
}
BAR = {
    "start": 1700000100000,
    "end": 1700000399999,
    "interval": "5",
    "open": "10.5",
    "close": "11",
    "high": "12",
    "low": "10",
    "volume": "3.5",
    "turnover": "38",
    "confirm": True,
    "timestamp": 1700000400010,
}


def raw(frame: object) -> bytes:
    return json.dumps(frame).encode()


def test_a_book_delta() -> None:
    assert book_update(raw(BOOK)) == BookUpdate(
        symbol="BTCUSDT",
        depth=50,
        is_snapshot=False,
        bids=((65114.2, 0.0),),
        asks=((65114.3, 1.25),),
        update_id=7,
        seq=99,
        matched_ms=1700000000018,
        sent_ms=1700000000020,
    )


@pytest.mark.parametrize("level", [["nan", "1"], ["inf", "1"], ["1", "nan"], ["1", "-1"], ["0", "1"], ["", "1"], ["1"]])
def test_a_level_that_is_none_is_refused(level: list[str]) -> None:
    with pytest.raises(MalformedMessage):
        book_update(raw({**BOOK, "data": {**BOOK["data"], "b": [level]}}))  # type: ignore[dict-item]


def test_book_without_matching_time_uses_the_time_of_sending() -> None:
    frame = {name: value for name, value in BOOK.items() if name != "cts"}
    assert book_update(raw(frame)).matched_ms == 1700000000020


@pytest.mark.parametrize("spaced", [True, False])
def test_the_fast_and_the_slow_way_to_a_book_agree(spaced: bool) -> None:
    text = json.dumps(BOOK, separators=None if spaced else (",", ":")).encode()
    reordered = raw(dict(reversed(list(BOOK.items()))))
    assert PublicDecoder().decode(text) == ("orderbook.50.BTCUSDT", (book_update(raw(BOOK)),))
    assert PublicDecoder().decode(reordered) == PublicDecoder().decode(text)


def test_a_rollover_frame_gives_the_closed_bar_first() -> None:
    new = {**BAR, "start": 1700000400000, "confirm": False, "volume": "0", "turnover": "0"}
    closed, opened = klines_of_frame(raw({"topic": "kline.5.SOLUSDT", "data": [new, BAR], "ts": 1, "type": "snapshot"}))
    assert closed == Kline("SOLUSDT", 5, 1700000100000, 10.5, 12.0, 10.0, 11.0, 3.5, 38.0, True)
    assert (opened.start_ms, opened.confirmed, opened.volume) == (1700000400000, False, 0.0)


def test_kline_rows_are_turned_around_and_the_open_bar_is_not_confirmed() -> None:
    rows = [
        ["1700000400000", "2", "2", "2", "2", "1", "2"],
        ["1700000100000", "1", "3", "0.5", "2", "10", "20"],
    ]
    reply = {"result": {"list": rows}, "time": 1700000400500}
    bars = klines_of_reply(reply, symbol="BTCUSDT", interval_min=5)
    assert [(bar.start_ms, bar.confirmed) for bar in bars] == [(1700000100000, True), (1700000400000, False)]
    assert (bars[0].open, bars[0].high, bars[0].low, bars[0].close, bars[0].volume, bars[0].turnover) == (
        *(1.0, 3.0, 0.5, 2.0),
        *(10.0, 20.0),
    )
    at_close = klines_of_reply({"result": {"list": rows}, "time": 1700000700000}, symbol="BTCUSDT", interval_min=5)
    assert [bar.confirmed for bar in at_close] == [True, True]


def test_kline_rows_without_server_time_are_refused() -> None:
    with pytest.raises(MalformedMessage):
        klines_of_reply({"result": {"list": []}}, symbol="BTCUSDT", interval_min=5)


@pytest.mark.parametrize(("minutes", "name"), [(1, "1"), (5, "5"), (720, "720"), (1440, "D"), (10080, "W")])
def test_interval_names(minutes: int, name: str) -> None:
    assert interval_name(minutes) == name


def test_trades_keep_the_order_of_the_tape() -> None:
    items = [
        {"T": 5, "s": "BTCUSDT", "S": "Sell", "v": "0.5", "p": "100.10", "L": "MinusTick", "i": "a", "seq": 3},
        {"T": 5, "s": "BTCUSDT", "S": "Buy", "v": "0.1", "p": "100.20", "L": "PlusTick", "i": "b"},
    ]
    frame = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 6, "data": items}
    assert trades_of_frame(raw(frame)) == [
        PublicTrade("BTCUSDT", "a", 5, 100.1, 0.5, False, 3),
        PublicTrade("BTCUSDT", "b", 5, 100.2, 0.1, True, 0),
    ]


def test_rest_trades_come_oldest_first_with_text_sequence() -> None:
    row = {"symbol": "BTCUSDT", "price": "1", "size": "2", "side": "Buy", "isBlockTrade": False}
    newest_first = [{**row, "execId": "late", "time": "20", "seq": "8"}, {**row, "execId": "early", "time": "10"}]
    trades = trades_of_reply({"result": {"list": newest_first}})
    assert [(trade.trade_id, trade.time_ms, trade.seq) for trade in trades] == [("early", 10, 0), ("late", 20, 8)]


class TestTickers:
    SNAPSHOT = {
        "topic": "tickers.BTCUSDT",
        "type": "snapshot",
        "ts": 100,
        "data": {
            "symbol": "BTCUSDT",
            "lastPrice": "50000",
            "markPrice": "50001.5",
            "indexPrice": "",
            "bid1Price": "49999",
            "ask1Price": "50000.5",
            "fundingRate": "-0.0001",
            "nextFundingTime": "1700006400000",
        },
    }

    def delta(self, **data: str) -> bytes:
        return raw({"topic": "tickers.BTCUSDT", "type": "delta", "ts": 200, "data": {"symbol": "BTCUSDT", **data}})

    def test_delta_before_snapshot_gives_nothing(self) -> None:
        assert TickerMerger().merge(self.delta(lastPrice="1")) is None

    def test_absent_fields_stay_and_empty_ones_become_nan(self) -> None:
        merger = TickerMerger()
        first = merger.merge(raw(self.SNAPSHOT))
        assert first is not None
        assert math.isnan(first.index_price)
        merger.merge(self.delta(lastPrice="50002", markPrice=""))
        ticker = merger.merge(self.delta(bid1Price="50001"))
        assert ticker is not None
        assert (ticker.last_price, ticker.bid, ticker.ask, ticker.time_ms) == (50002.0, 50001.0, 50000.5, 200)
        assert math.isnan(ticker.mark_price)
        assert (ticker.funding_rate, ticker.next_funding_ms) == (-0.0001, 1700006400000)

    def test_forgetting_one_symbol_leaves_the_others(self) -> None:
        merger = TickerMerger()
        merger.merge(raw(self.SNAPSHOT))
        merger.forget("ETHUSDT")
        assert merger.merge(self.delta(lastPrice="1")) is not None
        merger.forget("BTCUSDT")
        assert merger.merge(self.delta(lastPrice="1")) is None

    def test_rest_rows(self) -> None:
        reply = {"result": {"list": [self.SNAPSHOT["data"]]}, "time": 7}
        (ticker,) = tickers_of_reply(reply)
        assert (ticker.symbol, ticker.last_price, ticker.time_ms) == ("BTCUSDT", 50000.0, 7)


class TestControl:
    @pytest.mark.parametrize(
        ("frame", "expected"),
        [
            ({"success": True, "ret_msg": "pong", "req_id": "9", "op": "ping"}, Control("pong", True, "pong", "9")),
            ({"req_id": "9", "op": "pong", "args": ["1"]}, Control("pong", True, "", "9")),
            ({"success": True, "ret_msg": "", "req_id": "", "op": "subscribe"}, Control("subscribe", True, "", "")),
            ({"success": False, "ret_msg": "no", "op": "subscribe"}, Control("subscribe", False, "no", "")),
            ({"op": "auth", "retCode": 0, "retMsg": "OK"}, Control("auth", True, "OK", "")),
            ({"op": "auth", "retCode": 10004, "retMsg": "bad sign"}, Control("auth", False, "10004 bad sign", "")),
        ],
    )
    def test_frames_of_the_socket(self, frame: dict[str, Any], expected: Control) -> None:
        assert PublicDecoder().decode(raw(frame)) == expected
        assert PrivateDecoder().decode(raw(frame)) == expected

    def test_signature_of_the_login(self) -> None:
        expected = "8ca02d79e9db7001d6ce37e3e2a7863c7f5ae85aac84dda59bef6ea2f24dbd75"
        assert stream_signature("SECRET000TEST", 1700000010000) == expected
        frame = json.loads(
            auth_request(api_key="KEY000TEST", api_secret="SECRET000TEST", expires_ms=1700000010000, req_id="r")
        )
        assert frame == {"req_id": "r", "op": "auth", "args": ["KEY000TEST", 1700000010000, expected]}


class TestFaults:
    @pytest.mark.parametrize(
        ("frame", "kind"),
        [
            (b"", "frame"),
            (b"[]", "frame"),
            (b'{"topic":5}', "frame"),
            (b"{}", "control"),
            (b'{"topic":"orderbook.50.BTCUSDT","type":"delta"}', "orderbook"),
            (b'{"topic":"orderbook.x.B","type":"delta","ts":1,"data":{"s":"B","b":[],"a":[],"u":1}}', "topic"),
            (raw({"topic": "kline.5.B", "data": [{**BAR, "close": None}]}), "kline"),
            (raw({"topic": "kline.5.B", "data": [{**BAR, "close": "ten"}]}), "number"),
            (raw({"topic": "kline.5.B", "data": [{**BAR, "close": "NaN"}]}), "number"),
            (raw({"topic": "kline.x.B", "data": [{**BAR, "interval": "x"}]}), "kline"),
            (raw({"topic": "publicTrade.B", "data": [{"T": 1}]}), "publicTrade"),
            (raw({"topic": "tickers.B", "type": "snapshot", "ts": 1, "data": {}}), "tickers"),
        ],
    )
    def test_every_fault_has_a_name_and_is_counted(self, frame: bytes, kind: str) -> None:
        decoder = PublicDecoder()
        with pytest.raises(MalformedMessage) as raised:
            decoder.decode(frame)
        assert isinstance(raised.value, Retryable)
        assert raised.value.code == "malformed_message"
        assert decoder.faults == {kind: 1}

    def test_an_unknown_topic_is_counted_but_harmless(self) -> None:
        decoder = PublicDecoder()
        assert decoder.decode(b'{"topic":"allLiquidation.BTCUSDT","data":[]}') == ("allLiquidation.BTCUSDT", ())
        assert decoder.faults == {"unknown_topic": 1}

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["topic", "op", "data", "type", "ts", "s", "b", "a", "u"]), inner, max_size=5
                )
            ),
            max_leaves=12,
        )
    )
    def test_no_json_gets_past_the_typed_errors(self, value: object) -> None:
        for decoder in (PublicDecoder(), PrivateDecoder()):
            try:
                decoder.decode(raw(value))
            except MalformedMessage:
                continue
