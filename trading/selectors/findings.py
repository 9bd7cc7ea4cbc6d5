"""Runs and findings of the reconciliation, for its page."""

from collections.abc import Sequence
from dataclasses import dataclass

from trading.models import ReconciliationFinding, ReconciliationRun

OPEN_SHOWN, CLOSED_SHOWN, RUNS_SHOWN = 100, 50, 30


@dataclass(frozen=True, slots=True)
class FindingRow:
    finding: ReconciliationFinding
    repair_s: float | None
    """Detected to repaired."""


@dataclass(frozen=True, slots=True)
class RunRow:
    run: ReconciliationRun
    took_s: float | None


@dataclass(frozen=True, slots=True)
class ReconciliationView:
    open_findings: Sequence[FindingRow]
    closed_findings: Sequence[FindingRow]
    runs: Sequence[RunRow]


def reconciliation_view(account_id: int | None) -> ReconciliationView:
    if account_id is None:
        return ReconciliationView((), (), ())
    findings = ReconciliationFinding.objects.filter(account_id=account_id)
    runs = ReconciliationRun.objects.filter(account_id=account_id)[:RUNS_SHOWN]
    return ReconciliationView(
        [_row(finding) for finding in findings.filter(is_open=True)[:OPEN_SHOWN]],
        [_row(finding) for finding in findings.filter(is_open=False)[:CLOSED_SHOWN]],
        [RunRow(run, (run.finished_at - run.started_at).total_seconds() if run.finished_at else None) for run in runs],
    )


def _row(finding: ReconciliationFinding) -> FindingRow:
    took = finding.repaired_at - finding.detected_at if finding.repaired_at else None
    return FindingRow(finding, took.total_seconds() if took is not None else None)
