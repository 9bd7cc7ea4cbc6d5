"""File readers: every packing, order and dialect, and a clear reason for what is refused."""

import gzip
import json
import zipfile

import numpy as np
import pytest

from avigrid.exchange.bybit.archives.detect import ArchiveKind, detect, name_parts
from avigrid.exchange.bybit.archives.errors import BadArchive, InverseContract
from avigrid.exchange.bybit.archives.klines import read_klines
from avigrid.exchange.bybit.archives.order_book import iter_book_updates
from avigrid.exchange.bybit.archives.trades import klines_from_trades, read_trades
from avigrid.kernel.market import BookUpdate, Kline, PublicTrade

T0 = 1_758_672_000_000
CSV = "start_ms,open,high,low,close,volume\n1758672000000,10,12,9,11,5.5\n1758672300000,11,11.5,10,10.5,2\n"
TRADES_HEADER = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"


def write(path, text: str):
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as bundle:
            bundle.writestr("inside.csv", text)
    else:
        path.write_text(text)
    return path


def trade_line(at_s: str, side: str, size: float, price: float, trade_id: str, symbol: str = "BTCUSDT") -> str:
    return f"{at_s},{symbol},{side},{size},{price},PlusTick,{trade_id},{size * price * 1e8},{size},{size * price}"


@pytest.mark.parametrize("name", ["BTCUSDT_5m.csv", "BTCUSDT_5m.csv.gz", "BTCUSDT_5m.zip"])
def test_the_packing_does_not_matter(tmp_path, name):
    table = read_klines(write(tmp_path / name, CSV))
    assert (table.symbol, table.interval_min) == ("BTCUSDT", 5)
    first, second = table.klines()
    assert (first.start_ms, first.open, first.high, first.low, first.close, first.volume) == (T0, 10, 12, 9, 11, 5.5)
    assert np.isnan(first.turnover)
    assert second.start_ms == T0 + 300_000


def test_descending_rows_are_turned_and_duplicates_counted(tmp_path):
    lines = CSV.strip().split("\n")
    table = read_klines(write(tmp_path / "BTCUSDT_5m.csv", "\n".join([lines[0], lines[2], lines[1], lines[1]])))
    assert table.start_ms.tolist() == [T0, T0 + 300_000]
    assert (table.was_descending, table.duplicates) == (True, 1)


@pytest.mark.parametrize(
    ("header", "stamp"),
    [
        ("timestamp", "2025-09-24 00:00:00+00:00"),
        ("timestamp", "2025-09-24T02:00:00+02:00"),
        ("open_time", "1758672000"),
        ("start", "1758672000000"),
    ],
)
def test_times_in_every_dialect(tmp_path, header, stamp):
    path = write(tmp_path / "ETHUSDT-1h.csv", f"{header},open,high,low,close,turnover\n{stamp},1,2,0.5,1.5,9\n")
    table = read_klines(path)
    assert (table.symbol, table.interval_min, table.start_ms.tolist()) == ("ETHUSDT", 60, [T0])
    assert table.turnover.tolist() == [9.0]
    assert np.isnan(table.volume[0])


def test_metatrader_files_and_their_disputed_zone(tmp_path):
    path = write(tmp_path / "BTCUSDT_15_2025-09-01_2025-09-30.csv.gz", "2025.09.24 03:00,1,2,0.5,1.5,7\n")
    assert detect(path) is ArchiveKind.KLINE_MT4
    assert read_klines(path, utc_offset_min=180).start_ms.tolist() == [T0]
    assert read_klines(path).start_ms.tolist() == [T0 + 3 * 3_600_000]
    assert read_klines(path).interval_min == 15


def test_an_explicit_symbol_and_interval_win_over_the_name(tmp_path):
    path = write(tmp_path / "prices.csv", CSV)
    with pytest.raises(BadArchive, match="symbol and interval"):
        read_klines(path)
    assert read_klines(path, symbol="SOLUSDT", interval_min=5).symbol == "SOLUSDT"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "none of"),
        ("hello\nworld\n", "none of"),
        ("start_ms,open,high,low,close,volume\n", "no rows"),
        ("start_ms,open,high,low,close,volume\n1758672000000,1,2\n", "line 2"),
        ("start_ms,open,high,low,close,volume\n1758672000000,1,2,x,1,1\n", "not a number"),
        ("timestamp,open,high,low,close,volume\nyesterday,1,2,1,1,1\n", "not a time"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path, text, complaint):
    with pytest.raises(BadArchive, match=complaint):
        read_klines(write(tmp_path / "BTCUSDT_5m.csv", text))


def test_damaged_packings_and_absent_files(tmp_path):
    broken = tmp_path / "BTCUSDT_5m.csv.gz"
    broken.write_bytes(gzip.compress(CSV.encode() * 2000)[:60])
    with pytest.raises(BadArchive, match="damaged"):
        read_klines(broken)
    two = tmp_path / "two.zip"
    with zipfile.ZipFile(two, "w") as bundle:
        bundle.writestr("a", "1")
        bundle.writestr("b", "2")
    with pytest.raises(BadArchive, match="2 files"):
        detect(two)
    with pytest.raises(BadArchive, match="cannot be read"):
        detect(tmp_path / "none.csv")


