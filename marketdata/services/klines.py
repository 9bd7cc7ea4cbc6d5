"""Write bars. Whatever comes twice, late or from several sources: the table ends in the same state."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import IntegrityError, connection, transaction

from avigrid.exchange.kline_table import KlineTable, columns_table, table_from_klines
from avigrid.kernel.market import Kline
from marketdata.models import KlineSource
from marketdata.selectors.bars import FIELDS, VALUES
from marketdata.selectors.binary_copy import copy_in, copy_out, empty_records, from_pg_time, to_pg_time
from marketdata.selectors.times import to_datetime
from marketdata.services import metrics
from marketdata.services.candle_check import table_check
from marketdata.services.kline_corrections import kline_corrections_apply

_COLUMNS = "(symbol, interval_min, start, open, high, low, close, volume, turnover, source)"
_EXISTING = """
    SELECT start, open, high, low, close, volume, turnover FROM marketdata_kline
    WHERE symbol = %s AND interval_min = %s AND start >= %s AND start <= %s ORDER BY start
"""


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What became of the rows: seen = new + same + corrected + completed + ignored + the sum of `invalid`."""

    seen: int = 0
    new: int = 0
    same: int = 0
    corrected: int = 0
    completed: int = 0
    """Only a turnover was missing and is there now."""
    ignored: int = 0
    """Differs from what is stored, but its source may not correct."""
    invalid: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "BulkOutcome") -> "BulkOutcome":
        return BulkOutcome(
            self.seen + other.seen,
            self.new + other.new,
            self.same + other.same,
            self.corrected + other.corrected,
            self.completed + other.completed,
            self.ignored + other.ignored,
            self.invalid + other.invalid,
        )


def klines_bulk_store(table: KlineTable, *, source: KlineSource, now_ms: int) -> BulkOutcome:
    """Stores any number of bars of one symbol and interval in one transaction; repeating it changes nothing.

    Fresh rows go by binary COPY; stored ones are read back and compared, which is far cheaper than an upsert of each.
    Only `source=REST` corrects a stored bar (logged as KlineCorrection); a missing turnover is filled in by any source.
    """
    usable, invalid = table_check(table, source=source, now_ms=now_ms)
    rows = table if usable.all() else table.take(usable)
    if not len(rows):
        return BulkOutcome(seen=len(table), invalid=invalid)
    with transaction.atomic():
        _serialise_writers(rows)
        stored = _stored(rows)
        at = np.searchsorted(stored.start_ms, rows.start_ms)
        known = np.zeros(len(rows), dtype=np.bool_)
        inside = at < len(stored)
        known[inside] = stored.start_ms[at[inside]] == rows.start_ms[inside]
        fresh = rows if not known.any() else rows.take(~known)
        new = _insert(fresh, source) if len(fresh) else 0
        differs, completes = _compare(rows.take(known), stored.take(at[known]))
        corrected = completed = 0
        if source == KlineSource.REST and differs.any():
            corrected = kline_corrections_apply(rows.take(known).take(differs), now_ms=now_ms)
        if completes.any():
            completed = _complete_turnover(rows.take(known).take(completes))
    outcome = BulkOutcome(
        seen=len(table),
        new=new,
        same=len(rows) - new - int(differs.sum()) - completed,
        corrected=corrected,
        completed=completed,
        ignored=int(differs.sum()) - corrected,
        invalid=invalid,
    )
    _count(table.interval_min, source, outcome)
    return outcome


def klines_store(bars: Sequence[Kline], *, source: KlineSource, now_ms: int) -> BulkOutcome:
    """The same for kernel bars of any symbols and intervals; unconfirmed ones are refused and counted."""
    groups: dict[tuple[str, int], list[Kline]] = {}
    unconfirmed = 0
    for bar in bars:
        if bar.confirmed:
            groups.setdefault((bar.symbol, bar.interval_min), []).append(bar)
        else:
            unconfirmed += 1
    outcome = BulkOutcome()
    if unconfirmed:
        metrics.INVALID_CANDLES.labels(source=source, reason="unconfirmed").inc(unconfirmed)
        outcome = BulkOutcome(seen=unconfirmed, invalid=Counter(unconfirmed=unconfirmed))
    for group in groups.values():
        outcome += klines_bulk_store(table_from_klines(group), source=source, now_ms=now_ms)
    return outcome


