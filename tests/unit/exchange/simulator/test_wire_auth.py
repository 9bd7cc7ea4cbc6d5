"""Signatures, windows and budgets as Bybit checks them; vectors computed independently of this code."""

import pytest

from avigrid.exchange.simulator.auth import Credentials, check_request, check_socket
from avigrid.exchange.simulator.rate_limits import RateLimiter

CREDENTIALS = Credentials("KEY000TEST", "SECRET000TEST")
NOW_MS = 1_700_000_000_000
QUERY = "category=linear&symbol=BTCUSDT"
QUERY_SIGN = "6dfaa4d8cf2c79904a5f52a743e8834c13c1b72dab5f7dcb7de94b5825273846"
BODY = (
    '{"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit", "qty": "0.001", "price": "25000"}'
)
BODY_SIGN = "b0517d8b8a7d5ca0b0f8a27c2d048b53ae22272ea91f2989370771a45ccab145"
SOCKET_SIGN = "8ca02d79e9db7001d6ce37e3e2a7863c7f5ae85aac84dda59bef6ea2f24dbd75"


def headers(sign: str, **changes: str) -> dict[str, str]:
    row = {
        "x-bapi-api-key": "KEY000TEST",
        "x-bapi-timestamp": str(NOW_MS),
        "x-bapi-recv-window": "5000",
        "x-bapi-sign": sign,
    }
    return {name: value for name, value in (row | changes).items() if value != "-"}


@pytest.mark.parametrize(("payload", "sign"), [(QUERY, QUERY_SIGN), (BODY, BODY_SIGN)])
def test_the_known_vectors_pass(payload: str, sign: str) -> None:
    assert check_request(CREDENTIALS, headers(sign), payload=payload, now_ms=NOW_MS) is None
    assert check_request(CREDENTIALS, headers(sign.upper()), payload=payload, now_ms=NOW_MS) is None


@pytest.mark.parametrize("payload", [QUERY + "&", QUERY.replace("BTC", "ETH"), ""])
def test_a_changed_byte_is_a_bad_signature(payload: str) -> None:
    failure = check_request(CREDENTIALS, headers(QUERY_SIGN), payload=payload, now_ms=NOW_MS)
    assert failure is not None
    assert failure.code == 10004


@pytest.mark.parametrize(
    ("changes", "code", "status"),
    [
        ({"x-bapi-api-key": "-"}, 10003, 401),
        ({"x-bapi-sign": "-"}, 10003, 401),
        ({"x-bapi-timestamp": "-"}, 10003, 401),
        ({"x-bapi-api-key": "OTHER"}, 10003, 200),
        ({"x-bapi-timestamp": "yesterday"}, 10002, 200),
        ({"x-bapi-timestamp": "9" * 400}, 10002, 200),
        ({"x-bapi-recv-window": "wide"}, 10001, 200),
        ({"x-bapi-sign": "ü" * 64}, 10004, 200),
    ],
)
def test_what_is_missing_or_wrong_has_its_code(changes: dict[str, str], code: int, status: int) -> None:
    failure = check_request(CREDENTIALS, headers(QUERY_SIGN, **changes), payload=QUERY, now_ms=NOW_MS)
    assert failure is not None
    assert (failure.code, failure.http_status) == (code, status)


@pytest.mark.parametrize(
    ("server_ms", "accepted"),
    [(NOW_MS - 1_000, False), (NOW_MS - 999, True), (NOW_MS + 5_000, True), (NOW_MS + 5_001, False)],
)
def test_the_window_is_half_open_ahead(server_ms: int, accepted: bool) -> None:
    failure = check_request(CREDENTIALS, headers(QUERY_SIGN), payload=QUERY, now_ms=server_ms)
    assert (failure is None) is accepted


def test_a_fast_clock_stretches_the_window() -> None:
    late_ms = NOW_MS + 5_000 * 30
    assert check_request(CREDENTIALS, headers(QUERY_SIGN), payload=QUERY, now_ms=late_ms, speed=30) is None
    assert check_request(CREDENTIALS, headers(QUERY_SIGN), payload=QUERY, now_ms=late_ms + 1, speed=30) is not None


@pytest.mark.parametrize("expires", [1_700_000_010_000, "1700000010000", 1_700_000_010_000.0])
def test_socket_expiry_may_be_text_or_number(expires: object) -> None:
    assert check_socket(CREDENTIALS, ["KEY000TEST", expires, SOCKET_SIGN], now_ms=NOW_MS) is None


@pytest.mark.parametrize(
    ("args", "now_ms", "code"),
    [
        (["KEY000TEST", 1_700_000_010_000, SOCKET_SIGN], 1_700_000_010_000, 10004),
        (["KEY000TEST", 1_700_000_010_000, SOCKET_SIGN[:-1] + "0"], NOW_MS, 10004),
        (["OTHER", 1_700_000_010_000, SOCKET_SIGN], NOW_MS, 10003),
        (["KEY000TEST"], NOW_MS, 10001),
        ("KEY000TEST", NOW_MS, 10001),
        ([None, True, {}], NOW_MS, 10001),
        (["KEY000TEST", "soon", SOCKET_SIGN], NOW_MS, 10001),
    ],
)
def test_socket_refusals(args: object, now_ms: int, code: int) -> None:
    failure = check_socket(CREDENTIALS, args, now_ms=now_ms)
    assert failure is not None
    assert failure.code == code


def test_ten_orders_a_second_and_no_more() -> None:
    limiter = RateLimiter()
    verdicts = [limiter.take("/v5/order/create", 100.0 + number * 0.01) for number in range(11)]
    assert [verdict.granted for verdict in verdicts] == [1] * 10 + [0]
    assert [verdict.remaining for verdict in verdicts[:3]] == [9, 8, 7]
    assert verdicts[-1].wait_s == pytest.approx(0.9)
    assert limiter.take("/v5/order/create", 101.0).granted == 1
    assert limiter.take("/v5/order/create", 101.0).granted == 0
    assert limiter.take("/v5/order/cancel", 101.0).granted == 1


def test_a_batch_spends_a_unit_per_order_in_its_own_bucket() -> None:
    limiter = RateLimiter()
    for _ in range(5):
        limiter.take("/v5/order/create-batch", 0.0)
    assert limiter.take("/v5/order/create-batch", 0.0, 8).granted == 5
    assert limiter.take("/v5/order/create", 0.0).granted == 1


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/v5/order/realtime", 50),
        ("/v5/account/fee-rate", 5),
        ("/v5/account/transaction-log", 25),
        ("/v5/order/amend", 10),
    ],
)
def test_each_endpoint_has_its_own_limit(path: str, limit: int) -> None:
    limiter = RateLimiter()
    assert sum(limiter.take(path, 0.0).granted for _ in range(100)) == limit


def test_an_address_may_send_600_requests_in_five_seconds() -> None:
    limiter = RateLimiter()
    assert all(limiter.admits_address("a", number / 200) for number in range(600))
    assert not limiter.admits_address("a", 3.0)
    assert limiter.admits_address("b", 3.0)
    assert limiter.admits_address("a", 5.0)
