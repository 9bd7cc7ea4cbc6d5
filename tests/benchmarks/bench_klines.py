"""Klines into PostgreSQL: backfill's idempotent writer beside bare COPY of the same rows, on the same server.

Run: python -m tests.benchmarks.bench_klines [rows] [--json]. Uses DATABASE_URL, or the embedded server; works in a
database of its own that is dropped at the end. Every way fills the same emptied table, index included: COPY from ready
tuples, ours from columns as readers give them. Three turns each, the best counts.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "avigrid.settings.bench")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test.utils import setup_databases, teardown_databases  # noqa: E402

from avigrid.common import leases  # noqa: E402
from avigrid.exchange.kline_table import KlineTable  # noqa: E402
from avigrid.kernel.market import BookFeatures  # noqa: E402
from marketdata.models import Kline, KlineSource  # noqa: E402
from marketdata.selectors.times import to_datetime  # noqa: E402
from marketdata.services.bar_store import bar_store  # noqa: E402
from marketdata.services.klines import klines_bulk_store  # noqa: E402
from tests.support.bars import T0, saw_table  # noqa: E402

REPEATS = 3
COLUMNS = "(symbol, interval_min, start, open, high, low, close, volume, turnover, source)"
Rows = list[tuple[object, ...]]


def rows_of(table: KlineTable) -> Rows:
    return [
        (
            bar.symbol,
            1,
            to_datetime(bar.start_ms),
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
            bar.turnover,
            "rest",
        )
        for bar in table.klines()
    ]


def empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE marketdata_kline")
        cursor.execute("CHECKPOINT")


def copy_text(rows: Rows) -> None:
    statement = f"COPY marketdata_kline {COLUMNS} FROM STDIN"
    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def copy_binary(rows: Rows) -> None:
    kinds = ["varchar", "int2", "timestamptz", *["float8"] * 6, "varchar"]
    statement = f"COPY marketdata_kline {COLUMNS} FROM STDIN (FORMAT BINARY)"
    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(kinds)
        for row in rows:
            copy.write_row(row)


def bulk_create(rows: Rows) -> None:
    names = [name.strip() for name in COLUMNS.strip("()").split(",")]
    Kline.objects.bulk_create(
        [Kline(**dict(zip(names, row, strict=True))) for row in rows],
        batch_size=5_000,
        update_conflicts=True,
        unique_fields=["symbol", "interval_min", "start"],
        update_fields=names[3:],
    )


def unnest_upsert(rows: Rows) -> None:
    arrays = ["varchar[]", "int2[]", "timestamptz[]", *["float8[]"] * 6, "varchar[]"]
    sql = (
        f"INSERT INTO marketdata_kline {COLUMNS} "  # noqa: S608
        f"SELECT * FROM unnest({', '.join(f'%s::{kind}' for kind in arrays)}) "
        "ON CONFLICT (symbol, interval_min, start) DO UPDATE SET open = EXCLUDED.open, high = EXCLUDED.high, "
        "low = EXCLUDED.low, close = EXCLUDED.close, volume = EXCLUDED.volume, turnover = EXCLUDED.turnover"
    )
    with transaction.atomic(), connection.cursor() as cursor:
        for at in range(0, len(rows), 10_000):
            cursor.execute(sql, [list(column) for column in zip(*rows[at : at + 10_000], strict=True)])


def ours(table: KlineTable, source: KlineSource = KlineSource.REST) -> None:
    """As backfill does it: a commit every 50,000 rows."""
    for at in range(0, len(table), 50_000):
        chunk = table.take(slice(at, at + 50_000))
        klines_bulk_store(chunk, source=source, now_ms=T0 + 10**13)


def race(ways: dict[str, tuple[Callable[[], None], Callable[[], None], int]]) -> dict[str, int]:
    """Best rate of each way (prepare, work, rows). They take turns, so that a busy moment hits them all alike."""
    rates = dict.fromkeys(ways, 0.0)
    for _ in range(REPEATS):
        for name, (prepare, work, count) in ways.items():
            prepare()
            began = time.perf_counter()
            work()
            rates[name] = max(rates[name], count / (time.perf_counter() - began))
    return {name: round(rate) for name, rate in rates.items()}


def measure(count: int) -> dict[str, object]:
    table = saw_table(count, interval_min=1)
    rows = rows_of(table)
    half = table.take(slice(0, None, 2))
    wrong = table.take(slice(0, None, 20))
    wrong = replace(wrong, close=wrong.close + 0.1, high=wrong.high + 0.1)

    def after(*stored: KlineTable) -> Callable[[], None]:
        def prepare() -> None:
            empty()
            for one in stored:
                ours(one, KlineSource.STREAM)

        return prepare

    few = min(count, 50_000)
    rates = race(
        {
            "copy_text": (empty, lambda: copy_text(rows), count),
            "copy_binary": (empty, lambda: copy_binary(rows), count),
            "ours_fresh": (empty, lambda: ours(table), count),
            "ours_overlapping_all_stored": (after(table), lambda: ours(table), count),
            "ours_overlapping_half_stored": (after(half), lambda: ours(table), count),
            "ours_overlapping_5_percent_corrected": (after(wrong, table), lambda: ours(table), count),
            "unnest_upsert_fresh": (empty, lambda: unnest_upsert(rows), count),
            "django_bulk_create_with_conflicts": (empty, lambda: bulk_create(rows[:few]), few),
        }
    )
    empty()
    p50, p95 = one_by_one()
    return {
        "rows": count,
        "rows_per_s": rates,
        "fresh_to_copy_text_ratio": round(rates["ours_fresh"] / rates["copy_text"], 2),
        "fresh_to_copy_binary_ratio": round(rates["ours_fresh"] / rates["copy_binary"], 2),
        "one_bar_and_commit_p50_ms": p50,
        "one_bar_and_commit_p95_ms": p95,
    }


def one_by_one(count: int = 500) -> tuple[float, float]:
    """(p50, p95) ms of one bar with its book features under a lease, commit included: as the stream stores it."""
    lease = leases.acquire("marketdata:symbol:ETHUSDT", ttl_s=600.0)
    taken = []
    for bar in saw_table(count, symbol="ETHUSDT").klines():
        features = BookFeatures(bar.symbol, bar.end_ms + 20, 100.5, 0.25, 100.51, 1.5, 250_000.0)
        began = time.perf_counter()
        bar_store(bar=bar, features=features, now_ms=T0 + 10**13, lease=lease)
        taken.append((time.perf_counter() - began) * 1000)
    taken.sort()
    return round(taken[count // 2], 3), round(taken[int(count * 0.95)], 3)


def main() -> None:
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    logging.disable(logging.WARNING)
    settings.DATABASES["default"]["TEST"]["NAME"] = f"bench_klines_{os.getpid()}"
    old = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    try:
        result = measure(numbers[0] if numbers else 200_000)
    finally:
        teardown_databases(old, verbosity=0)
    if "--json" in sys.argv:
        print(json.dumps(result))
        return
    rates = result["rows_per_s"]
    assert isinstance(rates, dict)
    for name, rate in rates.items():
        print(f"{name:<40} {rate:>10,} rows/s")
    for name in (
        "fresh_to_copy_text_ratio",
        "fresh_to_copy_binary_ratio",
        "one_bar_and_commit_p50_ms",
        "one_bar_and_commit_p95_ms",
    ):
        print(f"{name:<40} {result[name]:>10}")


if __name__ == "__main__":
    main()
