"""What is too old leaves the database through a file that was read back, and can come in again by it."""

import csv
import gzip
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from django.db import connection

from accounts.models import AuditEntry
from avigrid.common import archive
from avigrid.common.archive import ArchiveDiffers, archived_rows, rows_move
from avigrid.exchange.bybit.archives.trades import read_trades
from avigrid.kernel.market import BookFeatures, BookUpdate, PublicTrade
from marketdata.models import BookFeature, Kline, KlineSource, OrderBookLog
from marketdata.models import PublicTrade as TradeRow
from marketdata.runtime.file_import import ImportOptions, file_import
from marketdata.selectors.bars import range_table
from marketdata.services.bar_store import bar_store
from marketdata.services.klines import klines_bulk_store
from marketdata.services.order_book_log import order_book_log_store
from marketdata.services.public_trades import public_trades_store
from marketdata.services.retention import retention_apply
from tests.support.bars import saw_table

pytestmark = pytest.mark.django_db
DAY_MS = 86_400_000


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOW_MS = ms("2026-11-22T03:10:00")
"""400 days before lies in October 2025, so September 2025 is the newest month to go."""
AUGUST_END_MS = ms("2025-08-31T23:45:00")
NOTHING = {"klines": 0, "book_features": 0, "public_trades": 0, "order_book_log": 0}


def store(symbol: str = "BTCUSDT", interval_min: int = 5, count: int = 6, start_ms: int = AUGUST_END_MS) -> None:
    table = saw_table(count, symbol=symbol, interval_min=interval_min, start_ms=start_ms)
    klines_bulk_store(table, source=KlineSource.REST, now_ms=NOW_MS)


