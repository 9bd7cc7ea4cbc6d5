"""Downloaded files into the database, and the two commands as an operator types them."""

import gzip
import json

import pytest
from django.core.management import CommandError, call_command

from avigrid.kernel.market import PublicTrade
from marketdata.models import BookFeature, Kline, OrderBookLog
from marketdata.runtime.file_import import ImportOptions, file_import
from marketdata.selectors.bars import range_table
from marketdata.selectors.book_features import book_feature
from marketdata.selectors.coverage import coverage
from marketdata.selectors.public_trades import public_trades
from tests.support.bars import T0, saw_table

pytestmark = pytest.mark.django_db
NOW_MS = T0 + 400 * 86_400_000


def kline_file(path, table):
    rows = ["start_ms,open,high,low,close,volume"]
    rows += [f"{b.start_ms},{b.open},{b.high},{b.low},{b.close},{b.volume}" for b in table.klines()]
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    return path


def trade_file(path):
    lines = ["timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"]
    for minute, price in ((0, 100.0), (1, 101.0), (7, 102.0)):
        at_s = T0 // 1000 + minute * 60 + 1
        lines.insert(1, f"{at_s},BTCUSDT,Buy,2,{price},PlusTick,id{minute},1,2,{2 * price}")
    path.write_text("\n".join(lines))
    return path


def book_file(path):
    """Three messages a second before, at and after 00:05: the bid grows from 1 to 3."""

    def line(kind, at_ms, bid_size, update_id):
        data = {"s": "BTCUSDT", "b": [["100.0", str(bid_size)]], "a": [["100.1", "1"]], "u": update_id, "seq": 1}
        return json.dumps({"topic": "orderbook.500.BTCUSDT", "type": kind, "ts": at_ms, "data": data, "cts": at_ms})

    path.write_text(
        "\n".join(
            [line("snapshot", T0 + 299_000, 1, 7), line("delta", T0 + 299_999, 3, 8), line("delta", T0 + 300_100, 9, 9)]
        )
    )
    return path


def run(path, **options):
    told = []
    return file_import(path, ImportOptions(**options), now_ms=NOW_MS, on_progress=told.append), sum(told)


def test_klines_are_stored_once(tmp_path):
    path = kline_file(tmp_path / "BTCUSDT_5m.csv.gz", saw_table(500))
    summary, told = run(path)
    assert (summary.symbol, summary.rows, summary.bars.new, told) == ("BTCUSDT", 500, 500, 500)
    assert Kline.objects.filter(source="file").count() == 500
    assert run(path)[0].was_known
    again, _ = run(path, again=True)
    assert (again.was_known, again.bars.new, again.bars.same) == (False, 0, 500)
    part, _ = run(path, start_ms=T0 + 300_000, end_ms=T0 + 900_000)
    assert part.rows == 2


def test_trades_become_tape_and_bars(tmp_path):
    summary, told = run(trade_file(tmp_path / "t.csv"), bar_intervals_min=(1, 5))
    assert (summary.was_descending, summary.trades_new, told) == (True, 3, 3)
    assert list(public_trades("BTCUSDT", T0, T0 + 86_400_000))[0] == PublicTrade(
        "BTCUSDT", "id0", T0 + 1_000, 100.0, 2.0, True
    )
    five = range_table("BTCUSDT", 5, 0, NOW_MS)
    assert (five.start_ms.tolist(), five.open.tolist(), five.close.tolist()) == ([T0 + 300_000], [101.0], [102.0])
    assert coverage("BTCUSDT", 1).bars == 7


def test_the_book_as_it_stood_at_the_boundary_becomes_the_bars_features(tmp_path):
    path = book_file(tmp_path / "book.data")
    summary, _ = run(path)
    assert (summary.rows, summary.features_new, summary.stretches_new) == (3, 1, 0)
    features = book_feature("BTCUSDT", T0)
    assert (features.time_ms, features.imbalance) == (T0 + 300_000, 0.5)
    kept, _ = run(path, keep_book=True)
    assert (kept.features_new, kept.stretches_new) == (0, 1)
    log = OrderBookLog.objects.get()
    assert (log.messages, log.first_update_id, log.last_update_id, log.depth) == (3, 7, 9, 500)
    assert BookFeature.objects.count() == 1


def command(capsys, *args):
    capsys.readouterr()
    call_command(*args)
    return capsys.readouterr().out