def _serialise_writers(rows: KlineTable) -> None:
    """Two bulk writers of one series wait for each other instead of colliding; other series run beside them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"kline:{rows.symbol}:{rows.interval_min}"]
        )


def _stored(rows: KlineTable) -> KlineTable:
    params = [
        rows.symbol,
        rows.interval_min,
        to_datetime(int(rows.start_ms[0])),
        to_datetime(int(rows.start_ms[-1])),
    ]
    records = copy_out(_EXISTING, params, FIELDS)
    return columns_table(
        rows.symbol,
        rows.interval_min,
        from_pg_time(records["start"]),
        (records[name].astype(np.float64) for name in VALUES),
    )


def _compare(new: KlineTable, old: KlineTable) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Masks over rows that are stored already: says something else; only adds the turnover."""
    differs = np.zeros(len(new), dtype=np.bool_)
    for name in VALUES[:5]:
        differs |= getattr(new, name) != getattr(old, name)
    both = ~np.isnan(new.turnover) & ~np.isnan(old.turnover)
    differs |= both & (new.turnover != old.turnover)
    return differs, ~differs & np.isnan(old.turnover) & ~np.isnan(new.turnover)


def _insert(rows: KlineTable, source: KlineSource) -> int:
    records = _records(rows, source)
    try:
        with transaction.atomic():
            copy_in(f"marketdata_kline {_COLUMNS}", records)
    except IntegrityError:
        # The stream stored one of these bars in the meantime: take the slower way that lets it win.
        return _insert_around(records)
    return len(rows)


def _insert_around(records: npt.NDArray[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE kline_load (symbol text, interval_min smallint, start timestamptz, "
            "open float8, high float8, low float8, close float8, volume float8, turnover float8, source text) "
            "ON COMMIT DROP"
        )
        copy_in(f"kline_load {_COLUMNS}", records)
        cursor.execute(
            f"INSERT INTO marketdata_kline {_COLUMNS} SELECT * FROM kline_load "  # noqa: S608
            "ON CONFLICT (symbol, interval_min, start) DO NOTHING"
        )
        stored = cursor.rowcount
        cursor.execute("DROP TABLE kline_load")
    return stored


def _records(rows: KlineTable, source: KlineSource) -> npt.NDArray[Any]:
    symbol, word = rows.symbol.encode("ascii"), source.value.encode("ascii")
    fields = {"symbol": f"S{len(symbol)}", "interval_min": ">i2", **FIELDS, "source": f"S{len(word)}"}
    records = empty_records(len(rows), fields)
    records["symbol"] = symbol
    records["interval_min"] = rows.interval_min
    records["start"] = to_pg_time(rows.start_ms)
    for name in VALUES:
        records[name] = getattr(rows, name)
    records["source"] = word
    return records


def _complete_turnover(rows: KlineTable) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE marketdata_kline k SET turnover = n.turnover "
            "FROM unnest(%s::timestamptz[], %s::float8[]) AS n (start, turnover) "
            "WHERE k.symbol = %s AND k.interval_min = %s AND k.start = n.start AND k.turnover = 'NaN'",
            [
                [to_datetime(ms) for ms in rows.start_ms.tolist()],
                rows.turnover.tolist(),
                rows.symbol,
                rows.interval_min,
            ],
        )
        return int(cursor.rowcount)


def _count(interval_min: int, source: KlineSource, outcome: BulkOutcome) -> None:
    for name in ("new", "same", "corrected", "completed", "ignored"):
        count = getattr(outcome, name)
        if count:
            metrics.BARS_STORED.labels(interval=interval_min, source=source, outcome=name).inc(count)
