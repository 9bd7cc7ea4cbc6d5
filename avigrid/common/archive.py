"""Rows on their way out of the database: into a compressed CSV file that was read back, and only then deleted."""

import csv
import gzip
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from avigrid.common.embedded import VAR
from avigrid.kernel.errors import Bug

csv.field_size_limit(sys.maxsize)  # a stretch of an order book is one field


class ArchiveDiffers(Bug):
    """File and table do not hold the same rows: nothing was deleted."""

    code = "archive_differs"


def archive_folder() -> Path:
    return Path(settings.AVIGRID["ARCHIVE_FOLDER"] or VAR / "archive")


def rows_move(*, select: str, params: Sequence[object], target: Path, delete: Callable[[], int]) -> int:
    """Writes what `select` finds to `target` (`.csv.gz`); `delete` then deletes the same rows and says how many.

    One transaction: where a row came or went in between, it is undone and the file removed. A crash before the commit
    leaves the rows archived and stored; the next run archives them again beside the first file. Returns rows moved.
    """
    with transaction.atomic():
        # whoever moves the same rows at the same time waits here, and then finds them gone
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"archive:{target.parent.name}"])
        written, count = archive_write(select=select, params=params, target=target)
        if written is None:
            return 0
        try:
            deleted = delete()
            if deleted != count:
                raise ArchiveDiffers(
                    f"{written.name} holds {count} rows, but {deleted} would have been deleted",
                    archived=count,
                    deleted=deleted,
                )
        except Exception:
            written.unlink()
            raise
    return count


def archive_write(*, select: str, params: Sequence[object], target: Path) -> tuple[Path | None, int]:
    """Whole or not at all, and never over an older file: (where it lies, rows), or (None, 0) without rows."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(f".{os.getpid()}.part")
    copying = f"COPY ({select}) TO STDOUT (FORMAT csv, HEADER)"
    try:
        with connection.cursor() as cursor, draft.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw) as out:
            with cursor.copy(copying, list(params)) as rows:
                for block in rows:
                    out.write(block)
            sent = cursor.rowcount
            out.close()
            raw.flush()
            os.fsync(raw.fileno())
        count = archived_rows(draft)
        if count != sent:
            raise ArchiveDiffers(f"{target.name} reads back {count} of {sent} rows", archived=count, sent=sent)
        if not count:
            return None, 0
        final = _unused(target)
        draft.rename(final)
        _fsync_folder(final.parent)
    finally:
        draft.unlink(missing_ok=True)
    return final, count


def archived_rows(path: Path) -> int:
    """Rows without the header; raises where the file is damaged."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        return sum(1 for _ in csv.reader(text)) - 1


def _unused(target: Path) -> Path:
    name, number = target.name.removesuffix(".csv.gz"), 1
    while target.exists():
        number += 1
        target = target.with_name(f"{name}-{number}.csv.gz")
    return target


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
