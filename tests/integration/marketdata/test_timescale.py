"""Only where the test database has TimescaleDB: the same behaviour on hypertables, compressed chunks included."""

from dataclasses import replace

import pytest
from django.db import connection

from avigrid.common.archive import archived_rows
from marketdata.models import KlineCorrection, KlineSource
from marketdata.selectors.bars import range_table
from marketdata.services.klines import klines_bulk_store
from marketdata.services.retention import retention_apply
from marketdata.services.retention_policies import retention_policies_sync
from tests.support.bars import T0, saw_table

pytestmark = pytest.mark.django_db
NOW_MS = T0 + 400 * 86_400_000


def rows(query: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def retention_policies() -> dict[str, str]:
    query = """
        SELECT hypertable_name, config->>'drop_after' FROM timescaledb_information.jobs
        WHERE proc_name = 'policy_retention'
    """
    return dict(rows(query))


@pytest.fixture(autouse=True)
def _needs_timescale():
    if not rows("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"):
        pytest.skip("this PostgreSQL has no TimescaleDB")


def test_every_series_is_a_hypertable_with_its_policies():
    hypertables = rows("SELECT hypertable_name FROM timescaledb_information.hypertables ORDER BY 1")
    assert {name for (name,) in hypertables} >= {
        "marketdata_bookfeature",
        "marketdata_kline",
        "marketdata_orderbooklog",
        "marketdata_publictrade",
    }
    views = rows("SELECT view_name FROM timescaledb_information.continuous_aggregates ORDER BY 1")
    assert [name for (name,) in views] == ["marketdata_kline_15m", "marketdata_kline_1h"]
    # thirty days, and the unit of the archive, behind 400, 90 and 30
    assert retention_policies() == {
        "marketdata_bookfeature": "461 days",
        "marketdata_kline": "461 days",
        "marketdata_orderbooklog": "61 days",
        "marketdata_publictrade": "121 days",
    }


def test_compressed_history_takes_missing_bars_and_corrections():
    table = saw_table(100)
    klines_bulk_store(table.take(table.start_ms != T0 + 300_000), source=KlineSource.STREAM, now_ms=NOW_MS)
    assert rows("SELECT compress_chunk(c) FROM show_chunks('marketdata_kline') c")
    truth = replace(table, volume=table.volume.copy())
    truth.volume[50] += 1.0
    outcome = klines_bulk_store(truth, source=KlineSource.REST, now_ms=NOW_MS)
    assert (outcome.new, outcome.same, outcome.corrected) == (1, 98, 1)
    again = klines_bulk_store(truth, source=KlineSource.REST, now_ms=NOW_MS)
    assert (again.same, KlineCorrection.objects.count()) == (100, 1)
    # the saw's volume at bar 50 is 1 + 50 % 5
    assert range_table("BTCUSDT", 5, T0, NOW_MS).volume[50] == 2.0


def test_the_policies_follow_the_settings(settings):
    keep = {**settings.AVIGRID["KEEP_DAYS"], "klines": 0, "order_book_log": 10}
    settings.AVIGRID = {**settings.AVIGRID, "KEEP_DAYS": keep}
    assert retention_policies_sync() == {
        "marketdata_kline": None,
        "marketdata_bookfeature": 461,
        "marketdata_publictrade": 121,
        "marketdata_orderbooklog": 41,
    }
    policies = retention_policies()
    assert "marketdata_kline" not in policies
    assert policies["marketdata_orderbooklog"] == "41 days"


def test_compressed_months_are_archived_and_deleted_all_the_same(tmp_path):
    table = saw_table(100)
    klines_bulk_store(table, source=KlineSource.REST, now_ms=NOW_MS)
    assert rows("SELECT compress_chunk(c) FROM show_chunks('marketdata_kline') c")
    late_ms = T0 + 440 * 86_400_000
    assert retention_apply(now_ms=late_ms, folder=tmp_path)["klines"] == 100
    assert len(range_table("BTCUSDT", 5, T0, NOW_MS)) == 0
    assert archived_rows(tmp_path / "klines" / "BTCUSDT_5m_2025-09.csv.gz") == 100
