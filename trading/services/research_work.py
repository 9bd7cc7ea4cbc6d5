"""Research done: bars read in a read-only transaction, the pure replay run on them, results kept. Trades nothing."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import connection, transaction

from avigrid.kernel.errors import AviGridError
from avigrid.kernel.instrument import Instrument
from marketdata.selectors.instruments import UnknownInstrument, instrument
from trading.backtest.data import MarketData
from trading.backtest.driver import run_backtest
from trading.backtest.filters import instrument_from_bars
from trading.backtest.html import report_html
from trading.backtest.report import make_report, report_json
from trading.backtest.request import ResearchRequest
from trading.backtest.sweep import SweepRow, ranked, sweep_run
from trading.backtest.walk_forward import calibrate
from trading.models import ResearchRun, ResearchShard, ResearchStatus
from trading.selectors.replay_data import stored_market_data
from trading.services.calibrations import calibration_result
from trading.services.research import (
    require_research,
    research_claim,
    research_end,
    research_part_store,
    research_request,
    research_touch,
)
from trading.services.research_fence import research_fence

TOP_ROWS = 200
"""Of a sweep's ranking; the whole of it is in the parts."""

type Clock = Callable[[], datetime]


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
    run = ResearchRun.objects.get(pk=run_id)
    try:
        request = research_request(run)
        assert request.sweep is not None
        loaded = _loaded(request)
        rows = sweep_run(request.sweep, loaded, shard=number, shards=run.shards, settings=request.settings)
    except AviGridError as error:
        research_end(run_id=run_id, status=ResearchStatus.FAILED, now=now(), error=f"{error.message} ({error.code})")
        return False
    part = {"data_hash": _hash(loaded), "rows": [row.to_json() for row in rows]}
    if research_part_store(run_id=run_id, number=number, rows=part, now=now()):
        _sweep_finish(run_id, now)
    return True


def _sweep_finish(run_id: int, now: Clock) -> None:
    run = ResearchRun.objects.get(pk=run_id)
    request = research_request(run)
    assert request.sweep is not None
    parts = list(ResearchShard.objects.filter(run=run).order_by("number"))
    hashes = sorted({part.rows["data_hash"] for part in parts})
    if len(hashes) > 1:
        sentence = "The stored bars changed while the sweep ran; its parts cannot be compared. Run it again."
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
    result = {"configs": len(rows), "not_legal": request.sweep.size - len(rows), "top": table}
    research_end(run_id=run_id, status=ResearchStatus.DONE, now=now(), result=result, data_hash=hashes[0])


@research_fence()
def _whole(run_id: int, now: Clock, work: Callable[[ResearchRun, Clock], tuple[object, str, str]]) -> bool:
    require_research()
    run = research_claim(run_id=run_id, now=now())
    if run is None:
        return False
    try:
        result, html, data_hash = work(run, now)
    except Cancelled:
        _end_if_cancelled(run_id, now)
    except AviGridError as error:
        research_end(run_id=run_id, status=ResearchStatus.FAILED, now=now(), error=f"{error.message} ({error.code})")
    except Exception as error:
        research_end(run_id=run_id, status=ResearchStatus.FAILED, now=now(), error=f"Bug: {type(error).__name__}")
        raise
    else:
        research_end(
            run_id=run_id,
            status=ResearchStatus.DONE,
            now=now(),
            result=result,
            report_html=html,
            data_hash=data_hash,
        )
    return True


def _backtest(run: ResearchRun, now: Clock) -> tuple[object, str, str]:
    request = research_request(run)
    loaded = _loaded(request)
    results = []
    for number, (data, known) in enumerate(loaded):
        if research_touch(run_id=run.pk, now=now(), done=number):
            raise Cancelled
        results.append(
            run_backtest(data, request.config, instrument=known, settings=request.settings, from_ms=request.from_ms)
        )
    report = make_report(results)
    return json.loads(report_json(report)), report_html(report), _hash(loaded)


def _calibration(run: ResearchRun, now: Clock) -> tuple[object, str, str]:
    request = research_request(run)
    found = calibrate(_loaded(request), request.config, settings=request.settings, walk=request.walk)
    if research_touch(run_id=run.pk, now=now()):
        raise Cancelled
    return calibration_result(found, request.config), "", found.data_hash


def _loaded(request: ResearchRequest) -> list[tuple[MarketData, Instrument]]:
    with transaction.atomic():
        if connection.in_atomic_block and not connection.savepoint_ids:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION READ ONLY")
        return [_stored(symbol, request) for symbol in request.symbols]


def _stored(symbol: str, request: ResearchRequest) -> tuple[MarketData, Instrument]:
    data = stored_market_data(symbol, request.config, from_ms=request.from_ms, to_ms=request.to_ms)
    try:
        return data, instrument(symbol)
    except UnknownInstrument:
        return data, instrument_from_bars(symbol, data.bars_5m)


def _hash(loaded: Sequence[tuple[MarketData, Instrument]]) -> str:
    return "-".join(data.data_hash for data, _ in loaded)[:64]


def _end_if_cancelled(run_id: int, now: Clock) -> None:
    if ResearchRun.objects.filter(pk=run_id, cancel_requested=True).exists():
        research_end(run_id=run_id, status=ResearchStatus.CANCELLED, now=now())
