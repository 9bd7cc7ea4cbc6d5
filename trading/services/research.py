"""The life of a research run: asked for, claimed by a worker, cancelled, ended. The work is in `research_work`."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import F

from accounts.services.audit import audit
from avigrid.common import push
from avigrid.kernel.errors import Rejected
from trading.avi5.config import StrategyConfig
from trading.backtest.request import ResearchRequest, read_request
from trading.backtest.times import utc
from trading.models import ENDED, ResearchRun, ResearchShard, ResearchStatus
from trading.selectors.replay_data import common_end_ms
from trading.selectors.strategy import active_version, config_of

if TYPE_CHECKING:
    from accounts.models import User

SHARD_CONFIGS = 500
SILENT_AFTER = timedelta(minutes=10)
"""A run nobody has worked on for so long is handed out again; what it had finished is kept."""
HANDED_OUT_AFTER = timedelta(minutes=2)

log = structlog.get_logger(__name__)


def require_research() -> None:
    """Raises Rejected `research_off` where this installation keeps its capacity for trading."""
    if not settings.AVIGRID["RESEARCH"]:
        raise Rejected("Research is switched off on this installation (AVIGRID_RESEARCH).", code="research_off")


def research_start(*, kind: str, params: Mapping[str, object], actor: "User | str", now: datetime) -> ResearchRun:
    """Checks everything that can be checked without the bars, stores the run and hands it to the research queue.

    Raises Rejected `research_off`, InvalidRequest, InvalidConfig. `config` in `params` changes the strategy in use.
    """
    require_research()
    version = active_version()
    request = read_request(kind, params, base=config_of(version) if version else StrategyConfig())
    params = _with_end(params, request)
    with transaction.atomic():
        run = ResearchRun.objects.create(
            kind=kind,
            params=dict(params),
            config=request.config.to_mapping(),
            config_hash=request.config.config_hash,
            shards=_shards(request),
            created_by=None if isinstance(actor, str) else actor,
            created_at=now,
            touched_at=now,
        )
        audit(actor=actor, action="research.started", obj=run, after={"kind": kind, "config": run.config_hash})
        _tell(run)
        transaction.on_commit(lambda: research_hand_out(run), robust=True)
    return run


def research_cancel(*, run_id: int, actor: "User | str", now: datetime) -> bool:
    """A waiting run ends at once, a running one at its worker's next look. False where it had ended."""
    with transaction.atomic():
        run = ResearchRun.objects.select_for_update().get(pk=run_id)
        if run.status in ENDED or run.cancel_requested:
            return False
        run.cancel_requested = True
        if run.status == ResearchStatus.QUEUED:
            run.status, run.ended_at = ResearchStatus.CANCELLED, now
        run.save(update_fields=["cancel_requested", "status", "ended_at"])
        audit(actor=actor, action="research.cancelled", obj=run)
        _tell(run)
    return True


def research_hand_out(run: ResearchRun, send: Callable[..., object] | None = None) -> None:
    """A message to the research queue. Where Redis or the workers are away `research_tend` sends it again later; the
    one before has expired by then, so that they do not pile up."""
    try:
        name, expires_s = f"trading.research_{run.kind}", HANDED_OUT_AFTER.total_seconds()
        (send or current_app.send_task)(name, args=[run.pk], retry=False, ignore_result=True, expires=expires_s)
    except Exception as error:  # whatever the broker's client raises
        log.warning("research_not_handed_out", run=run.pk, error=type(error).__name__)


def research_request(run: ResearchRun) -> ResearchRequest:
    """As it was when it was asked for, whatever strategy is in use by now."""
    params = {**run.params, "config": {}}
    return read_request(run.kind, params, base=StrategyConfig.from_stored(run.config))