def rows_of(path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as lines:
        return list(csv.DictReader(lines))


def test_bars_go_by_whole_months_and_the_month_that_is_not_over_stays(tmp_path):
    store()  # three bars of August, three of September
    store("ETHUSDT", 15, 1)
    store(start_ms=ms("2025-10-01T00:00:00"), count=2)
    assert retention_apply(now_ms=NOW_MS, folder=tmp_path) == {**NOTHING, "klines": 7}
    assert sorted(path.name for path in (tmp_path / "klines").iterdir()) == [
        "BTCUSDT_5m_2025-08.csv.gz",
        "BTCUSDT_5m_2025-09.csv.gz",
        "ETHUSDT_15m_2025-08.csv.gz",
    ]
    assert range_table("BTCUSDT", 5, 0, NOW_MS).start_ms.tolist() == [ms("2025-10-01T00:00"), ms("2025-10-01T00:05")]
    assert retention_apply(now_ms=NOW_MS, folder=tmp_path) == NOTHING


def test_an_archived_month_can_be_imported_again_bit_for_bit(tmp_path):
    table = saw_table(6, start_ms=AUGUST_END_MS - 3 * 300_000)
    table = replace(table, high=table.high + 1 / 3, turnover=table.turnover * float("nan"))
    klines_bulk_store(table, source=KlineSource.STREAM, now_ms=NOW_MS)
    retention_apply(now_ms=NOW_MS, folder=tmp_path)
    assert not Kline.objects.exists()
    file = tmp_path / "klines" / "BTCUSDT_5m_2025-08.csv.gz"
    file_import(file, ImportOptions(), now_ms=NOW_MS, on_progress=lambda rows: None)
    again = range_table("BTCUSDT", 5, 0, NOW_MS)
    for name in ("start_ms", "open", "high", "low", "close", "volume"):
        assert getattr(again, name).tolist() == getattr(table, name).tolist()
    assert {row["source"] for row in rows_of(file)} == {"stream"}


def test_book_features_go_with_their_bars(tmp_path):
    bar = next(iter(saw_table(1, start_ms=AUGUST_END_MS).klines()))
    seen = BookFeatures("BTCUSDT", bar.end_ms + 20, 100.5, 0.25, 100.51, 1.5, 250_000.0)
    bar_store(bar=bar, features=seen, now_ms=NOW_MS)
    assert retention_apply(now_ms=NOW_MS, folder=tmp_path) == {**NOTHING, "klines": 1, "book_features": 1}
    assert not BookFeature.objects.exists()
    assert rows_of(tmp_path / "book_features" / "BTCUSDT_5m_2025-08.csv.gz") == [
        {
            "start_ms": str(AUGUST_END_MS),
            "time_ms": str(AUGUST_END_MS + 300_020),
            "mid": "100.5",
            "imbalance": "0.25",
            "microprice": "100.51",
            "spread_bps": "1.5",
            "depth_usd": "250000",
        }
    ]


def test_trades_go_by_whole_days_in_the_form_of_the_venues_own_files(tmp_path):
    last_ms = ms("2026-08-23T23:59:59.999")
    trades = [PublicTrade("BTCUSDT", f"id-{n}", last_ms + n, 100.0 + n / 3, 0.5, n % 2 == 0, seq=n) for n in range(2)]
    old = replace(trades[0], trade_id="older", time_ms=last_ms - 3 * DAY_MS)
    public_trades_store([*trades, old])
    assert retention_apply(now_ms=NOW_MS, folder=tmp_path)["public_trades"] == 2
    assert [row.trade_id for row in TradeRow.objects.all()] == ["id-1"]
    read = read_trades(tmp_path / "public_trades" / "BTCUSDT_2026-08-23.csv.gz")
    assert list(read.trades()) == [replace(trades[0], seq=0)]
    assert (tmp_path / "public_trades" / "BTCUSDT_2026-08-20.csv.gz").exists()


def test_the_raw_book_goes_after_thirty_days_with_its_bytes(tmp_path):
    first_ms = ms("2026-10-22T12:00:00")
    book = BookUpdate("BTCUSDT", 50, True, ((1.0, 1.0),), ((2.0, 1.0),), 1, 1, first_ms, first_ms)
    order_book_log_store([book])
    order_book_log_store([replace(book, matched_ms=first_ms + DAY_MS, update_id=2)])
    payload = bytes(OrderBookLog.objects.get(first_update_id=1).payload)
    assert retention_apply(now_ms=NOW_MS, folder=tmp_path)["order_book_log"] == 1
    assert OrderBookLog.objects.get().first_update_id == 2
    (row,) = rows_of(tmp_path / "order_book_log" / "BTCUSDT_2026-10-22.csv.gz")
    assert (row["payload"], row["messages"]) == ("\\x" + payload.hex(), "1")


def test_zero_days_mean_for_ever(tmp_path, settings):
    settings.AVIGRID = {**settings.AVIGRID, "KEEP_DAYS": {**settings.AVIGRID["KEEP_DAYS"], "klines": 0}}
    store()
    assert retention_apply(now_ms=NOW_MS, folder=tmp_path) == NOTHING
    assert Kline.objects.count() == 6


def test_a_file_that_reads_back_short_deletes_nothing(tmp_path, monkeypatch):
    store()
    monkeypatch.setattr(archive, "archived_rows", lambda path: 2)
    with pytest.raises(ArchiveDiffers, match="reads back 2 of 3 rows"):
        retention_apply(now_ms=NOW_MS, folder=tmp_path)
    assert Kline.objects.count() == 6
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    # the run is in the audit trail all the same, with what it did
    assert AuditEntry.objects.get(action="retention.applied").after == NOTHING


def test_a_row_that_arrives_in_between_undoes_the_move(tmp_path):
    store(count=3)

    def delete() -> int:
        store(count=1, start_ms=AUGUST_END_MS - 300_000)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM marketdata_kline")
            return cursor.rowcount

    target = tmp_path / "klines" / "all.csv.gz"
    with pytest.raises(ArchiveDiffers, match="holds 3 rows, but 4 would"):
        rows_move(select="SELECT * FROM marketdata_kline", params=[], target=target, delete=delete)
    assert Kline.objects.count() == 3
    assert not target.exists()


def test_an_older_archive_is_never_overwritten(tmp_path):
    """As after a crash between file and commit, or when old bars were imported once more."""
    store()
    retention_apply(now_ms=NOW_MS, folder=tmp_path)
    store(count=1)
    assert retention_apply(now_ms=NOW_MS, folder=tmp_path)["klines"] == 1
    folder = tmp_path / "klines"
    assert archived_rows(folder / "BTCUSDT_5m_2025-08.csv.gz") == 3
    assert archived_rows(folder / "BTCUSDT_5m_2025-08-2.csv.gz") == 1


def test_every_run_is_in_the_audit_trail(tmp_path):
    store()
    moved = retention_apply(now_ms=NOW_MS, folder=tmp_path)
    entry = AuditEntry.objects.get(action="retention.applied")
    assert (entry.actor_name, entry.object_type, entry.object_id) == ("retention", "retention", "marketdata")
    assert entry.after == moved == {**NOTHING, "klines": 6}
