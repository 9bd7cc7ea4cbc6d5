"""Rows of the simulated venue against recorded ones: the same keys, the same JSON types."""

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.support.simulated_venue import START_MS, Floor

D = Decimal
Row = dict[str, Any]


def load(path: Path) -> Any:
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)


def kinds(row: Row) -> dict[str, str]:
    return {key: type(value).__name__ for key, value in row.items()}


def assert_same_shape(ours: Row, recorded: Row, *, newer: frozenset[str] = frozenset()) -> None:
    """`newer`: fields the exchange added after the recording was made."""
    missing, extra = recorded.keys() - ours.keys(), ours.keys() - recorded.keys() - newer
    assert (missing, extra) == (set(), set())
    theirs, mine = kinds(recorded), kinds(ours)
    different = {key: (mine[key], theirs[key]) for key in recorded if mine[key] != theirs[key]}
    assert different == {}


@pytest.fixture
def floor() -> Floor:
    """A venue where everything a row can come from has happened: fills, a cancel, a child order, funding."""
    floor = Floor()
    floor.market("Buy", "0.1", stopLoss="49000")
    floor.limit("Sell", "0.05", "50010", reduceOnly=True)
    floor.trade("Buy", "50010", "20")
    gone = floor.limit("Buy", "0.01", "49900")
    floor.venue.cancel_order(floor.body(orderId=gone))
    floor.venue.advance(START_MS + 3 * 3_600_000)
    return floor


def frames(floor: Floor, topic: str) -> list[Row]:
    return [dict(row) for event in floor.venue.drain_private() if event.topic == topic for row in event.rows]


def through_json(row: Row) -> Row:
    return json.loads(json.dumps(row))


def test_order_frames(floor: Floor, samples_dir: Path) -> None:
    rows = frames(floor, "order")
    filled = next(row for row in rows if row["orderStatus"] == "Filled")
    recorded = load(samples_dir / "recorded/btcperp_2026-03_order_market_filled.json")["data"][0]
    assert_same_shape(through_json(filled), recorded)
    for row in rows:
        assert kinds(row) == kinds(filled)


def test_a_cancelled_order_says_what_a_recorded_one_says(floor: Floor, samples_dir: Path) -> None:
    cancelled = next(row for row in frames(floor, "order") if row["orderStatus"] == "Cancelled")
    recorded = load(samples_dir / "recorded/sol_2024-09_order_cancelled.json")["data"][0]
    own = {"symbol", "orderId", "side", "price", "qty", "lastPriceOnCreated", "createdTime", "updatedTime"}
    same = {key: value for key, value in recorded.items() if key not in own}
    assert {key: cancelled[key] for key in same} == same


def test_execution_frames(floor: Floor, samples_dir: Path) -> None:
    recorded = load(samples_dir / "recorded/sol_2025-10_execution.json")["data"][0]
    recorded["extraFees"] = ""  # that account paid a local tax; without one the field is empty text
    rows = frames(floor, "execution")
    assert {row["execType"] for row in rows} == {"Trade", "Funding"}
    for row in rows:
        assert_same_shape(through_json(row), recorded)


def test_position_frames(floor: Floor, samples_dir: Path) -> None:
    recorded = load(samples_dir / "recorded/btcperp_2026-03_position.json")["data"][0]
    for row in frames(floor, "position"):
        assert_same_shape(through_json(row), recorded, newer=frozenset({"openTime"}))


def test_an_empty_hedge_side_says_what_a_recorded_one_says(samples_dir: Path) -> None:
    floor = Floor(hedge=True)
    floor.market("Buy", "0.1", positionIdx=1)
    pairs = [event.rows for event in floor.venue.drain_private() if event.topic == "position"]
    empty = next(row for row in pairs[-1] if row["positionIdx"] == 2)
    recorded = load(samples_dir / "recorded/ada_2025-12_position_hedge.json")["data"][1]
    own = {"riskId", "riskLimitValue", "symbol", "leverage", "markPrice", "cumRealisedPnl", "createdTime"}
    own |= {"updatedTime", "seq"}
    same = {key: value for key, value in recorded.items() if key not in own}
    assert {key: empty[key] for key in same} == same


def test_wallet_frames(floor: Floor, samples_dir: Path) -> None:
    row = frames(floor, "wallet")[-1]
    for name in ("sol_2025-10_wallet", "btcperp_2026-03_wallet"):
        recorded = load(samples_dir / f"recorded/{name}.json")["data"][0]
        assert_same_shape(through_json(row), recorded)
        assert_same_shape(row["coin"][0], recorded["coin"][0])