def research_claim(*, run_id: int, now: datetime) -> ResearchRun | None:
    """The run, marked as running; None where it has ended or another worker is at it."""
    with transaction.atomic():
        run = ResearchRun.objects.select_for_update().filter(pk=run_id).first()
        if run is None or run.status in ENDED:
            return None
        if run.status == ResearchStatus.RUNNING and now - run.touched_at < SILENT_AFTER:
            return None
        if run.cancel_requested:
            run.status, run.ended_at = ResearchStatus.CANCELLED, now
            run.save(update_fields=["status", "ended_at"])
            _tell(run)
            return None
        run.status, run.touched_at = ResearchStatus.RUNNING, now
        run.started_at = run.started_at or now
        run.save(update_fields=["status", "touched_at", "started_at"])
        _tell(run)
    return run


def research_part_store(*, run_id: int, number: int, rows: object, now: datetime) -> bool:
    """Keeps a finished part, once. True where it was the last one missing."""
    with transaction.atomic():
        run = ResearchRun.objects.select_for_update().get(pk=run_id)
        if run.status in ENDED:
            return False
        _, is_new = ResearchShard.objects.get_or_create(run=run, number=number, defaults={"rows": rows})
        if not is_new:
            return False
        run.shards_done, run.touched_at = F("shards_done") + 1, now
        run.save(update_fields=["shards_done", "touched_at"])
        run.refresh_from_db(fields=["shards_done"])
        _tell(run)
    return run.shards_done == run.shards


def research_touch(*, run_id: int, now: datetime, done: int | None = None) -> bool:
    """A sign of life, with progress where it is known. True where the run should stop."""
    changes: dict[str, object] = {"touched_at": now}
    if done is not None:
        changes["shards_done"] = done
    if not ResearchRun.objects.filter(pk=run_id, status=ResearchStatus.RUNNING).update(**changes):
        return True
    run = ResearchRun.objects.only("pk", "kind", "status", "shards", "shards_done", "cancel_requested").get(pk=run_id)
    _tell(run)
    return run.cancel_requested


def research_end(
    *,
    run_id: int,
    status: ResearchStatus,
    now: datetime,
    result: object = None,
    report_html: str = "",
    data_hash: str = "",
    error: str = "",
) -> bool:
    """Once: False where it had ended before."""
    with transaction.atomic():
        run = ResearchRun.objects.select_for_update().get(pk=run_id)
        if run.status in ENDED:
            return False
        run.status, run.ended_at, run.touched_at = status, now, now
        run.result, run.report_html, run.data_hash, run.error = result, report_html, data_hash, error[:400]
        if status == ResearchStatus.DONE:
            run.shards_done = run.shards
        run.save()
        audit(actor="research", action=f"research.{status.value}", obj=run, after={"data": data_hash, "error": error})
        _tell(run)
    return True


def research_tend(*, now: datetime, send: Callable[..., object] | None = None) -> int:
    """Hands out again what waits too long or whose worker fell silent. Returns how many."""
    waiting = ResearchRun.objects.filter(status=ResearchStatus.QUEUED, created_at__lt=now - HANDED_OUT_AFTER)
    silent = ResearchRun.objects.filter(status=ResearchStatus.RUNNING, touched_at__lt=now - SILENT_AFTER)
    runs = [*waiting, *silent]
    for run in runs:
        research_hand_out(run, send)
    return len(runs)


def _with_end(params: Mapping[str, object], request: ResearchRequest) -> Mapping[str, object]:
    """Parts of a sweep are worked on at different times: on a living desk each would see more bars than the last."""
    if request.sweep is None or request.to_ms is not None:
        return params
    end_ms = common_end_ms(request.symbols)
    if end_ms is None or (request.from_ms is not None and request.from_ms >= end_ms):
        return params
    return {**params, "to": utc(end_ms).replace(" ", "T")}


def _shards(request: ResearchRequest) -> int:
    if request.sweep is not None:
        return -(-request.sweep.size // SHARD_CONFIGS)
    return len(request.symbols) if request.kind == "backtest" else 1


def _tell(run: ResearchRun) -> None:
    push.event(
        "research",
        {"id": run.pk, "kind": run.kind, "status": run.status, "done": run.shards_done, "of": run.shards},
    )
