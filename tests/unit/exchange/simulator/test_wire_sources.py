"""Market sources: deterministic, on the grid, and a replayed bar is the recorded bar to the last digit."""

import gzip
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avigrid.exchange.simulator.feed import BookGrid, BookTarget, HistoryBar, MarkTick, Source, SourceEvent, TapeTrade
from avigrid.exchange.simulator.sources.bars import trades_of_bar
from avigrid.exchange.simulator.sources.catalogue import DEFAULT_SYMBOLS, SPECS
from avigrid.exchange.simulator.sources.frames import FrameDecoder
from avigrid.exchange.simulator.sources.opening import BadSource, open_source
from avigrid.exchange.simulator.sources.shift import ShiftedSource
from avigrid.exchange.simulator.sources.synthetic import SyntheticSource
from avigrid.exchange.simulator.venue import Venue, VenueConfig
from avigrid.kernel.orders import Side

D = Decimal
START_MS = 1_767_571_200_000
MINUTE_MS = 60_000


def synthetic(seed: int = 3, symbols: tuple[str, ...] = ("BTCUSDT", "ADAUSDT"), **options: int) -> SyntheticSource:
    return SyntheticSource(symbols, seed=seed, start_ms=START_MS, **options)


# -- synthetic ------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_events_however_time_is_cut() -> None:
    one = list(synthetic().events_until(START_MS + 20_000))
    source = synthetic()
    two: list[SourceEvent] = []
    for ms in (1, 999, 1_000, 7_531, 7_532, 19_999, 20_000):
        two.extend(source.events_until(START_MS + ms))
    assert one == two
    assert list(synthetic(seed=4).events_until(START_MS + 20_000)) != one


def test_events_are_in_time_order_and_on_the_grid() -> None:
    events = list(synthetic(books_per_s=4).events_until(START_MS + 120_000))
    assert [event.time_ms for event in events] == sorted(event.time_ms for event in events)
    assert {type(event) for event in events} == {BookGrid, TapeTrade, MarkTick}
    for event in events:
        spec = SPECS[event.symbol]
        if isinstance(event, TapeTrade):
            assert event.price % spec.tick_size == 0
            assert event.quantity % spec.qty_step == 0
            assert event.quantity > 0
        elif isinstance(event, BookGrid):
            assert len(event.bids) >= 200
            assert len(event.asks) >= 200
            assert max(event.bids) < min(event.asks)
            assert min(*event.bids.values(), *event.asks.values()) > 0


def test_the_warm_up_is_enough_and_unbroken() -> None:
    source = synthetic()
    interval_min, bars = source.history("ADAUSDT")
    assert interval_min == 1
    assert len(bars) * interval_min >= 300 * 5
    assert bars[-1].start_ms + MINUTE_MS == START_MS - START_MS % MINUTE_MS
    for before, after in zip(bars, bars[1:], strict=False):
        assert after.start_ms - before.start_ms == MINUTE_MS
        assert after.open == before.close
        assert after.low <= min(after.open, after.close) <= max(after.open, after.close) <= after.high


def test_a_symbol_moves_with_the_market_but_not_alone() -> None:
    source = SyntheticSource(DEFAULT_SYMBOLS, seed=11, start_ms=START_MS)
    returns = {}
    for symbol in DEFAULT_SYMBOLS:
        closes = [float(bar.close) for bar in source.history(symbol)[1]][::15]
        returns[symbol] = [after / before - 1 for before, after in zip(closes, closes[1:], strict=False)]
    for symbol in DEFAULT_SYMBOLS[1:]:
        assert 0.2 < _correlation(returns["BTCUSDT"], returns[symbol]) < 0.98, symbol


def test_volatility_clusters() -> None:
    seen = []
    for seed in (5, 6, 7):
        closes = [float(bar.close) for bar in synthetic(seed=seed).history("BTCUSDT")[1]][::5]
        moves = [abs(after / before - 1) for before, after in zip(closes, closes[1:], strict=False)]
        seen.append(_correlation(moves[:-1], moves[1:]))
    assert sum(seen) / len(seen) > 0.15