def test_an_inverse_contract_is_refused_with_its_reason(tmp_path):
    path = write(tmp_path / "BTCUSD_5m.csv", CSV)
    with pytest.raises(InverseContract, match="BTCUSD is not a USDT perpetual"):
        read_klines(path)
    row = "1569974396.557895,BTCUSD,Buy,11668,8319.5,PlusTick,id,140248813.0,11668,1.40248813"
    with pytest.raises(InverseContract, match="BTCUSD is refused"):
        read_trades(write(tmp_path / "BTCUSD2019-10-01.csv", f"{TRADES_HEADER}\n{row}\n"))


def test_an_inverse_contract_is_recognised_by_its_numbers_too(tmp_path):
    row = "1569974396.557895,BTCUSDT,Buy,11668,8319.5,PlusTick,id,140248813.0,11668,1.40248813"
    with pytest.raises(InverseContract, match="sizes are in USD"):
        read_trades(write(tmp_path / "t.csv", f"{TRADES_HEADER}\n{row}\n"))


def test_trades_newest_first_come_out_in_market_order(tmp_path):
    rows = [
        trade_line("1758672000.2509", "Sell", 2.0, 101.0, "c"),
        trade_line("1758672000.25", "Buy", 1.0, 100.5, "b"),
        trade_line("1758672000.1", "Buy", 0.5, 100.0, "a"),
    ]
    table = read_trades(write(tmp_path / "BTCUSDT2025-09-24.csv.gz", "\n".join([TRADES_HEADER, *rows])))
    assert table.was_descending
    assert list(table.trades()) == [
        PublicTrade("BTCUSDT", "a", T0 + 100, 100.0, 0.5, True),
        PublicTrade("BTCUSDT", "b", T0 + 250, 100.5, 1.0, True),
        PublicTrade("BTCUSDT", "c", T0 + 250, 101.0, 2.0, False),
    ]


def test_bars_from_trades_open_at_the_close_before(tmp_path):
    rows = [
        trade_line("1758672001", "Buy", 1.0, 100.0, "a"),
        trade_line("1758672059", "Buy", 1.0, 102.0, "b"),
        trade_line("1758672061", "Sell", 2.0, 103.0, "c"),
        trade_line("1758672185", "Sell", 0.5, 99.0, "d"),
        trade_line("1758672190", "Buy", 0.5, 99.5, "e"),
    ]
    table = read_trades(write(tmp_path / "t.csv", "\n".join([TRADES_HEADER, *rows])))

    def bar(minute: int, *values: float) -> Kline:
        return Kline("BTCUSDT", 1, T0 + minute * 60_000, *values, confirmed=True)

    rest = [
        bar(1, 102.0, 103.0, 102.0, 103.0, 2.0, 206.0),
        bar(2, 103.0, 103.0, 103.0, 103.0, 0.0, 0.0),
        bar(3, 103.0, 103.0, 99.0, 99.5, 1.0, 99.25),
    ]
    assert list(klines_from_trades(table, 1).klines()) == rest
    first = bar(0, 98.0, 102.0, 98.0, 102.0, 2.0, 202.0)
    assert list(klines_from_trades(table, 1, previous_close=98.0).klines()) == [first, *rest]


def test_order_book_messages(tmp_path):
    data = {"s": "XRPUSDT", "b": [["1.95", "6203"]], "a": [["1.96", "7"]], "u": 7, "seq": 9}
    snapshot = {"topic": "orderbook.500.XRPUSDT", "type": "snapshot", "ts": 1011, "data": data, "cts": 1009}
    delta = {**snapshot, "type": "delta", "data": {**data, "b": [["1.95", "0"]], "a": [], "u": 8}}
    path = write(tmp_path / "book.zip", "\n".join([json.dumps(snapshot), json.dumps(delta), ""]))
    assert detect(path) is ArchiveKind.ORDER_BOOK
    assert list(iter_book_updates(path)) == [
        BookUpdate("XRPUSDT", 500, True, ((1.95, 6203.0),), ((1.96, 7.0),), 7, 9, 1009, 1011),
        BookUpdate("XRPUSDT", 500, False, ((1.95, 0.0),), (), 8, 9, 1009, 1011),
    ]
    with pytest.raises(BadArchive, match="line 2"):
        list(iter_book_updates(write(tmp_path / "bad.data", json.dumps(snapshot) + "\n{}")))


@pytest.mark.parametrize(
    ("name", "symbol", "interval_min"),
    [
        ("BTCUSDT_1m_42gaps.csv.gz", "BTCUSDT", 1),
        ("1000PEPEUSDT_15m.csv", "1000PEPEUSDT", 15),
        ("BTCUSDT_60_2024-01-01_2024-01-31.csv.gz", "BTCUSDT", 60),
        ("BTCUSDT_mark_1h.csv.gz", None, None),
        ("notes.csv", None, None),
    ],
)
def test_names(tmp_path, name, symbol, interval_min):
    parts = name_parts(tmp_path / name)
    assert (parts.symbol, parts.interval_min) == (symbol, interval_min)


def test_recorded_files(data_dir):
    table = read_klines(data_dir / "klines_5m" / "BTCUSDT_5m.csv.gz")
    assert (len(table), int(table.start_ms[0]), int(table.start_ms[-1])) == (86_604, T0, 1_784_652_900_000)
    assert np.array_equal(table.open[1:], table.close[:-1])  # what klines_from_trades relies on
    assert len(list(iter_book_updates(data_dir / "orderbook" / "xrpusdt-ob500.data.zip"))) == 50
    with pytest.raises(InverseContract, match="BTCUSD"):
        read_trades(data_dir / "trades" / "BTCUSD2019-10-01.csv.gz")