def test_the_backfill_command_reads_files(tmp_path, capsys):
    kline_file(tmp_path / "BTCUSDT_5m.csv.gz", saw_table(50))
    trade_file(tmp_path / "trades.csv")
    dry = json.loads(command(capsys, "backfill", "--file", str(tmp_path), "--dry-run", "--json"))
    assert [(one["symbol"], one["rows"]) for one in dry["files"]] == [("BTCUSDT", 50), ("BTCUSDT", 3)]
    assert Kline.objects.count() == 0
    done = json.loads(command(capsys, "backfill", "--file", str(tmp_path), "--intervals", "1", "--json"))
    assert [one["bars"]["new"] for one in done["files"]] == [50, 7]
    text = command(capsys, "backfill", "--file", str(tmp_path), "--intervals", "1", "--no-progress")
    assert text.count("imported before") == 2


def test_the_backfill_command_refuses_with_a_sentence_and_code_2(tmp_path, capsys):
    inverse = tmp_path / "BTCUSD_5m.csv"
    inverse.write_text("start_ms,open,high,low,close,volume\n1758672000000,1,1,1,1,1\n")
    for args, complaint in (
        (["--file", str(inverse)], "inverse"),
        (["--file", str(tmp_path / "none.csv")], "There is no file"),
        (["--intervals", "7"], "--intervals must be"),
        (["--from", "soon"], "--from must be"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "--to must be after"),
        (["--symbols", "BTC USDT"], "not a symbol"),
        (["--workers", "0"], "--workers must be"),
    ):
        with pytest.raises(CommandError, match=complaint) as caught:
            call_command("backfill", *args, "--no-progress")
        assert caught.value.returncode == 2
    assert Kline.objects.count() == 0


@pytest.mark.django_db(transaction=True)  # a continuous aggregate is refreshed outside of any transaction
def test_data_quality_of_what_is_stored(tmp_path, capsys):
    table = saw_table(50)
    keep = table.take(table.start_ms != T0 + 10 * 300_000)
    run(kline_file(tmp_path / "BTCUSDT_5m.csv.gz", keep))
    report = json.loads(command(capsys, "data_quality", "--json", "--rollups"))
    (series,) = report["series"]
    assert (series["symbol"], series["bars"], series["holes"], series["counts"]) == (
        "BTCUSDT",
        49,
        1,
        {"gap": 1, "outlier": 7},
    )
    assert report["rollups"][0] == {"symbol": "BTCUSDT", "interval_min": 15, "compared": 0, "differing": 0}
    text = command(capsys, "data_quality")
    assert "BTCUSDT 5m: 49 bars, 2025-09-24 00:00 to 2025-09-24 04:05 UTC, coverage 98.000 %, holes 1 (1 bars)" in text
    assert "  gap              2025-09-24 00:50  bars 1      missing" in text
    with pytest.raises(SystemExit) as caught:
        call_command("data_quality", "--strict")
    assert caught.value.code == 1
    with pytest.raises(CommandError, match="No bars of ETHUSDT") as refused:
        call_command("data_quality", "--symbols", "ETHUSDT")
    assert refused.value.returncode == 2


def test_data_quality_of_the_dirty_sample(data_dir, capsys):
    path = data_dir / "dirty" / "BTCUSDT_1m_42gaps.csv.gz"
    report = json.loads(command(capsys, "data_quality", "--file", str(path), "--json"))
    assert (report["series"][0]["holes"], report["series"][0]["counts"]) == (42, {"gap": 42})
    with pytest.raises(CommandError, match="holds trades, not klines"):
        call_command("data_quality", "--file", str(data_dir / "trades" / "BTCUSD2019-10-01.csv.gz"))


def test_the_recorded_month_and_its_dirty_twin(data_dir, capsys):
    """The 42 holes are found after importing the dirty file and closed by importing the clean one."""
    command(capsys, "backfill", "--file", str(data_dir / "dirty" / "BTCUSDT_1m_42gaps.csv.gz"), "--json")
    assert len(coverage("BTCUSDT", 1).holes) == 42
    command(capsys, "backfill", "--file", str(data_dir / "klines_1m" / "BTCUSDT_1m.csv.gz"), "--json")
    left = coverage("BTCUSDT", 1).holes
    # the clean month begins 2025-05-30 16:39 and covers all holes after that
    assert all(start < 1_748_623_140_000 for start, _ in left)
    assert len(left) < 42
