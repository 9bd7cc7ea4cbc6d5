"""The codec and the book against what the real exchange sent."""

import gzip
import json
import zipfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from avigrid.exchange.bybit.codec.execution import executions_of_reply
from avigrid.exchange.bybit.codec.instrument import fee_rates_of_reply, instruments_of_reply, risk_tiers_of_reply
from avigrid.exchange.bybit.codec.key import key_info_of_reply
from avigrid.exchange.bybit.codec.order import orders_of_reply
from avigrid.exchange.bybit.codec.position import positions_of_reply
from avigrid.exchange.bybit.codec.stream import PrivateDecoder, PublicDecoder
from avigrid.exchange.bybit.codec.trade import trades_of_reply
from avigrid.exchange.bybit.codec.wallet import wallet_of_reply
from avigrid.exchange.bybit.orderbook import OrderBook
from avigrid.kernel.market import BookUpdate, Kline, PublicTrade, Ticker
from avigrid.kernel.orders import Execution, Side, VenueOrder
from avigrid.kernel.portfolio import VenuePosition, Wallet


def private(samples_dir: Path, name: str) -> Any:
    decoded = PrivateDecoder().decode((samples_dir / "recorded" / name).read_bytes())
    assert isinstance(decoded, tuple)
    return decoded[1][0]


def reply(samples_dir: Path, name: str) -> dict[str, Any]:
    found = json.loads((samples_dir / "nautilus" / name).read_text())
    assert isinstance(found, dict)
    return found


class TestPrivateFrames:
    def test_a_filled_order(self, samples_dir: Path) -> None:
        order = private(samples_dir, "sol_2025-10_order_filled_fok.json")
        assert isinstance(order, VenueOrder)
        assert (order.symbol, order.side, order.status) == ("SOLUSDT", Side.BUY, "Filled")
        assert (order.price, order.avg_price, order.filled_qty) == (Decimal(240), Decimal("233.02"), Decimal("0.2"))
        assert (order.cancel_type, order.reject_reason, order.trigger_price) == ("", "", None)
        assert not order.is_open

    def test_a_cancelled_order_of_a_categorised_topic(self, samples_dir: Path) -> None:
        order = private(samples_dir, "sol_2024-09_order_cancelled.json")
        assert (order.status, order.cancel_type, order.reject_reason) == (
            "Cancelled",
            "CancelByUser",
            "EC_PerCancelRequest",
        )
        assert (order.avg_price, order.filled_qty) == (None, Decimal(0))

    def test_a_fill_whose_tax_explains_the_realised_loss(self, samples_dir: Path) -> None:
        fill = private(samples_dir, "sol_2025-10_execution.json")
        position = private(samples_dir, "sol_2025-10_position.json")
        assert isinstance(fill, Execution)
        assert (fill.price, fill.quantity, fill.is_maker) == (Decimal("233.02"), Decimal("0.2"), False)
        assert abs(position.realised_pnl_usd + fill.fee_usd) < Decimal("0.00000001")

    def test_both_sides_in_hedge_mode(self, samples_dir: Path) -> None:
        decoded = PrivateDecoder().decode((samples_dir / "recorded" / "ada_2025-12_position_hedge.json").read_bytes())
        assert isinstance(decoded, tuple)
        sides = {position.position_idx: position for position in decoded[1] if isinstance(position, VenuePosition)}
        assert sides[1].avg_price == Decimal("0.37293023")
        assert (sides[2].side, sides[2].size, sides[2].avg_price) == (None, Decimal(0), None)

    def test_wallet(self, samples_dir: Path) -> None:
        wallet = private(samples_dir, "sol_2025-10_wallet.json")
        assert isinstance(wallet, Wallet)
        assert (wallet.equity_usd, wallet.wallet_balance_usd) == (Decimal("11.47904524"), Decimal("11.47724524"))
        assert wallet.available_usd == Decimal("6.79142384")  # its index was 1.000686

    def test_a_wallet_frame_of_another_coin_says_nothing_about_ours(self, samples_dir: Path) -> None:
        """Its account-level equity of 59 dollars counts coins that the frame does not even name."""
        raw = (samples_dir / "recorded" / "btcperp_2026-03_wallet.json").read_bytes()
        assert PrivateDecoder().decode(raw) == ("wallet", [])

    @pytest.mark.parametrize("folder", ["nautilus", "recorded"])
    def test_every_private_frame_is_understood(self, samples_dir: Path, folder: str) -> None:
        decoder = PrivateDecoder()
        understood = 0
        for path in sorted((samples_dir / folder).glob("*.json")):
            frame = json.loads(path.read_text())
            if isinstance(frame, dict) and frame.get("topic") in ("order", "execution", "position", "wallet"):
                decoder.decode(path.read_bytes())
                understood += 1
        assert understood > 5
        assert not decoder.faults


