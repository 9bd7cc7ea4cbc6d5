"""Frames of the simulated exchange's sockets against recorded ones: the same keys and JSON types."""

import json
from pathlib import Path
from typing import Any

import pytest

from avigrid.exchange.simulator.inprocess import LocalExchange, LocalSocket
from tests.support.local_exchange import limit_buy, local_exchange

Row = dict[str, Any]
PUBLIC = ("orderbook.200.BTCUSDT", "publicTrade.BTCUSDT", "tickers.BTCUSDT", "kline.1.BTCUSDT")


def recorded(samples_dir: Path, name: str) -> Row:
    row: Row = json.loads((samples_dir / name).read_text())
    return row


def shape(value: object) -> object:
    """Types instead of values; a list is the shape of its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


@pytest.fixture
def venue() -> LocalExchange:
    return local_exchange()


@pytest.fixture
def public(venue: LocalExchange) -> LocalSocket:
    socket = venue.public(*PUBLIC)
    venue.step(65_000)
    return socket


@pytest.mark.parametrize(
    ("topic", "kind", "name"),
    [
        (PUBLIC[0], "snapshot", "ws_orderbook_snapshot"),
        (PUBLIC[0], "delta", "ws_orderbook_delta"),
        (PUBLIC[1], "snapshot", "ws_publicTrade_snapshot"),
        (PUBLIC[2], "snapshot", "ws_tickers_snapshot"),
        (PUBLIC[3], "snapshot", "ws_kline_open"),
    ],
)
def test_public_frames(public: LocalSocket, samples_dir: Path, topic: str, kind: str, name: str) -> None:
    ours = next(frame for frame in public.of_topic(topic) if frame["type"] == kind)
    assert shape(ours) == shape(recorded(samples_dir, f"recorded-2026-08/{name}.json"))


def test_a_ticker_delta_has_the_envelope_and_pairs(public: LocalSocket, samples_dir: Path) -> None:
    theirs = recorded(samples_dir, "recorded-2026-08/ws_tickers_delta_1.json")
    deltas = [frame for frame in public.of_topic(PUBLIC[2]) if frame["type"] == "delta"]
    assert deltas
    for frame in deltas:
        assert frame.keys() == theirs.keys()
        assert frame["data"]["symbol"] == "BTCUSDT"
        assert ("bid1Price" in frame["data"]) == ("bid1Size" in frame["data"])
        assert ("ask1Price" in frame["data"]) == ("ask1Size" in frame["data"])


def test_a_rollover_has_two_items(public: LocalSocket, samples_dir: Path) -> None:
    ours = next(frame for frame in public.of_topic(PUBLIC[3]) if len(frame["data"]) == 2)
    assert shape(ours) == shape(recorded(samples_dir, "recorded-2026-08/ws_kline_rollover.json"))


def test_acknowledgements_and_pongs(venue: LocalExchange, public: LocalSocket, samples_dir: Path) -> None:
    assert shape(public.answers("subscribe")[0]) == shape(recorded(samples_dir, "recorded/public_subscribe_ack.json"))
    private = venue.private("order")
    assert shape(private.answers("auth")[0]) == shape(recorded(samples_dir, "recorded/private_auth_ack.json"))
    private.send({"op": "ping", "req_id": "100001"})
    venue.step(100)
    assert shape(private.answers("pong")[0]) == shape(recorded(samples_dir, "recorded/private_pong.json"))


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("order", "sol_2024-09_order_cancelled"),
        ("position", "sol_2025-10_position"),
        ("wallet", "sol_2025-10_wallet"),
        ("execution", "sol_2025-10_execution"),
    ],
)
def test_private_envelopes(venue: LocalExchange, samples_dir: Path, topic: str, name: str) -> None:
    private = venue.private("order", "position", "wallet", "execution")
    row = limit_buy("a", price="60100")
    assert venue.post("/v5/order/create", **row)["retCode"] == 0
    venue.step(200)
    ours = private.of_topic(topic)[0]
    theirs = recorded(samples_dir, f"recorded/{name}.json")
    assert {key: type(value) for key, value in ours.items()} == {key: type(value) for key, value in theirs.items()}


def test_an_execution_fast_frame(venue: LocalExchange, samples_dir: Path) -> None:
    private = venue.private("execution.fast")
    venue.post("/v5/order/create", **limit_buy("a", price="60100"))
    venue.step(200)
    ours = private.of_topic("execution.fast")[0]
    assert shape(ours) == shape(recorded(samples_dir, "recorded/btcperp_2026-03_execution_fast.json"))


def test_a_trade_socket_acknowledgement(venue: LocalExchange, samples_dir: Path) -> None:
    from avigrid.exchange.simulator.auth import sign_socket

    socket = venue.connect("/v5/trade")
    expires = str(venue.now_ms + 10_000)
    socket.send({"op": "auth", "args": ["key", expires, sign_socket(venue.credentials, expires)]})
    header = {"X-BAPI-TIMESTAMP": str(venue.now_ms)}
    socket.send({"reqId": "1", "op": "order.create", "header": header, "args": [limit_buy("a")]})
    venue.step(200)
    ours = socket.answers("order.create")[0]
    assert shape(ours) == shape(recorded(samples_dir, "recorded/sol_2025-10_trade_ws_create_ack.json"))
