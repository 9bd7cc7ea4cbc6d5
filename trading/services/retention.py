"""What is too old to keep in the database, once a day: written to compressed files first, then deleted.

Plans, orders, fills, the ledger, reconciliation and the audit trail are kept for ever, and with them every signal that
was placed or modelled in forward validation and the decision behind it: a strategy's proof is not thinned out.
"""

from datetime import datetime
from pathlib import Path

import structlog
from django.db import connection
from django.db.models import QuerySet

from accounts.services.audit import audit
from avigrid.common.archive import rows_move
from avigrid.common.retention import kept_since
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


def trading_retention_apply(*, now: datetime, folder: Path) -> dict[str, int]:
    """Rows removed per kind. Equity comes every few seconds; of old hours only the newest snapshot stays, for ever.

    `now` as the rows count time. Repeatable and interruptible: each file and its deletion are one transaction.
    """
    removed = dict.fromkeys(("signals", "decisions", "outbox", "equity"), 0)
    try:
        if (before := kept_since("decisions", now)) is not None:
            signals = Signal.objects.filter(created_at__lt=before, plan__isnull=True, modelled__isnull=True)
            removed["signals"] = _move(signals, folder, "signals", now)
            decisions = Decision.objects.filter(bar_start__lt=before, signals__isnull=True)
            removed["decisions"] = _move(decisions, folder, "decisions", now)
        if (before := kept_since("outbox", now)) is not None:
            told = OutboxEvent.objects.filter(created_at__lt=before, delivered_at__isnull=False)
            removed["outbox"] = _move(told, folder, "outbox", now)
        if (before := kept_since("equity", now)) is not None:
            removed["equity"] = _thin_equity(before)
    finally:
        # also where it failed halfway: what is gone is gone
        audit(actor="retention", action="retention.applied", obj="retention:trading", after=removed)
        log.info("retention_applied", **removed)
    return removed


def _move(rows: QuerySet, folder: Path, name: str, now: datetime) -> int:
    removed = 0
    while keys := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        removed += _move_batch(rows, keys, folder / name / f"{name}-{now:%Y%m%d}-{keys[0]}-{keys[-1]}.csv.gz")
    return removed


def _move_batch(rows: QuerySet, keys: list[int], target: Path) -> int:
    model = rows.model

    def delete() -> int:
        # by Django, which takes what hangs on them (deliveries of a message) along
        _, of_each = model._default_manager.filter(pk__in=keys).delete()
        return of_each.get(model._meta.label, 0)

    select = f"SELECT * FROM {model._meta.db_table} WHERE id = ANY(%s) ORDER BY id"  # noqa: S608
    return rows_move(select=select, params=[keys], target=target, delete=delete)


def _thin_equity(before: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_THIN, [before])
        return cursor.rowcount
