"""Import one downloaded file: klines, trades (as tape and bars) or order book (as features and log)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.db import transaction

from avigrid.exchange.bybit.archives.detect import ArchiveKind, detect
from avigrid.exchange.bybit.archives.klines import read_klines
from avigrid.exchange.bybit.archives.order_book import iter_book_updates
from avigrid.exchange.bybit.archives.trades import TradeTable, klines_from_trades, read_trades
from avigrid.exchange.bybit.orderbook import OrderBook
from avigrid.exchange.kline_table import KlineTable
from avigrid.kernel.market import BookFeatures
from marketdata.models import KlineSource
from marketdata.runtime.stretches import StretchCutter
from marketdata.selectors.bars import bar
from marketdata.selectors.coverage import holes_between
from marketdata.services.backfill_runs import (
    backfill_part_advance,
    backfill_part_finish,
    backfill_part_start,
    backfill_run_finish,
    backfill_run_is_done,
    backfill_run_start,
)
from marketdata.services.book_features import book_features_store
from marketdata.services.gaps import gaps_settle
from marketdata.services.klines import BulkOutcome, klines_bulk_store
from marketdata.services.order_book_log import order_book_log_store
from marketdata.services.public_trades import public_trades_store

CHUNK_ROWS = 50_000
TRADES_CHUNK = 5_000
FEATURE_BAR_MS = 300_000
STALE_BOOK_MS = 10_000

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    symbol: str | None = None
    interval_min: int | None = None
    utc_offset_min: int = 0
    start_ms: int | None = None
    end_ms: int | None = None
    bar_intervals_min: tuple[int, ...] = ()
    """Bars to build from trades."""
    keep_trades: bool = True
    keep_book: bool = False
    again: bool = False
    """Read files that were imported before, too."""


@dataclass(slots=True)
class FileSummary:
    path: str
    kind: str
    symbol: str = ""
    rows: int = 0
    bars: BulkOutcome = field(default_factory=BulkOutcome)
    trades_new: int = 0
    features_new: int = 0
    stretches_new: int = 0
    holes: int = 0
    """Missing stretches inside the file itself."""
    gaps_filled: int = 0
    was_descending: bool = False
    was_known: bool = False


def file_import(path: Path, options: ImportOptions, *, now_ms: int, on_progress: Progress) -> FileSummary:
    """Raises BadArchive (InverseContract for what may not be traded here). Idempotent; resumes a killed import."""
    kind = detect(path)
    summary = FileSummary(str(path), kind.value)
    spec = _spec(path, options)
    if not options.again and backfill_run_is_done(spec=spec):
        summary.was_known = True
        return summary
    run_id, _ = backfill_run_start(spec=spec, now_ms=now_ms)
    if kind in (ArchiveKind.KLINE_CSV, ArchiveKind.KLINE_MT4):
        _klines(path, options, summary, run_id, now_ms, on_progress)
    elif kind is ArchiveKind.TRADES:
        _trades(path, options, summary, now_ms, on_progress)
    else:
        _order_book(path, options, summary, on_progress)
    backfill_run_finish(run_id=run_id, failed=(), summary={"rows": summary.rows}, now_ms=now_ms)
    return summary


def dry_look(path: Path, options: ImportOptions) -> FileSummary:
    """What an import would read; nothing is written."""
    kind = detect(path)
    summary = FileSummary(str(path), kind.value)
    if kind in (ArchiveKind.KLINE_CSV, ArchiveKind.KLINE_MT4):
        table = _read_klines(path, options)
        _describe(summary, table)
    elif kind is ArchiveKind.TRADES:
        trades = read_trades(path)
        summary.symbol, summary.rows, summary.was_descending = trades.symbol, len(trades), trades.was_descending
    else:
        first = next(iter_book_updates(path), None)
        summary.symbol = first.symbol if first else ""
        summary.rows = sum(1 for _ in iter_book_updates(path))
    return summary


def _klines(
    path: Path, options: ImportOptions, summary: FileSummary, run_id: int, now_ms: int, on_progress: Progress
) -> None:
    table = _read_klines(path, options)
    _describe(summary, table)
    part = backfill_part_start(
        run_id=run_id,
        part=f"{table.symbol}/{table.interval_min}",
        symbol=table.symbol,
        interval_min=table.interval_min,
    )
    todo = table.between(part.done_until_ms, None)
    on_progress(len(table) - len(todo))
    for at in range(0, len(todo), CHUNK_ROWS):
        chunk = todo.take(slice(at, at + CHUNK_ROWS))
        with transaction.atomic():
            outcome = klines_bulk_store(chunk, source=KlineSource.FILE, now_ms=now_ms)
            backfill_part_advance(
                part_id=part.pk,
                done_until_ms=int(chunk.start_ms[-1]) + 1,
                rows_seen=outcome.seen,
                rows_new=outcome.new,
            )
        summary.bars += outcome
        on_progress(len(chunk))
    backfill_part_finish(part_id=part.pk, now_ms=now_ms)
    summary.gaps_filled = gaps_settle(symbol=table.symbol, interval_min=table.interval_min, now_ms=now_ms)


def _trades(path: Path, options: ImportOptions, summary: FileSummary, now_ms: int, on_progress: Progress) -> None:
    table = read_trades(path)
    summary.symbol, summary.rows, summary.was_descending = table.symbol, len(table), table.was_descending
    for interval_min in options.bar_intervals_min:
        bars = klines_from_trades(table, interval_min, previous_close=_close_before(table, interval_min))
        bars = bars.between(options.start_ms, options.end_ms)
        summary.bars += klines_bulk_store(bars, source=KlineSource.FILE, now_ms=now_ms)
        summary.gaps_filled += gaps_settle(symbol=table.symbol, interval_min=interval_min, now_ms=now_ms)
    if not options.keep_trades:
        on_progress(len(table))
        return
    rows = list(table.trades())
    for at in range(0, len(rows), TRADES_CHUNK):
        chunk = rows[at : at + TRADES_CHUNK]
        summary.trades_new += public_trades_store(chunk)
        on_progress(len(chunk))


def _order_book(path: Path, options: ImportOptions, summary: FileSummary, on_progress: Progress) -> None:
    """At each 5m boundary the book as it stood then becomes that bar's features, as if it had been sampled live."""
    book: OrderBook | None = None
    cutter = StretchCutter()
    features: list[tuple[int, BookFeatures]] = []
    for update in iter_book_updates(path):
        if book is None:
            book = OrderBook(update.symbol)
            summary.symbol = update.symbol
        features += _sampled(book, update.matched_ms)
        book.apply(update)
        summary.rows += 1
        if options.keep_book:
            ended = cutter.take(update, book)
            summary.stretches_new += bool(ended and order_book_log_store(ended))
        if summary.rows % CHUNK_ROWS == 0:
            on_progress(CHUNK_ROWS)
    on_progress(summary.rows % CHUNK_ROWS)
    ended = cutter.finish()
    summary.stretches_new += bool(ended and order_book_log_store(ended))
    summary.features_new = book_features_store(features)