def test_instruments(floor: Floor, samples_dir: Path) -> None:
    ours = floor.venue.instruments_info({"category": "linear", "symbol": "SOLUSDT"})["list"][0]
    everything = load(samples_dir / "recorded-2026-08/http_instruments_info_linear_full.json.gz")
    recorded = next(row for row in everything["result"]["list"] if row["symbol"] == "SOLUSDT")
    assert_same_shape(through_json(ours), recorded)
    for part in ("leverageFilter", "priceFilter", "lotSizeFilter", "riskParameters"):
        assert ours[part].keys() == recorded[part].keys()
    assert ours["priceFilter"]["tickSize"] == recorded["priceFilter"]["tickSize"]
    assert ours["lotSizeFilter"]["qtyStep"] == recorded["lotSizeFilter"]["qtyStep"]


def test_tickers(floor: Floor, samples_dir: Path) -> None:
    recorded = load(samples_dir / "recorded-2026-08/ws_tickers_snapshot.json")["data"]
    assert_same_shape(floor.venue.ticker("BTCUSDT"), recorded)


def test_kline_items(floor: Floor, samples_dir: Path) -> None:
    recorded = load(samples_dir / "recorded-2026-08/ws_kline_rollover.json")["data"]
    rollover = next(item for item in floor.venue.drain_rollovers() if item.interval == "1")
    for ours, theirs in zip(rollover.items, recorded, strict=True):
        assert_same_shape(ours, theirs)
        assert ours["confirm"] == theirs["confirm"]
        assert ours["end"] - ours["start"] == theirs["end"] - theirs["start"]


def test_public_trades(floor: Floor, samples_dir: Path) -> None:
    recorded = load(samples_dir / "recorded-2026-08/ws_publicTrade_snapshot.json")["data"][0]
    for row in floor.venue.drain_trades():
        assert_same_shape(row, recorded)


def test_risk_tiers(floor: Floor, samples_dir: Path) -> None:
    recorded = load(samples_dir / "recorded/risk_limit_linear_2024.json")["rows"]["BTC/USDT:USDT"]
    ours = floor.venue.risk_limit({"category": "linear", "symbol": "BTCUSDT"})["list"]
    assert ours[0].keys() == recorded[0].keys()
    assert [row["mmDeduction"] for row in ours] == [row["mmDeduction"] for row in recorded[: len(ours)]]


def test_key_information(floor: Floor, samples_dir: Path) -> None:
    recorded = load(samples_dir / "nautilus/http_get_user_query_api.json")["result"]
    assert_same_shape(floor.venue.query_api({}), recorded)


def test_account_information(floor: Floor, samples_dir: Path) -> None:
    recorded = load(samples_dir / "nautilus/http_get_account_info.json")["result"]
    assert_same_shape(floor.venue.account_info({}), recorded)


@pytest.mark.parametrize(
    ("sample", "call", "params"),
    [
        ("http_get_positions_with_open_time", "position_list", {}),
        ("http_get_executions", "execution_list", {}),
        ("http_get_orders_realtime", "realtime_orders", {}),
        ("http_get_orders_history", "order_history", {}),
        ("http_get_trades_recent", "recent_trade", {}),
        ("http_get_funding_history", "funding_history", {}),
        ("http_get_fee_rate", "fee_rate", {}),
        ("http_get_wallet_balance", "wallet_balance", {"accountType": "UNIFIED"}),
    ],
)
def test_rest_rows_have_every_field_of_the_samples(
    floor: Floor, samples_dir: Path, sample: str, call: str, params: Row
) -> None:
    """These samples are older or made up in their values, so only names and, where they are text, types count."""
    theirs = load(samples_dir / f"nautilus/{sample}.json")["result"]
    floor.limit("Buy", "0.01", "49000")
    ours = getattr(floor.venue, call)(floor.body(**params))
    assert theirs.keys() <= ours.keys()
    assert ours["list"]
    for row in ours["list"]:
        missing = theirs["list"][0].keys() - row.keys()
        assert missing == set()
        for key, value in theirs["list"][0].items():
            if isinstance(value, str | bool):
                assert type(row[key]) is type(value), key


def test_order_books(floor: Floor, samples_dir: Path) -> None:
    theirs = load(samples_dir / "nautilus/http_get_orderbook.json")["result"]
    assert kinds(floor.venue.orderbook(floor.body())) == kinds(theirs)


def test_klines(floor: Floor, samples_dir: Path) -> None:
    theirs = load(samples_dir / "nautilus/http_get_klines_linear.json")["result"]
    ours = floor.venue.kline(floor.body(interval="1"))
    assert kinds(ours) == kinds(theirs)
    assert [type(value) for value in ours["list"][0]] == [type(value) for value in theirs["list"][0]]
