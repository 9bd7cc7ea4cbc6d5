"""What the Research pages show of a run: its state, and its result in the words of its kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models.fields.json import KT

from trading.avi5.config import StrategyConfig
from trading.avi5.limits import LIMITS
from trading.models import ENDED, ResearchKind, ResearchRun, ResearchStatus
from trading.selectors.research import research_run, research_runs, used_proxy

LIST = 60
COMPARABLE = 100
_METRICS = "result__metrics__"


@dataclass(frozen=True, slots=True)
class RunRow:
    """`ratio` is None where a run's progress cannot be told before its end."""

    id: int
    kind: str
    kind_words: str
    symbols: Sequence[str]
    profile: str
    asked: str
    """The other things that were asked for, in short."""
    status: str
    status_words: str
    ratio: float | None
    done: int
    of: int
    is_cancelling: bool
    is_over: bool
    error: str
    by: str
    created_at: datetime
    started_at: datetime | None
    took_s: float | None
    trades: int | None
    sum_r: float | None

    @property
    def is_done(self) -> bool:
        return self.status == ResearchStatus.DONE


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One number of the strategy: what it is now, and between what it must lie."""

    name: str
    value: object
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class SweepLine:
    values: Sequence[object]
    numbers: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SweepTable:
    """The best first. `neighbours_*` tell a plateau from a lucky spike."""

    fields: Sequence[str]
    lines: Sequence[SweepLine]
    configs: int
    not_legal: int
    used_proxy: bool


def run_rows(count: int = LIST) -> list[RunRow]:
    runs = research_runs().annotate(trades_text=KT(f"{_METRICS}trades"), sum_r_text=KT(f"{_METRICS}sum_r"))
    return [_row(run, run.trades_text, run.sum_r_text) for run in runs[:count]]


def run_row(run_id: int) -> RunRow | None:
    run = (
        research_runs()
        .filter(pk=run_id)
        .annotate(trades_text=KT(f"{_METRICS}trades"), sum_r_text=KT(f"{_METRICS}sum_r"))
        .first()
    )
    return None if run is None else _row(run, run.trades_text, run.sum_r_text)


def comparable_rows(kind: str = "") -> list[RunRow]:
    """Runs that have a result, newest first."""
    runs = research_runs(kind or None).filter(status=ResearchStatus.DONE)
    runs = runs.annotate(trades_text=KT(f"{_METRICS}trades"), sum_r_text=KT(f"{_METRICS}sum_r"))
    return [_row(run, run.trades_text, run.sum_r_text) for run in runs[:COMPARABLE]]


def run_report(run_id: int) -> str:
    """The stored page; "" where there is none."""
    found = ResearchRun.objects.filter(pk=run_id).values_list("report_html", flat=True).first()
    return found or ""


def done_run(run_id: int) -> ResearchRun | None:
    run = research_run(run_id)
    return run if run is not None and run.status == ResearchStatus.DONE else None


def field_rows(config: StrategyConfig) -> list[FieldRow]:
    return [
        FieldRow(name, value, *LIMITS.get(name, (None, None)))
        for name, value in config.to_mapping().items()
        if name not in ("version", "profile")
    ]


def sweep_table(run: ResearchRun) -> SweepTable | None:
    result = run.result
    if run.kind != ResearchKind.SWEEP or not isinstance(result, dict):
        return None
    fields = list(run.params.get("axes", {}))
    lines = [SweepLine([row["changes"].get(name) for name in fields], row) for row in result["top"]]
    return SweepTable(fields, lines, result["configs"], result["not_legal"], used_proxy(run))


def _row(run: ResearchRun, trades: str | None, sum_r: str | None) -> RunRow:
    is_over = run.status in ENDED
    end = run.ended_at or None
    return RunRow(
        id=run.pk,
        kind=run.kind,
        kind_words=run.get_kind_display(),
        symbols=run.params.get("symbols", []),
        profile=str(run.config.get("profile", "")),
        asked=_asked(run),
        status=run.status,
        status_words=run.get_status_display(),
        ratio=run.progress_ratio if run.shards > 1 or is_over else None,
        done=run.shards_done,
        of=run.shards,
        is_cancelling=run.cancel_requested and not is_over,
        is_over=is_over,
        error=run.error,
        by=str(run.created_by) if run.created_by else "",
        created_at=run.created_at,
        started_at=run.started_at,
        took_s=(end - run.started_at).total_seconds() if end and run.started_at else None,
        trades=int(trades) if trades else None,
        sum_r=float(sum_r) if sum_r else None,
    )


def _asked(run: ResearchRun) -> str:
    told = [f"{name}={value}" for name, value in run.params.get("config", {}).items() if name != "profile"]
    told += [f"{name}: {len(values)}" for name, values in run.params.get("axes", {}).items()]
    told += [f"{name} {run.params[name]}" for name in ("from", "to") if run.params.get(name)]
    return ", ".join(told)