def _sampled(book: OrderBook, now_ms: int) -> Iterator[tuple[int, BookFeatures]]:
    boundary_ms = now_ms - now_ms % FEATURE_BAR_MS
    if book.is_ready and book.matched_ms < boundary_ms <= book.matched_ms + STALE_BOOK_MS:
        found = book.features(boundary_ms)
        if found is not None:
            yield boundary_ms - FEATURE_BAR_MS, found


def _close_before(table: TradeTable, interval_min: int) -> float | None:
    step_ms = interval_min * 60_000
    first_ms = int(table.time_ms[0]) // step_ms * step_ms
    stored = bar(table.symbol, interval_min, first_ms - step_ms)
    return None if stored is None else stored.close


def _read_klines(path: Path, options: ImportOptions) -> KlineTable:
    table = read_klines(
        path, symbol=options.symbol, interval_min=options.interval_min, utc_offset_min=options.utc_offset_min
    )
    if options.start_ms is None and options.end_ms is None:
        return table
    return table.between(options.start_ms, options.end_ms)


def _describe(summary: FileSummary, table: KlineTable) -> None:
    summary.symbol, summary.rows, summary.was_descending = table.symbol, len(table), table.was_descending
    summary.holes = len(holes_between(table.start_ms, table.interval_ms))


def _spec(path: Path, options: ImportOptions) -> str:
    """The same name, size and wishes: the same import."""
    wishes = (
        options.symbol,
        options.interval_min,
        options.utc_offset_min,
        options.start_ms,
        options.end_ms,
        options.bar_intervals_min,
        options.keep_trades,
        options.keep_book,
    )
    return f"file {path.name} {path.stat().st_size} {wishes}"[:500]