def test_imbalance_leads_the_price() -> None:
    leans, moves = [], []
    before: BookGrid | None = None
    for event in synthetic(seed=9, symbols=("BTCUSDT",)).events_until(START_MS + 3_600_000):
        if not isinstance(event, BookGrid):
            continue
        if before is not None:
            leans.append(_imbalance(before))
            moves.append(float(max(event.bids) - max(before.bids)))
        before = event
    assert _correlation(leans, moves) > 0.02
    assert sum(lean >= 0.35 for lean in leans) > 0.03 * len(leans)


def _imbalance(book: BookGrid) -> float:
    bids = sum(book.bids[ticks] for ticks in sorted(book.bids, reverse=True)[:10])
    asks = sum(book.asks[ticks] for ticks in sorted(book.asks)[:10])
    return (bids - asks) / (bids + asks)


def _correlation(left: list[float], right: list[float]) -> float:
    mean_left, mean_right = sum(left) / len(left), sum(right) / len(right)
    together = sum((a - mean_left) * (b - mean_right) for a, b in zip(left, right, strict=True))
    alone = sum((a - mean_left) ** 2 for a in left) * sum((b - mean_right) ** 2 for b in right)
    return together / alone**0.5


# -- replay of klines -----------------------------------------------------------------------------------------


def as_text(bars: Iterable[tuple[str, ...]], head: str = "start_ms,open,high,low,close,volume") -> str:
    return "\n".join([head, *(",".join(row) for row in bars)]) + "\n"


def five_minutes(count: int) -> list[tuple[str, ...]]:
    rows, close = [], D("60000")
    for number in range(count):
        first = close
        close = first + D(number % 7 - 3) * D("12.3")
        high, low = max(first, close) + D("8.1") * (number % 3), min(first, close) - D("5.5") * (number % 2)
        rows.append(
            (str(START_MS + number * 300_000), str(first), str(high), str(low), str(close), f"{number + 1}.037")
        )
    return rows


@st.composite
def recorded_bars(draw: st.DrawFn) -> HistoryBar:
    low = draw(st.integers(1, 1_000_000))
    high = low + draw(st.integers(0, 5_000))
    first, close = draw(st.integers(low, high)), draw(st.integers(low, high))
    volume = draw(st.integers(4, 10_000_000))
    tick, step = D("0.10"), D("0.001")
    return HistoryBar(START_MS, first * tick, high * tick, low * tick, close * tick, volume * step, D(0))


@given(bar=recorded_bars(), slots=st.integers(1, 80), seed=st.integers(0, 9))
def test_a_bar_becomes_trades_that_make_it_again(bar: HistoryBar, slots: int, seed: int) -> None:
    trades = trades_of_bar(bar, SPECS["BTCUSDT"], length_ms=300_000, slots=slots, seed=seed)
    prices = [bar.open, *(trade.price for trade in trades)]
    assert (max(prices), min(prices), prices[-1]) == (bar.high, bar.low, bar.close)
    assert sum(trade.quantity for trade in trades) == bar.volume
    assert all(trade.quantity > 0 for trade in trades)
    assert all(bar.start_ms <= trade.time_ms < bar.start_ms + 300_000 for trade in trades)


def venue_bars(source: Source, symbol: str, interval: str, until_ms: int) -> dict[int, list[str]]:
    venue = Venue(source.instruments(), config=VenueConfig(), start_ms=source.start_ms, seed=1)
    interval_min, history = source.history(symbol)
    venue.load_history(symbol, interval_min, history)
    for event in source.events_until(until_ms):
        venue.apply(event)
    venue.advance(until_ms)
    rows = venue.kline({"category": "linear", "symbol": symbol, "interval": interval, "limit": "1000"})["list"]
    return {int(row[0]): row[1:6] for row in rows}


