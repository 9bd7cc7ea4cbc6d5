"""What is too old to keep in the database, once a day: written to compressed files first, then deleted.

Plans, orders, fills, the ledger, reconciliation and the audit trail are kept for ever, and with them every signal that
was placed and the decision behind it.
"""

import gzip
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, transaction
from django.db.models import Model, QuerySet

from trading.models import Decision, OutboxEvent, Signal

BATCH = 2_000
_THIN = """
    DELETE FROM trading_equitysnapshot WHERE id IN (
        SELECT id FROM (
            SELECT id, row_number() OVER (PARTITION BY account_id, date_trunc('hour', at) ORDER BY at DESC, id DESC)
                AS place FROM trading_equitysnapshot WHERE at < %s
        ) AS ranked WHERE place > 1)
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TradingRetention:
    """Days. Equity snapshots come every few seconds; the newest of each hour is kept for ever."""

    decisions_days: int = 400
    outbox_days: int = 90
    equity_days: int = 90


@dataclass(frozen=True, slots=True)
class Removed:
    signals: int
    decisions: int
    outbox: int
    equity: int


def trading_retention_apply(
    *,
    now: datetime,
    folder: Path,
    keep: TradingRetention = TradingRetention(),  # noqa: B008
) -> Removed:
    """`now` as the rows count time. A batch is deleted only after its archive lies on the disk; a crash in between
    leaves it both archived and stored, and the next run archives it again under another name."""
    old = now - timedelta(days=keep.decisions_days)
    signals = Signal.objects.filter(created_at__lt=old, plan__isnull=True)
    decisions = Decision.objects.filter(bar_start__lt=old, signals__isnull=True)
    outbox = OutboxEvent.objects.filter(
        created_at__lt=now - timedelta(days=keep.outbox_days), delivered_at__isnull=False
    )
    removed = Removed(
        signals=_archive(signals, folder, "signals", now),
        decisions=_archive(decisions, folder, "decisions", now),
        outbox=_archive(outbox, folder, "outbox", now),
        equity=_thin_equity(now - timedelta(days=keep.equity_days)),
    )
    log.info("retention_applied", **asdict(removed))
    return removed


def _archive(rows: QuerySet, folder: Path, name: str, now: datetime) -> int:
    removed = 0
    while True:
        batch: list[Model] = list(rows.order_by("pk")[:BATCH])
        if not batch:
            return removed
        target = folder / name / f"{name}-{now:%Y%m%d}-{batch[0].pk}-{batch[-1].pk}.jsonl.gz"
        _write(target, batch)
        with transaction.atomic():
            keys = [row.pk for row in batch]
            rows.model._default_manager.filter(pk__in=keys).delete()
        removed += len(batch)


def _write(target: Path, rows: Iterable[Model]) -> None:
    """Whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".part")
    with gzip.open(draft, "wt", encoding="utf-8") as out:
        for row in rows:
            fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
            out.write(json.dumps(fields, cls=DjangoJSONEncoder, sort_keys=True) + "\n")
    draft.replace(target)


def _thin_equity(before: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_THIN, [before])
        return cursor.rowcount
