"""Research done: stored bars read, the pure replay run on them, results kept. Trades nothing."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError
from django.utils import translation

from avigrid.common.spoken import said
from avigrid.kernel.errors import AviGridError
from trading.backtest.driver import run_backtest
from trading.backtest.html import report_html
from trading.backtest.report import make_report, report_json
from trading.backtest.sweep import SweepRow, ranked, sweep_run
from trading.backtest.walk_forward import calibrate
from trading.models import ResearchRun, ResearchShard, ResearchStatus
from trading.services.calibrations import calibration_result
from trading.services.research import (
    require_research,
    research_claim,
    research_end,
    research_part_store,
    research_request,
    research_touch,
)
from trading.services.research_bars import LookUp, joint_filters, joint_hash, loaded_bars
from trading.services.research_fence import research_fence

TOP_ROWS = 200
"""Of a sweep's ranking; the whole of it is in the parts."""
SIGN_EVERY = timedelta(seconds=5)

type Clock = Callable[[], datetime]
type Work = Callable[[ResearchRun, Clock, LookUp], tuple[object, str, str]]


class Cancelled(Exception):
    """Somebody no longer wants the run."""


def backtest_work(run_id: int, *, now: Clock) -> bool:
    """False where there was nothing to do: ended, or another worker is at it."""
    return _whole(run_id, now, _backtest)


def calibration_work(run_id: int, *, now: Clock) -> bool:
    return _whole(run_id, now, _calibration)


@research_fence()
def sweep_missing(run_id: int, *, now: Clock) -> list[int]:
    """Claims a sweep and names the parts still to be done, each a task of its own on any machine."""
    require_research()
    run = research_claim(run_id=run_id, now=now())
    if run is None:
        return []
    done = set(ResearchShard.objects.filter(run=run).values_list("number", flat=True))
    missing = [number for number in range(run.shards) if number not in done]
    if not missing:
        _sweep_finish(run_id, now)
    return missing


@research_fence()
def sweep_part_work(run_id: int, number: int, *, now: Clock) -> bool:
    """One part; the worker that stores the last one also ends the run."""
    require_research()
    if research_touch(run_id=run_id, now=now()):
        _end_if_cancelled(run_id, now)
        return False
    if ResearchShard.objects.filter(run_id=run_id, number=number).exists():
        return False
    run = ResearchRun.objects.get(pk=run_id)
    is_stored = False
    with _ending(run_id, now):
        look_up = _signs_of_life(run_id, now)
        request = research_request(run)
        assert request.sweep is not None
        loaded = loaded_bars(request, request.sweep.deepest, look_up)
        rows = sweep_run(
            request.sweep,
            loaded,
            shard=number,
            shards=run.shards,
            settings=request.settings,
            from_ms=request.from_ms,
            look_up=look_up,
        )
        part = {
            "data_hash": joint_hash(loaded),
            "filters": joint_filters(loaded),
            "rows": [row.to_json() for row in rows],
        }
        is_stored = True
        if research_part_store(run_id=run_id, number=number, rows=part, now=now()):
            _sweep_finish(run_id, now)
    return is_stored


def _sweep_finish(run_id: int, now: Clock) -> None:
    run = ResearchRun.objects.get(pk=run_id)
    request = research_request(run)
    assert request.sweep is not None
    parts = list(ResearchShard.objects.filter(run=run).order_by("number"))
    hashes = sorted({part.rows["data_hash"] for part in parts})
    if len(hashes) > 1 or len({part.rows["filters"] for part in parts}) > 1:
        sentence = "The stored bars changed while the sweep ran; its parts cannot be compared. Run it again."
        if len(hashes) == 1:
            sentence = "The filters of an instrument changed while the sweep ran. Run it again."
        research_end(run_id=run_id, status=ResearchStatus.FAILED, now=now(), error=sentence)
        return
    rows = [SweepRow(**row) for part in parts for row in part.rows["rows"]]
    if not rows:
        sentence = f"None of the {request.sweep.size} combinations is a legal configuration."
        research_end(run_id=run_id, status=ResearchStatus.FAILED, now=now(), error=sentence)
        return
    table = [
        {
            **item.row.to_json(),
            "neighbours": item.neighbours,
            "neighbours_median_r": item.neighbours_median_r,
            "neighbours_worst_r": item.neighbours_worst_r,
        }
        for item in ranked(request.sweep, rows)[:TOP_ROWS]
    ]
    result = {
        "configs": len(rows),
        "not_legal": request.sweep.size - len(rows),
        "used_proxy": any(row.used_proxy for row in rows),
        "top": table,
    }
    research_end(run_id=run_id, status=ResearchStatus.DONE, now=now(), result=result, data_hash=hashes[0])


@research_fence()
def _whole(run_id: int, now: Clock, work: Work) -> bool:
    require_research()
    run = research_claim(run_id=run_id, now=now())
    if run is None:
        return False
    with _ending(run_id, now):
        result, html, data_hash = work(run, now, _signs_of_life(run_id, now))
        research_end(
            run_id=run_id,
            status=ResearchStatus.DONE,
            now=now(),
            result=result,
            report_html=html,
            data_hash=data_hash,
        )
    return True


@contextmanager
def _ending(run_id: int, now: Clock) -> Iterator[None]:
    """What goes wrong inside ends the run and is its reason. A database that is away ends nothing: who tends the runs
    hands this one out again."""
    try:
        yield
    except Cancelled:
        _end_if_cancelled(run_id, now)
    except AviGridError as error:
        research_end(run_id=run_id, status=ResearchStatus.FAILED, now=now(), error=f"{error.message} ({error.code})")
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        research_end(run_id=run_id, status=ResearchStatus.FAILED, now=now(), error=f"Bug: {type(error).__name__}")
        raise


def _signs_of_life(run_id: int, now: Clock) -> LookUp:
    """To be called often: says now and then that somebody works on the run; raises Cancelled where nobody should."""
    last: list[datetime] = []

    def look_up() -> None:
        at = now()
        if last and at - last[0] < SIGN_EVERY:
            return
        last[:] = [at]
        if research_touch(run_id=run_id, now=at):
            raise Cancelled

    return look_up


def _backtest(run: ResearchRun, now: Clock, look_up: LookUp) -> tuple[object, str, str]:
    request = research_request(run)
    loaded = loaded_bars(request, request.config, look_up)
    results = []
    for number, (data, known) in enumerate(loaded):
        if research_touch(run_id=run.pk, now=now(), done=number):
            raise Cancelled
        results.append(
            run_backtest(data, request.config, instrument=known, settings=request.settings, from_ms=request.from_ms)
        )
    report = make_report(results)
    with translation.override(request.language):
        html = report_html(report, language=request.language, say=said)
    return json.loads(report_json(report)), html, joint_hash(loaded)


def _calibration(run: ResearchRun, now: Clock, look_up: LookUp) -> tuple[object, str, str]:
    request = research_request(run)
    found = calibrate(
        loaded_bars(request, request.config, look_up),
        request.config,
        settings=request.settings,
        walk=request.walk,
        from_ms=request.from_ms,
        look_up=look_up,
    )
    if research_touch(run_id=run.pk, now=now()):
        raise Cancelled
    return calibration_result(found, request.config), "", found.data_hash


def _end_if_cancelled(run_id: int, now: Clock) -> None:
    if ResearchRun.objects.filter(pk=run_id, cancel_requested=True).exists():
        research_end(run_id=run_id, status=ResearchStatus.CANCELLED, now=now())