@pytest.mark.parametrize("packed", [False, True])
def test_the_venue_shows_the_recorded_bars(tmp_path: Path, packed: bool) -> None:
    rows = five_minutes(900)
    path = tmp_path / ("BTCUSDT_5m.csv.gz" if packed else "BTCUSDT_5m.csv")
    path.write_bytes(gzip.compress(as_text(rows).encode()) if packed else as_text(rows).encode())
    source = open_source(f"replay:{path}", symbols=(), seed=1, start_ms=None)
    end_ms = source.start_ms + 40 * 300_000
    shown = venue_bars(source, "BTCUSDT", "5", end_ms)
    compared = 0
    for start, *values in rows:
        if int(start) < end_ms and int(start) in shown:
            assert list(map(D, shown[int(start)])) == list(map(D, values))
            compared += 1
    assert compared == len([row for row in rows if int(row[0]) < end_ms])


def test_iso_times_and_holes_are_read(tmp_path: Path) -> None:
    from datetime import UTC, datetime

    rows = [row for number, row in enumerate(five_minutes(900)) if number not in (610, 611)]
    stamped = [(datetime.fromtimestamp(int(row[0]) / 1_000, UTC).isoformat(sep=" "), *row[1:]) for row in rows]
    path = tmp_path / "BTCUSDT.csv"
    path.write_text(as_text(stamped, head="timestamp,open,high,low,close,volume"))
    source = open_source(f"replay:{path}", symbols=(), seed=1, start_ms=START_MS + 600 * 300_000)
    end_ms = START_MS + 620 * 300_000
    shown = venue_bars(source, "BTCUSDT", "5", end_ms)
    for start, *values in rows:
        if START_MS + 600 * 300_000 <= int(start) < end_ms:
            assert list(map(D, shown[int(start)])) == list(map(D, values))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1767571500000,1,2,3", "6 columns"),
        ("soon,60000,60000,60000,60000,1", "'soon' is no time"),
        ("1767571500000,60000,60000,60000,x,1", "'x' is no number"),
        ("1767571500000,60000,59000,60000,60000,1", "do not fit"),
        ("1767571500000,60000,60000,60000,60000,-1", "'-1' is no number"),
        ("1767571200000,60000,60000,60000,60000,1", "does not go forward"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "BTCUSDT_5m.csv"
    path.write_text(as_text(five_minutes(1)) + line + "\n")
    with pytest.raises(BadSource) as refused:
        open_source(f"replay:{path}", symbols=(), seed=1, start_ms=None)
    assert str(refused.value).startswith(f"{path}: line 3: ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("source", "symbols", "says"),
    [
        ("replay:/does/not/exist", (), "no file or directory /does/not/exist"),
        ("synthetic", ("BTCUSDT", "FOOUSDT"), "unknown symbol FOOUSDT"),
        ("synthetic", (), "at least one symbol"),
        ("replay", (), "must be synthetic, replay:PATH or live"),
        ("yesterday", (), "must be synthetic, replay:PATH or live"),
    ],
)
def test_a_source_that_cannot_be_says_why(source: str, symbols: tuple[str, ...], says: str) -> None:
    with pytest.raises(BadSource, match=says.replace("/", "\\/")):
        open_source(source, symbols=symbols, seed=1, start_ms=START_MS)


def test_a_symbol_without_recording_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT_5m.csv").write_text(as_text(five_minutes(10)))
    with pytest.raises(BadSource, match="unknown symbol ETHUSDT"):
        open_source(f"replay:{tmp_path}", symbols=("ETHUSDT",), seed=1, start_ms=None)


# -- replay of trades and frames ------------------------------------------------------------------------------

TRADES_HEAD = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"


def test_trades_are_sorted_and_played(tmp_path: Path) -> None:
    lines = [
        f"{START_MS / 1000 + second:.4f},BTCUSDT,Sell,0.010,{60000 + second / 10:.1f},,,,,"
        for second in range(0, 3_600, 20)
    ]
    path = tmp_path / "BTCUSDT2026-01-05.csv"
    path.write_text("\n".join([TRADES_HEAD, *reversed(lines)]) + "\n")
    source = open_source(f"replay:{path}", symbols=(), seed=1, start_ms=START_MS)
    trades = [event for event in source.events_until(START_MS + 3_600_000) if isinstance(event, TapeTrade)]
    assert [(t.time_ms - START_MS, t.side, t.price, t.quantity) for t in trades[:2]] == [
        (0, Side.SELL, D("60000.0"), D("0.010")),
        (20_000, Side.SELL, D("60002.0"), D("0.010")),
    ]
    assert len(trades) == len(lines)


def test_an_inverse_recording_is_played_as_the_linear_contract(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSD2019-10-01.csv"
    rows = [f"{START_MS / 1000 + second},BTCUSD,Buy,8000,8000.0,,,,," for second in (0, 120)]
    path.write_text("\n".join([TRADES_HEAD, *rows]) + "\n")
    source = open_source(f"replay:{path}", symbols=(), seed=1, start_ms=START_MS)
    trade = next(event for event in source.events_until(START_MS + 1) if isinstance(event, TapeTrade))
    assert (trade.symbol, trade.quantity) == ("BTCUSDT", D(1))


def test_frames_become_events() -> None:
    decoder = FrameDecoder({"BTCUSDT": SPECS["BTCUSDT"]})
    book = {"s": "BTCUSDT", "b": [["100.0", "1"], ["99.9", "2"]], "a": [["100.2", "3"]], "u": 7, "seq": 1}
    first = list(decoder.events({"topic": "orderbook.50.BTCUSDT", "type": "snapshot", "ts": 5, "cts": 4, "data": book}))
    assert first[0] == BookTarget("BTCUSDT", 4, ((D("100.0"), D(1)), (D("99.9"), D(2))), ((D("100.2"), D(3)),))
    delta = {"s": "BTCUSDT", "b": [["100.0", "0"], ["100.1", "5"]], "a": [], "u": 8, "seq": 2}
    second = list(decoder.events({"topic": "orderbook.50.BTCUSDT", "type": "delta", "ts": 6, "cts": 6, "data": delta}))
    assert isinstance(second[0], BookTarget)
    assert second[0].bids == ((D("100.1"), D(5)), (D("99.9"), D(2)))
    trade = {"T": 9, "s": "BTCUSDT", "S": "Sell", "v": "0.5", "p": "100.1", "L": "MinusTick", "i": "x", "BT": False}
    assert list(decoder.events({"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": 9, "data": [trade]})) == [
        TapeTrade("BTCUSDT", 9, D("100.1"), D("0.5"), Side.SELL)
    ]
    ticker = {"symbol": "BTCUSDT", "markPrice": "100.05", "indexPrice": "100.01", "fundingRate": "0.0002"}
    assert list(decoder.events({"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": 9, "data": ticker})) == [
        MarkTick("BTCUSDT", 9, D("100.05"), D("100.01"), D("0.0002"))
    ]
    with pytest.raises(ValueError, match="publicTrade.BTCUSDT"):
        list(decoder.events({"topic": "publicTrade.BTCUSDT", "ts": 9, "data": [{"p": "1"}]}))


def test_a_shifted_market_stays_on_the_grid() -> None:
    source = ShiftedSource(synthetic(symbols=("ADAUSDT",)))
    source.shift("ADAUSDT", D("-0.123456"))
    spec = SPECS["ADAUSDT"]
    plain = list(synthetic(symbols=("ADAUSDT",)).events_until(START_MS + 30_000))
    moved = list(source.events_until(START_MS + 30_000))
    assert len(plain) == len(moved)
    for before, after in zip(plain, moved, strict=True):
        if isinstance(after, TapeTrade):
            assert after.price % spec.tick_size == 0
            assert isinstance(before, TapeTrade)
            assert abs(after.price / before.price - D("0.876544")) < D("0.0002")
        elif isinstance(after, BookGrid):
            assert max(after.bids) < min(after.asks)
