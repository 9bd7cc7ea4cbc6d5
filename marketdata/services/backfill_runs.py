"""Remember how far a backfill came, in the transaction that stored its rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F

from marketdata.models import BackfillProgress, BackfillRun
from marketdata.selectors.times import to_datetime, to_ms


@dataclass(frozen=True, slots=True)
class PartState:
    """One symbol and interval, or one file, of a run."""

    pk: int
    done_until_ms: int | None
    is_finished: bool


def backfill_run_start(*, spec: str, now_ms: int) -> tuple[int, bool]:
    """The run of this request: (id, whether it was begun before and not finished). A finished one begins anew."""
    run, created = BackfillRun.objects.get_or_create(spec=spec, defaults={"started_at": to_datetime(now_ms)})
    resumed = not created and run.state == BackfillRun.State.RUNNING
    if not created and not resumed:
        run.parts.all().delete()
        BackfillRun.objects.filter(pk=run.pk).update(
            state=BackfillRun.State.RUNNING, started_at=to_datetime(now_ms), finished_at=None, summary={}
        )
    return run.pk, resumed


def backfill_run_is_done(*, spec: str) -> bool:
    return BackfillRun.objects.filter(spec=spec, state=BackfillRun.State.DONE).exists()


def backfill_part_start(*, run_id: int, part: str, symbol: str, interval_min: int) -> PartState:
    row, _ = BackfillProgress.objects.get_or_create(
        run_id=run_id, part=part[:200], defaults={"symbol": symbol, "interval_min": interval_min}
    )
    return PartState(row.pk, to_ms(row.done_until) if row.done_until else None, row.finished_at is not None)


def backfill_part_advance(*, part_id: int, done_until_ms: int, rows_seen: int, rows_new: int) -> None:
    """Inside the transaction that stored the rows."""
    BackfillProgress.objects.filter(pk=part_id).update(
        done_until=to_datetime(done_until_ms),
        rows_seen=F("rows_seen") + rows_seen,
        rows_new=F("rows_new") + rows_new,
    )


def backfill_part_finish(*, part_id: int, now_ms: int) -> None:
    BackfillProgress.objects.filter(pk=part_id).update(finished_at=to_datetime(now_ms))


def backfill_run_finish(*, run_id: int, failed: Sequence[str], summary: dict[str, object], now_ms: int) -> None:
    """A run with failed parts stays running: the same request continues where it stopped."""
    state = BackfillRun.State.RUNNING if failed else BackfillRun.State.DONE
    BackfillRun.objects.filter(pk=run_id).update(state=state, finished_at=to_datetime(now_ms), summary=summary)