class TestReplies:
    def test_instruments(self, samples_dir: Path) -> None:
        with gzip.open(samples_dir / "recorded-2026-08" / "http_instruments_info_linear_full.json.gz") as file:
            found = {instrument.symbol: instrument for instrument in instruments_of_reply(json.load(file))}
        bitcoin, solana = found["BTCUSDT"], found["SOLUSDT"]
        assert (bitcoin.tick_size, bitcoin.qty_step, bitcoin.min_notional) == (
            Decimal("0.1"),
            Decimal("0.001"),
            Decimal(5),
        )
        assert (bitcoin.max_limit_qty, bitcoin.max_market_qty, bitcoin.max_leverage) == (1500, 150, 100)
        assert (solana.tick_size, solana.price_limit_ratio_x) == (Decimal("0.01"), Decimal("0.05"))
        assert "BTCPERP" not in found
        assert all(instrument.quote_coin == "USDT" for instrument in found.values())
        assert len(found) > 650

    def test_risk_tiers_follow_their_own_arithmetic(self, samples_dir: Path) -> None:
        dump = json.loads((samples_dir / "recorded" / "risk_limit_linear_2024.json").read_text())
        for rows in dump["rows"].values():
            tiers = risk_tiers_of_reply({"result": {"list": rows}})
            assert len(tiers) == len(rows)
            for lower, upper in zip(tiers, tiers[1:], strict=False):
                step = upper.maintenance_margin_ratio - lower.maintenance_margin_ratio
                assert upper.mm_deduction_usd == lower.limit_usd * step + lower.mm_deduction_usd

    def test_lists(self, samples_dir: Path) -> None:
        executions = executions_of_reply(reply(samples_dir, "http_get_executions.json"))
        assert [execution.exec_id[:8] for execution in executions] == ["e0cbe81d", "f1dce92e"]
        assert [execution.seq for execution in executions] == [4688002127, 4688002128]
        for name in ("http_get_orders_history", "http_get_orders_realtime", "http_get_orders_realtime_tp_sl"):
            assert orders_of_reply(reply(samples_dir, f"{name}.json"))
        positions = positions_of_reply(reply(samples_dir, "http_get_positions.json"))
        assert (positions[0].avg_price, positions[0].stop_loss) == (Decimal(50000), Decimal(48000))
        assert trades_of_reply(reply(samples_dir, "http_get_trades_recent.json"))[0].price == 27450.5

    def test_account(self, samples_dir: Path) -> None:
        assert wallet_of_reply(reply(samples_dir, "http_get_wallet_balance.json")).equity_usd == Decimal("1000.50")
        info = key_info_of_reply(reply(samples_dir, "http_get_user_query_api.json"))
        assert (info.read_only, info.can_trade, info.can_withdraw, info.ip_bound) == (True, False, False, True)
        assert (info.user_id, info.expires) == ("1448939", "")
        rates = fee_rates_of_reply(reply(samples_dir, "http_get_fee_rate.json"), "SOLUSDT")
        assert rates is not None
        assert (rates.taker, rates.maker) == (Decimal("0.00075"), Decimal("0.00025"))


def linear_frames(data_dir: Path) -> list[bytes]:
    frames = []
    with gzip.open(data_dir / "ws_recording_2026-08-09" / "bybit_v5_linear_spot.jsonl.gz", "rt") as file:
        for line in file:
            entry = json.loads(line)
            if entry["t"] == "recv" and entry["conn"] == "BYBIT.ws.2":
                frames.append(entry["data"].encode())
    return frames


class PlainBook:
    """Built straight from the text, with dictionaries, to compare with."""

    def __init__(self) -> None:
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}

    def apply(self, frame: dict[str, Any]) -> None:
        for side, levels in ((self.bids, frame["data"]["b"]), (self.asks, frame["data"]["a"])):
            if frame["type"] == "snapshot":
                side.clear()
            for price, size in levels:
                if float(size) == 0:
                    side.pop(price, None)
                else:
                    side[price] = size

    def levels(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        bids = sorted(((float(p), float(s)) for p, s in self.bids.items()), reverse=True)
        return bids, sorted((float(p), float(s)) for p, s in self.asks.items())


def test_a_recorded_session_is_understood_to_the_last_frame(data_dir: Path) -> None:
    decoder = PublicDecoder()
    kinds: Counter[str] = Counter()
    books: dict[str, OrderBook] = {}
    plain: dict[str, PlainBook] = {}
    confirmed: list[Kline] = []
    for raw in linear_frames(data_dir):
        decoded = decoder.decode(raw)
        if not isinstance(decoded, tuple):
            kinds[decoded.op] += 1
            continue
        topic, events = decoded
        kinds[topic.partition(".")[0]] += 1
        for event in events:
            if isinstance(event, BookUpdate):
                book = books.setdefault(topic, OrderBook(event.symbol))
                mirror = plain.setdefault(topic, PlainBook())
                mirror.apply(json.loads(raw))
                assert book.apply(event) is None, (topic, event.update_id)
                assert book.is_ready
                assert len(book.bids()) == len(book.asks()) == 200
            elif isinstance(event, Kline) and event.confirmed:
                confirmed.append(event)
            else:
                assert isinstance(event, Kline | PublicTrade | Ticker)
    assert not decoder.faults
    assert len(books) == 4
    for topic, book in books.items():
        assert (book.bids(), book.asks()) == plain[topic].levels()
        features = book.features(0)
        assert features is not None
        assert -1 <= features.imbalance <= 1
        assert book.best_bid <= features.microprice <= book.best_ask
    assert {bar.symbol for bar in confirmed} == {"BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT"}
    assert min(kinds[kind] for kind in ("orderbook", "publicTrade", "tickers", "kline", "subscribe")) > 0


def test_the_download_format_of_deep_books_replays_to_the_recorded_state(data_dir: Path) -> None:
    decoder, book, plain = PublicDecoder(), OrderBook("XRPUSDT"), PlainBook()
    count = 0
    with zipfile.ZipFile(data_dir / "orderbook" / "xrpusdt-ob500.data.zip") as archive:
        for line in archive.read(archive.namelist()[0]).splitlines():
            decoded = decoder.decode(line)
            assert isinstance(decoded, tuple)
            update = decoded[1][0]
            assert isinstance(update, BookUpdate)
            assert book.apply(update) is None
            plain.apply(json.loads(line))
            count += 1
    assert count == 50
    assert (book.bids(), book.asks()) == plain.levels()
