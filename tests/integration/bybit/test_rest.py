"""The REST client against a real socket: signatures byte for byte, and what each kind of failure becomes."""

import hashlib
import hmac
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from avigrid.exchange.bybit.calls import CANCEL, CREATE, EXECUTIONS, KLINE, TIME, WALLET, Lane
from avigrid.exchange.bybit.clock import ExchangeClock
from avigrid.exchange.bybit.connect import connect
from avigrid.exchange.bybit.environments import Endpoints
from avigrid.exchange.bybit.limits import Limiter, LocalWindows
from avigrid.exchange.bybit.rest import RestClient
from avigrid.kernel.errors import OperatorNeeded, OutcomeUnknown, Rejected, Retryable
from tests.integration.bybit.local_rest import Answer, LocalRest, local_rest

NOW_MS = 1_700_000_000_000
CREATE_PATH = "/v5/order/create"


@pytest.fixture
def venue() -> Iterator[LocalRest]:
    with local_rest() as running:
        yield running


class Client:
    """A RestClient whose clocks stand still and whose budget never sleeps for real."""

    def __init__(self, url: str, *, key: str = "KEY000TEST", secret: str = "SECRET000TEST") -> None:
        self.now_s = 0.0
        self.measured = 0
        self.calls: list[tuple[str, str]] = []
        self.limiter = Limiter(
            LocalWindows(lambda: self.now_s, share_ratio=1.0),
            account="a",
            monotonic=lambda: self.now_s,
            sleep=self._pass,
        )
        self.clock = ExchangeClock(fetch_ms=self._time, monotonic=lambda: 0.0, wall_ms=lambda: NOW_MS)
        self.rest = RestClient(
            url,
            clock=self.clock,
            limiter=self.limiter,
            api_key=key,
            api_secret=secret,
            timeout_s=0.3,
            on_call=lambda name, _seconds, code: self.calls.append((name, code)),
        )

    def _pass(self, seconds: float) -> None:
        self.now_s += seconds

    def _time(self) -> int:
        self.measured += 1
        return NOW_MS

    def place(self) -> object:
        order = {
            "category": "linear",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": "0.001",
            "price": "25000",
        }
        return self.rest.call(CREATE, order, lane=Lane.ENTRY)

    def wallet(self) -> object:
        return self.rest.call(WALLET, {"accountType": "UNIFIED"})


class TestSignatures:
    def test_a_post_is_signed_with_exchange_time_over_the_sent_body(self, venue: LocalRest) -> None:
        venue.say(CREATE_PATH, {"orderId": "1", "orderLinkId": ""})
        Client(venue.url).place()
        (asked,) = venue.asked
        assert asked.headers["x-bapi-timestamp"] == "1700000000000"
        assert asked.headers["x-bapi-recv-window"] == "5000"
        expected = "b0517d8b8a7d5ca0b0f8a27c2d048b53ae22272ea91f2989370771a45ccab145"
        assert asked.headers["x-bapi-sign"] == expected

    def test_a_get_is_signed_over_the_sent_query_and_a_cursor_is_not_escaped_again(self, venue: LocalRest) -> None:
        venue.say("/v5/execution/list", {"list": []})
        cursor = "132766%3A2%2C132766%3A2"
        Client(venue.url).rest.call(EXECUTIONS, {"category": "linear", "cursor": cursor})
        (asked,) = venue.asked
        assert f"cursor={cursor}" in asked.query
        text = f"1700000000000KEY000TEST5000{asked.query}"
        expected = hmac.new(b"SECRET000TEST", text.encode(), hashlib.sha256).hexdigest()
        assert asked.headers["x-bapi-sign"] == expected

    def test_public_calls_carry_no_key(self, venue: LocalRest) -> None:
        venue.say("/v5/market/kline", {"list": []})
        Client(venue.url).rest.call(KLINE, {"category": "linear", "symbol": "BTCUSDT", "interval": "5"})
        assert not any(name.startswith("x-bapi") for name in venue.asked[0].headers)

    def test_private_calls_without_a_key_need_a_person(self, venue: LocalRest) -> None:
        with pytest.raises(OperatorNeeded) as raised:
            Client(venue.url, key="", secret="").wallet()
        assert raised.value.code == "key_missing"
        assert venue.asked == []


def test_no_traceback_can_print_the_secret(venue: LocalRest) -> None:
    client = Client(venue.url)
    assert "SECRET" not in repr(client.rest._session())
    assert "SECRET" not in repr(client.rest)


