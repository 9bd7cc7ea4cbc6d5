"""The bars of a decision in one question: the same to the bit as asked for one interval after the other."""

import numpy as np
import pytest
from django.db import OperationalError, connection

from marketdata.models import KlineSource
from marketdata.selectors.bars import newest_table
from marketdata.selectors.recent_bars import RecentBars, recent_bars
from marketdata.services.klines import klines_bulk_store
from tests.support.bars import T0, saw_table

pytestmark = pytest.mark.django_db
FAR_MS = T0 + 10**12
MIN_MS = 60_000


def store(interval_min: int, count: int, missing: tuple[int, ...] = (), nudge: float = 0.0) -> None:
    table = saw_table(count, interval_min=interval_min)
    table.close[:] += nudge
    klines_bulk_store(table.take(~np.isin(np.arange(count), missing)), source=KlineSource.REST, now_ms=FAR_MS)


def assert_same(found: RecentBars, interval_min: int, close_ms: int, count: int) -> None:
    table = newest_table("BTCUSDT", interval_min, close_ms, count)
    assert found.start_ms.tolist() == table.start_ms.tolist()
    assert set(found.values) == ({"open", "high", "low", "close", "volume"} if interval_min == 5 else {"close"})
    for name, column in found.values.items():
        assert column.tobytes() == getattr(table, name).tobytes(), name


@pytest.mark.parametrize("missing_5m", [(), (50,), (0, 119), (119,)])
@pytest.mark.parametrize("missing_15m", [(), (3,)])
@pytest.mark.parametrize(("at_min", "counts"), [(600, (60, 30)), (599, (60, 30)), (595, (500, 500)), (5, (3, 3))])
def test_each_stretch_is_what_the_table_holds(
    missing_5m: tuple[int, ...], missing_15m: tuple[int, ...], at_min: int, counts: tuple[int, int]
) -> None:
    store(5, 120, missing_5m, nudge=1 / 3)
    store(15, 40, missing_15m, nudge=1 / 7)
    close_ms = T0 + at_min * MIN_MS
    fine, trend = recent_bars("BTCUSDT", close_ms, *counts)
    assert_same(fine, 5, close_ms, counts[0])
    assert_same(trend, 15, close_ms, counts[1])


def test_where_nothing_is_stored_both_are_empty() -> None:
    for found in recent_bars("NEWUSDT", FAR_MS, 10, 10):
        assert len(found.start_ms) == 0
        assert all(len(column) == 0 for column in found.values.values())


def test_a_corrected_bar_is_seen_by_the_next_question() -> None:
    store(5, 120)
    store(15, 40)
    close_ms = T0 + 600 * MIN_MS
    before, trend_before = recent_bars("BTCUSDT", close_ms, 60, 30)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE marketdata_kline SET close = close + 0.125 WHERE start = to_timestamp(%s)", [T0 / 1000])
        assert cursor.rowcount == 2
    whole, trend_whole = recent_bars("BTCUSDT", close_ms, 120, 40)
    assert (whole.values["close"][0], trend_whole.values["close"][0]) == (101.125, 101.125)
    again, trend_again = recent_bars("BTCUSDT", close_ms, 60, 30)
    assert again.values["close"].tobytes() == before.values["close"].tobytes()
    assert trend_again.values["close"].tobytes() == trend_before.values["close"].tobytes()


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_told_in_the_words_everybody_knows() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    import psycopg

    with psycopg.connect(connection.connection.info.dsn, password=connection.settings_dict["PASSWORD"]) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
    with pytest.raises(OperationalError):
        recent_bars("BTCUSDT", FAR_MS, 10, 10)
    connection.close()
    assert len(recent_bars("BTCUSDT", FAR_MS, 10, 10)[0].start_ms) == 0
