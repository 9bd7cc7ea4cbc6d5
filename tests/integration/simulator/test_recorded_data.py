"""Real recordings, where they are at hand: replayed bars equal the recorded ones, frames have the recorded shapes."""

from decimal import Decimal
from pathlib import Path

import pytest

from avigrid.exchange.simulator.feed import BookTarget, TapeTrade
from avigrid.exchange.simulator.sources.files import KlineFile
from avigrid.exchange.simulator.sources.opening import open_source
from avigrid.exchange.simulator.venue import Venue, VenueConfig

DAY_MS = 86_400_000


def replayed(
    source_text: str, symbol: str, interval: str, start_ms: int | None, length_ms: int
) -> tuple[int, list[list[str]]]:
    source = open_source(source_text, symbols=(symbol,), seed=3, start_ms=start_ms)
    venue = Venue(source.instruments(), config=VenueConfig(), start_ms=source.start_ms, seed=1)
    interval_min, history = source.history(symbol)
    venue.load_history(symbol, interval_min, history)
    end_ms = source.start_ms + length_ms
    for event in source.events_until(end_ms):
        venue.apply(event)
    venue.advance(end_ms)
    params = {"category": "linear", "symbol": symbol, "interval": interval, "limit": "1000", "end": str(end_ms - 1)}
    return source.start_ms, venue.kline(params)["list"]


@pytest.mark.parametrize(
    ("folder", "symbol", "interval", "start_ms"),
    [
        ("klines_5m", "BTCUSDT", "5", None),
        ("klines_5m", "SOLUSDT", "5", 1_760_119_200_000),
        ("klines_1m", "ETHUSDT", "1", None),
    ],
)
def test_replayed_bars_are_the_recorded_bars(
    data_dir: Path, folder: str, symbol: str, interval: str, start_ms: int | None
) -> None:
    path = data_dir / folder / f"{symbol}_{interval}m.csv.gz"
    start_ms, rows = replayed(f"replay:{data_dir / folder}", symbol, interval, start_ms, DAY_MS // 4)
    file = KlineFile(path)
    compared = 0
    for row in rows:
        bar = file.bar(file.starts.index(int(row[0])))
        expected = [bar.open, bar.high, bar.low, bar.close, bar.volume]
        assert [Decimal(value) for value in row[1:6]] == expected, row
        compared += int(row[0]) >= start_ms
    assert compared == DAY_MS // 4 // (int(interval) * 60_000)


def test_the_recorded_funding_rate_is_the_running_estimate(data_dir: Path) -> None:
    source = open_source(f"replay:{data_dir / 'klines_5m'}", symbols=("BTCUSDT",), seed=1, start_ms=None)
    venue = Venue(source.instruments(), config=VenueConfig(), start_ms=source.start_ms, seed=1)
    end_ms = source.start_ms + 9 * 3_600_000
    for event in source.events_until(end_ms):
        venue.apply(event)
    venue.advance(end_ms)
    charged = venue.funding_history({"category": "linear", "symbol": "BTCUSDT"})["list"]
    recorded = {}
    import gzip

    with gzip.open(data_dir / "funding" / "BTCUSDT_funding.csv.gz", "rt") as lines:
        for line in list(lines)[1:]:
            time_ms, rate = line.strip().split(",")
            recorded[time_ms] = Decimal(rate)
    row = charged[0]
    assert Decimal(row["fundingRate"]) == recorded[row["fundingRateTimestamp"]]


def test_the_socket_capture_plays(data_dir: Path) -> None:
    source = open_source(f"replay:{data_dir / 'ws_recording_2026-08-09'}", symbols=(), seed=1, start_ms=None)
    assert {spec.symbol for spec in source.instruments()} == {"BTCUSDT", "ETHUSDT", "SOLUSDT", "DOGEUSDT"}
    events = list(source.events_until(source.start_ms + 60_000))
    books = [event for event in events if isinstance(event, BookTarget)]
    assert len(books) > 1_000
    assert all(len(book.bids) == len(book.asks) == 200 for book in books)
    assert all(book.bids[0][0] < book.asks[0][0] for book in books)
    assert sum(isinstance(event, TapeTrade) for event in events) > 100


def test_the_order_book_download_plays(data_dir: Path) -> None:
    source = open_source(f"replay:{data_dir / 'orderbook'}", symbols=(), seed=1, start_ms=None)
    events = list(source.events_until(source.start_ms + 600_000))
    assert sum(isinstance(event, BookTarget) for event in events) == 50


def test_the_trade_download_plays(data_dir: Path) -> None:
    source = open_source(f"replay:{data_dir / 'trades'}", symbols=(), seed=1, start_ms=None)
    trades = [event for event in source.events_until(source.start_ms + 600_000) if isinstance(event, TapeTrade)]
    assert trades
    assert [trade.time_ms for trade in trades] == sorted(trade.time_ms for trade in trades)