class TestFailures:
    def test_silence_after_sending_leaves_a_write_unknown_and_a_read_retryable(self, venue: LocalRest) -> None:
        venue.answers[CREATE_PATH] = Answer()
        venue.answers["/v5/account/wallet-balance"] = Answer()
        client = Client(venue.url)
        with pytest.raises(OutcomeUnknown) as raised:
            client.place()
        assert raised.value.code == "no_answer"
        assert "25000" not in raised.value.message
        with pytest.raises(Retryable):
            client.wallet()
        assert len(venue.asked) == 2  # never sent twice
        assert client.calls == [("create", "no_answer"), ("wallet", "no_answer")]

    def test_a_slow_answer_is_an_unknown_outcome(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            client = Client(f"http://127.0.0.1:{deaf.getsockname()[1]}")
            with pytest.raises(OutcomeUnknown) as raised:
                client.place()
        assert raised.value.details["reason"] == "ReadTimeout (ReadTimeoutError)"

    def test_a_closed_door_was_surely_not_passed(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as once:
            url = f"http://127.0.0.1:{once.getsockname()[1]}"
        with pytest.raises(Retryable) as raised:
            Client(url).place()
        assert raised.value.code == "unreachable"

    @pytest.mark.parametrize(
        "body", ["<html>Bad gateway</html>", "", "[1, 2]", '"ok"', "null", "{}", '{"retCode": null}']
    )
    def test_an_answer_that_is_none_leaves_a_write_unknown(self, venue: LocalRest, body: str) -> None:
        venue.answers[CREATE_PATH] = Answer(body)
        with pytest.raises(OutcomeUnknown):
            Client(venue.url).place()

    @pytest.mark.parametrize(("status", "expected"), [(500, OutcomeUnknown), (429, OutcomeUnknown), (404, Rejected)])
    def test_statuses(self, venue: LocalRest, status: int, expected: type[Exception]) -> None:
        venue.answers[CREATE_PATH] = Answer("oops", status=status)
        with pytest.raises(expected):
            Client(venue.url).place()

    def test_a_blocked_address_is_left_alone(self, venue: LocalRest) -> None:
        venue.answers["/v5/account/wallet-balance"] = Answer("", status=403)
        client = Client(venue.url)
        with pytest.raises(OperatorNeeded) as raised:
            client.wallet()
        assert raised.value.code == "ip_blocked"
        with pytest.raises(Retryable) as refused:
            client.wallet()
        assert refused.value.code == "budget_exhausted"
        assert len(venue.asked) == 1

    def test_a_rate_refusal_waits_for_the_venues_reset(self, venue: LocalRest) -> None:
        venue.say(CREATE_PATH, code=10006, message="Too many visits!", X_Bapi_Limit_Reset_Timestamp="1700000000800")
        client = Client(venue.url)
        with pytest.raises(Retryable) as raised:
            client.place()
        assert raised.value.details["retry_after_s"] == pytest.approx(0.8)
        venue.say(CREATE_PATH, {"orderId": "1"})
        client.place()
        assert client.now_s == pytest.approx(0.8)
        assert len(venue.asked) == 2

    def test_a_stamp_outside_the_window_measures_the_clock(self, venue: LocalRest) -> None:
        venue.say(CREATE_PATH, code=10002, message="timestamp")
        client = Client(venue.url)
        with pytest.raises(Retryable) as raised:
            client.place()
        assert raised.value.code == "clock_skew"
        assert client.measured == 1

    def test_what_others_used_is_learned_from_the_headers(self, venue: LocalRest) -> None:
        venue.say(CREATE_PATH, {"orderId": "1"}, X_Bapi_Limit="10", X_Bapi_Limit_Status="0")
        client = Client(venue.url)
        client.place()
        client.place()
        assert client.now_s == pytest.approx(1.0)


def test_threads_share_the_client(venue: LocalRest) -> None:
    venue.say("/v5/order/cancel", {"orderId": "1"})
    client = Client(venue.url)
    cancels = [{"category": "linear", "symbol": "BTCUSDT", "orderId": str(n)} for n in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda params: client.rest.call(CANCEL, params, lane=Lane.PROTECT), cancels))
    assert sorted(json.loads(asked.body)["orderId"] for asked in venue.asked) == [str(n) for n in range(8)]


def test_a_connected_client_speaks_through_all_its_parts(venue: LocalRest) -> None:
    venue.say("/v5/market/time", {"timeSecond": "1700000000", "timeNano": "1700000000500000000"})
    venue.say("/v5/account/fee-rate", {"list": [{"symbol": "BTCUSDT", "takerFeeRate": "0.00055", "makerFeeRate": "0"}]})
    seen: list[str] = []
    client = connect(
        Endpoints.simulated(venue.url),
        api_key="k",
        api_secret="s",
        account="a",
        on_call=lambda name, _seconds, code: seen.append(f"{name} {code}"),
    )
    client.clock.measure()
    assert 1_700_000_000_500 <= client.clock.now_ms() < 1_700_000_010_000
    assert client.gateway.fee_rates("BTCUSDT").taker == Decimal("0.00055")
    assert seen == [f"{TIME.name} ok", "fee_rate ok"]
